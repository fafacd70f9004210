import type { AnyKysely } from '../../foundation/database.ts'

export async function up({ schema }: AnyKysely): Promise<void> {
  await schema
    .createTable('storage_change_cursor')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('epoch', 'text', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .addColumn('listing', 'text')
    .execute()
}
