import type { AnyKysely } from '../../foundation/database.ts'

export async function up({ schema }: AnyKysely): Promise<void> {
  await schema
    .createTable('identity_break_glass')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('person_id', 'text', (column) => column.notNull())
    .addColumn('experiment', 'text', (column) => column.notNull())
    .addColumn('reason', 'text', (column) => column.notNull())
    .addColumn('taken_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('until_ms', 'bigint', (column) => column.notNull())
    .addColumn('ended_at_ms', 'bigint')
    .addColumn('ended_by', 'text')
    .execute()
  await schema
    .createIndex('identity_break_glass_experiment')
    .on('identity_break_glass')
    .columns(['experiment', 'id'])
    .execute()
  // Which browser session a notebook was opened from, and the absolute end of that.
  await schema.alterTable('identity_content_ticket').addColumn('window_id', 'text').execute()
  await schema.alterTable('identity_content_ticket').addColumn('window_until_ms', 'bigint').execute()
}
