import type { AnyKysely } from '../../foundation/database.ts'

export async function up({ schema }: AnyKysely): Promise<void> {
  await schema
    .createTable('identity_experiment_gid')
    .addColumn('gid', 'integer', (column) => column.primaryKey())
    .addColumn('experiment', 'text', (column) => column.notNull().unique())
    .execute()
}
