/** Names are for life, and longer: nobody gets one that was somebody else's. */
import { hashOf } from '../seal.ts'
import type { IdentityTransaction } from '../tables.ts'

/** Names of people who were erased, and those that stand for them. */
export async function isFormerName(trx: IdentityTransaction, name: string): Promise<boolean> {
  if (/^former\d+$/.test(name)) return true
  const row = await trx
    .selectFrom('identity_former_name')
    .select('name_hash')
    .where('name_hash', '=', hashOfName(name))
    .executeTakeFirst()
  return row !== undefined
}

/** The name itself is forgotten. */
export function hashOfName(name: string): string {
  return hashOf(`name:${name}`)
}
