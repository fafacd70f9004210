import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** The agents on the DAQ machines and when each was last heard of. */
export const ingest0001: Migration = {
  async up(database: Kysely<any>): Promise<void> {
    await database.schema
      .createTable('ingest_agent')
      .addColumn('experiment', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('setup', 'text', (column) => column.notNull())
      .addColumn('series', 'text', (column) => column.notNull())
      .addColumn('host', 'text', (column) => column.notNull())
      .addColumn('directory', 'text', (column) => column.notNull())
      .addColumn('version', 'text', (column) => column.notNull())
      .addColumn('first_seen_ms', 'bigint', (column) => column.notNull())
      .addColumn('last_seen_ms', 'bigint', (column) => column.notNull())
      .addColumn('waiting_runs', 'bigint', (column) => column.notNull())
      .addColumn('waiting_bytes', 'bigint', (column) => column.notNull())
      .addColumn('free_bytes', 'bigint')
      .addColumn('trouble', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('ingest_agent_key', ['experiment', 'name'])
      .execute()
  },
}
