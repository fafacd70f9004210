import type { AnyKysely } from '../../foundation/database.ts'
import { beginning, chained, type AuditRow, type Head } from '../auditing/chain.ts'
import { jsonLine } from '../auditing/kept-words.ts'

const rowsAtOnce = 50

/** The audit becomes a chain; the rows there are become its beginning, in their order. */
export async function up(database: AnyKysely): Promise<void> {
  const { schema } = database
  await schema
    .createTable('identity_audit_chain')
    .addColumn('sequence', 'bigint', (column) => column.primaryKey())
    .addColumn('id', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('actor_id', 'text', (column) => column.notNull())
    .addColumn('actor_kind', 'text', (column) => column.notNull())
    .addColumn('actor_name', 'text', (column) => column.notNull())
    .addColumn('credential', 'text', (column) => column.notNull())
    .addColumn('action', 'text', (column) => column.notNull())
    .addColumn('target', 'text', (column) => column.notNull())
    .addColumn('experiment', 'text')
    .addColumn('decision', 'text', (column) => column.notNull())
    .addColumn('address', 'text', (column) => column.notNull())
    .addColumn('request_id', 'text', (column) => column.notNull())
    .addColumn('detail', 'text', (column) => column.notNull())
    .addColumn('prev_hash', 'text', (column) => column.notNull())
    .addColumn('hash', 'text', (column) => column.notNull())
    .execute()
  let head: Head = beginning
  for (let after = ''; ;) {
    const rows = await database
      .selectFrom('identity_audit')
      .selectAll()
      .where('id', '>', after)
      .orderBy('id')
      .limit(rowsAtOnce)
      .execute()
    if (rows.length === 0) break
    const next: AuditRow[] = []
    for (const { id, at_ms, actor_id, actor_kind, actor_name, action, ...row } of rows) {
      const { target, experiment, address, request_id } = row
      const decision = action === 'sign-in-refused' ? 'deny' : 'allow'
      const old = { id, at_ms, actor_id, actor_kind, actor_name, action, target, experiment, address, request_id }
      next.push(chained(head, { ...old, credential: '', decision, detail: jsonLine(JSON.parse(row.detail)) }))
      head = next.at(-1)!
    }
    await database.insertInto('identity_audit_chain').values(next).execute()
    after = rows.at(-1)!.id as string
  }
  await schema.dropTable('identity_audit').execute()
  await schema.alterTable('identity_audit_chain').renameTo('identity_audit').execute()
  // For each question of the search, newest first.
  for (const column of ['actor_id', 'actor_name', 'action', 'target', 'experiment', 'address', 'decision'])
    await schema.createIndex(`identity_audit_by_${column}`).on('identity_audit').columns([column, 'sequence']).execute()
  await schema.createIndex('identity_audit_by_time').on('identity_audit').column('at_ms').execute()
}
