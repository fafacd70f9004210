/** What gateways tell of objects they have denied; they have no database and no request of control's. */
import { z } from 'zod'
import type { Denial } from './denials.ts'

export const objectDenialSchema = z.object({
  subjectId: z.string().max(64),
  kind: z.enum(['person', 'client', 'session', 'job', 'anonymous']),
  name: z.string().max(200),
  /** Which session or job. */
  actorId: z.string().max(200).optional(),
  address: z.string().max(200),
  /** 'S3 PUT bucket/key' */
  target: z.string().max(300),
  count: z.int().positive(),
})
export type ObjectDenial = z.infer<typeof objectDenialSchema>

export function ofObject({ subjectId, kind, name, actorId, address, target, count }: ObjectDenial): Denial {
  const shown = actorId === undefined ? name : `${name} (${kind} ${actorId})`
  const actor = { id: subjectId, kind, name: shown }
  const origin = { actor, credential: 'access key', address, requestId: '-' }
  return { origin, target, detail: { reason: 'identity.not_allowed' }, times: count }
}
