import { sql } from 'kysely'
import type { AnyKysely } from '../database.ts'
import { uuid7 } from '../ids.ts'

export async function up(kysely: AnyKysely): Promise<void> {
  await kysely.schema
    .createTable('fact_log')
    .addColumn('id', 'integer', (column) => column.primaryKey())
    .addColumn('epoch', 'text', (column) => column.notNull())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .execute()
  await sql`insert into fact_log (id, epoch, sequence) values (1, ${uuid7()}, 0)`.execute(kysely)
  await kysely.schema
    .createTable('fact')
    .addColumn('sequence', 'bigint', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('subject', 'text', (column) => column.notNull())
    .addColumn('data', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .execute()
  await kysely.schema
    .createTable('fact_cursor')
    .addColumn('name', 'text', (column) => column.primaryKey())
    .addColumn('sequence', 'bigint', (column) => column.notNull())
    .execute()
  await kysely.schema
    .createTable('background_job')
    .addColumn('id', 'text', (column) => column.primaryKey())
    .addColumn('kind', 'text', (column) => column.notNull())
    .addColumn('payload', 'text', (column) => column.notNull())
    .addColumn('idempotency_key', 'text')
    .addColumn('state', 'text', (column) => column.notNull())
    .addColumn('run_after_ms', 'bigint', (column) => column.notNull())
    .addColumn('attempts', 'integer', (column) => column.notNull())
    .addColumn('worker', 'text')
    .addColumn('lease_until_ms', 'bigint')
    .addColumn('reason', 'text')
    .addColumn('created_ms', 'bigint', (column) => column.notNull())
    .addColumn('finished_ms', 'bigint')
    .execute()
  await kysely.schema
    .createIndex('background_job_key')
    .on('background_job')
    .columns(['kind', 'idempotency_key'])
    .unique()
    .execute()
  await kysely.schema
    .createIndex('background_job_due')
    .on('background_job')
    .columns(['state', 'run_after_ms'])
    .execute()
}
