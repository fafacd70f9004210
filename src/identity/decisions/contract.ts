/** "May I, and why not", "who can", and broken glass: what it says over HTTP. Joined into the room's contract. */
import { z } from 'zod'
import { actions, actionSchema, nameSchema, pageOf, pageQuery, timeMs, type Routes } from '../../foundation/contract.ts'

/** What cut a right, the outermost first. */
export const cuts = ['account', 'credential', 'no-role', 'role', 'ended', 'group', 'policy', 'not-own', 'raw'] as const
export type Cut = (typeof cuts)[number]

/** What may be asked about inside an experiment. */
export const decisionActions = actions.filter(
  (action) => action !== 'site.admin' && action !== 'ops.read' && action !== 'credentials.create',
)

/** Longest time for which a site admin takes a right to read. */
export const longestGlassMs = 3_600_000

const personReference = z.string().min(1).max(64)
const placeSchema = z
  .string()
  .max(1100)
  .regex(/^\/?[^/\0]+(\/[^\0]*)?$/, 'a bucket, or bucket/key')
const verdictSchema = z.object({
  allow: z.boolean(),
  /** In words. */
  reason: z.string(),
  /** What stood in the way; null where nothing did. */
  cut: z.enum(cuts).nullable(),
})

export type Decided = z.infer<typeof verdictSchema>

export const explanationSchema = verdictSchema.extend({
  subject: z.object({ id: z.string(), name: z.string(), kind: z.string() }),
  action: actionSchema,
  experiment: z.string().nullable(),
  place: z.string().nullable(),
  /** What each role there says for itself. */
  grants: z.array(
    verdictSchema.extend({
      role: z.string(),
      group: z.string(),
      untilMs: timeMs.nullable(),
      /** What policies leave of it; null: all that the role has. */
      capabilities: z.array(z.string()).nullable(),
    }),
  ),
})

export const whoCanSchema = z.object({
  id: z.string(),
  name: z.string(),
  displayName: z.string(),
  kind: z.enum(['person', 'client']),
  reason: z.string(),
})

export const brokenGlassSchema = z.object({
  id: z.string(),
  personId: z.string(),
  personName: z.string(),
  experiment: z.string(),
  reason: z.string(),
  takenAtMs: timeMs,
  endsAtMs: timeMs,
  isOpen: z.boolean(),
  /** Who ended it before its time. */
  endedBy: z.string().nullable(),
})

export const decisionRoutes = {
  explainDecision: {
    method: 'GET',
    path: '/api/identity/decisions',
    summary: 'May somebody do this, and why or why not: my own, and of others for who may read the audit',
    permission: 'signed-in',
    query: z.object({
      /** Id or account name; absent: the caller, by the credential he asks with. */
      subject: personReference.optional(),
      action: actionSchema,
      experiment: nameSchema.optional(),
      /** `bucket` or `bucket/key`. */
      place: placeSchema.optional(),
      /** Whose thing it is: id or account name. */
      owner: personReference.optional(),
      group: z.string().max(255).startsWith('/').optional(),
    }),
    answer: explanationSchema,
  },
  whoCan: {
    method: 'GET',
    path: '/api/identity/decisions/who-can',
    summary: 'Everybody who may do this in an experiment, and by what',
    permission: { action: 'audit.read', of: 'query.experiment' },
    query: pageQuery.extend({ action: actionSchema, experiment: nameSchema, place: placeSchema.optional() }),
    answer: pageOf(whoCanSchema),
  },
  listBrokenGlass: {
    method: 'GET',
    path: '/api/identity/break-glass',
    summary: 'Rights to read that site admins have taken: of an experiment for its admins, all for site admins',
    permission: { action: 'audit.read', of: 'loaded' },
    query: z.object({ experiment: nameSchema.optional() }),
    answer: z.object({ items: z.array(brokenGlassSchema) }),
  },
  breakGlass: {
    method: 'POST',
    path: '/api/identity/break-glass',
    summary:
      'Take a right to read in an experiment, for a reason, an hour at most; its admins are told. Needs a fresh proof',
    permission: { action: 'site.admin', of: 'site' },
    body: z.strictObject({
      experiment: nameSchema,
      reason: z.string().trim().min(10, 'say in a sentence what it is for').max(500),
      durationMs: z.number().int().min(60_000).max(longestGlassMs).default(longestGlassMs),
    }),
    answer: brokenGlassSchema,
  },
  mendGlass: {
    method: 'POST',
    path: '/api/identity/break-glass/:glass/end',
    summary: 'End such a right now: who took it, any site admin, the admins of the experiment',
    permission: { action: 'experiment.admin', of: 'loaded' },
    params: z.object({ glass: z.string().max(64) }),
    answer: brokenGlassSchema,
  },
} as const satisfies Routes
