/** What the text filter looks in: every different description of an experiment, once. */
import { createHash } from 'node:crypto'
import type { Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import type { LogbookTables } from './tables.ts'

/** The id of a description's text; equal descriptions, whatever their case, have the same one. */
export function textIdOf(description: string): string {
  return createHash('sha256').update(description.toLowerCase()).digest('hex').slice(0, 16)
}

/** Makes sure that a run with this description can be found by it; gives what its row must carry. */
export async function rememberText(trx: AnyTransaction, experiment: string, description: string): Promise<string> {
  const db: Transaction<LogbookTables> = trx
  const id = textIdOf(description)
  await db
    .insertInto('logbook_text')
    .values({ experiment, id, search_text: description.toLowerCase() })
    .onConflict((conflict) => conflict.columns(['experiment', 'id']).doNothing())
    .execute()
  return id
}
