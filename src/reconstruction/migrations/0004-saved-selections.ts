import type { AnyKysely, Migration } from '../../foundation/database.ts'

/** Selections of results that people keep under a name. */
export const reconstruction0004: Migration = {
  async up(database: AnyKysely): Promise<void> {
    const { schema } = database
    await schema
      .createTable('reconstruction_saved_selection')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('experiment', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('address', 'text', (column) => column.notNull())
      .addColumn('owner_id', 'text', (column) => column.notNull())
      .addColumn('owner_name', 'text', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .execute()
    await schema
      .createIndex('reconstruction_saved_selection_name')
      .unique()
      .on('reconstruction_saved_selection')
      .columns(['experiment', 'name'])
      .execute()
  },
}
