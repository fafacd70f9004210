/** What the owners of a key-bound machine declared for it, and until when it may. */
import { parseCapability } from '../decisions/capability.ts'
import type { Capability } from '../subject.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'

export interface MachineTerms {
  declared: Capability[]
  untilMs: number
}

/** By the machine's id. Machines that only have an access key are not among them. */
export async function readMachineTerms(
  kysely: IdentityKysely | IdentityTransaction,
): Promise<Map<string, MachineTerms>> {
  const rows = await kysely.selectFrom('identity_machine').selectAll().execute()
  return new Map(
    rows.map((row) => [
      row.client_id,
      {
        declared: declaredBy(row.capabilities),
        untilMs: row.expires_at_ms,
      },
    ]),
  )
}

export function declaredBy(text: string): Capability[] {
  return declaredOf(text).flatMap((one) => parseCapability(one) ?? [])
}

export function declaredOf(text: string): string[] {
  return JSON.parse(text) as string[]
}
