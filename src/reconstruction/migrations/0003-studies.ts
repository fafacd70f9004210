import type { AnyKysely, Migration } from '../../foundation/database.ts'

/** Studies: jobs without a run that leave a report. */
export const reconstruction0003: Migration = {
  async up(database: AnyKysely): Promise<void> {
    const { schema } = database
    await schema
      .createTable('reconstruction_study')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('experiment', 'text', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('options', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('reason', 'text')
      .addColumn('job_id', 'text')
      .addColumn('code_version', 'text', (column) => column.notNull())
      .addColumn('bucket', 'text', (column) => column.notNull())
      .addColumn('prefix', 'text', (column) => column.notNull())
      .addColumn('files', 'text', (column) => column.notNull())
      .addColumn('headline', 'text')
      .addColumn('requested_by', 'text', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addColumn('updated_ms', 'bigint', (column) => column.notNull())
      .execute()
    await schema
      .createIndex('reconstruction_study_list')
      .on('reconstruction_study')
      .columns(['experiment', 'kind', 'created_ms', 'id'])
      .execute()
  },
}
