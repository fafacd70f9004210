import type { AnyKysely } from '../../foundation/database.ts'

/** Sessions know how they began; people are known by identities of issuers. */
export async function up(database: AnyKysely): Promise<void> {
  const sessions = () => database.schema.alterTable('identity_browser_session')
  await sessions()
    .addColumn('method', 'text', (column) => column.notNull().defaultTo('link'))
    .execute()
  await sessions()
    .addColumn('proved_at_ms', 'bigint', (column) => column.notNull().defaultTo(0))
    .execute()
  await sessions().addColumn('two_factors_at_ms', 'bigint').execute()
  await sessions().addColumn('identity_id', 'text').execute()
  await sessions().addColumn('upstream_session', 'text').execute()
  await database.schema
    .createTable('identity_identity')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('person_id', 'text', (column) => column.notNull())
    .addColumn('issuer', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('label', 'text', (column) => column.notNull())
    .addColumn('assurance', 'text', (column) => column.notNull())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('last_used_at_ms', 'bigint', (column) => column.notNull())
    .addUniqueConstraint('identity_identity_issuer_subject', ['issuer', 'subject'])
    .execute()
}
