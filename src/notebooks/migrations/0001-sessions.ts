import type { AnyKysely, Migration } from '../../foundation/database.ts'

export const sessions: Migration = {
  async up(database: AnyKysely) {
    await database.schema
      .createTable('notebook_session')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('job_id', 'text', (column) => column.notNull().unique())
      .addColumn('owner_id', 'text', (column) => column.notNull())
      .addColumn('owner_name', 'text', (column) => column.notNull())
      .addColumn('experiment', 'text', (column) => column.notNull())
      .addColumn('header_key', 'text', (column) => column.notNull())
      .addColumn('living', 'text')
      .addColumn('ready_ms', 'bigint')
      .addColumn('wanted_run', 'text')
      .addColumn('open_path', 'text')
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .execute()
    await database.schema
      .createIndex('notebook_session_living')
      .unique()
      .on('notebook_session')
      .columns(['owner_id', 'experiment', 'living'])
      .execute()
    await database.schema
      .createIndex('notebook_session_list')
      .on('notebook_session')
      .columns(['owner_id', 'created_ms'])
      .execute()
  },
}
