import type { Kysely } from 'kysely'
import type { Migration } from 'kysely/migration'

/** Experiments, setups, series, runs with their files, conditions, notes and faults. */
export const logbook0001: Migration = {
  async up(database: Kysely<any>): Promise<void> {
    const { schema } = database
    await schema
      .createTable('logbook_experiment')
      .addColumn('name', 'text', (column) => column.primaryKey())
      .addColumn('title', 'text', (column) => column.notNull())
      .addColumn('template', 'text', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .execute()
    await schema
      .createTable('logbook_setup')
      .addColumn('experiment', 'text', (column) => column.notNull().references('logbook_experiment.name'))
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('title', 'text', (column) => column.notNull())
      .addColumn('series', 'text', (column) => column.notNull())
      .addColumn('first_number', 'bigint', (column) => column.notNull())
      .addColumn('last_number', 'bigint')
      .addPrimaryKeyConstraint('logbook_setup_key', ['experiment', 'name', 'series', 'first_number'])
      .execute()
    await schema
      .createTable('logbook_series')
      .addColumn('experiment', 'text', (column) => column.notNull().references('logbook_experiment.name'))
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('title', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('logbook_series_key', ['experiment', 'name'])
      .execute()
    await schema
      .createTable('logbook_run')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('experiment', 'text', (column) => column.notNull().references('logbook_experiment.name'))
      .addColumn('setup', 'text', (column) => column.notNull())
      .addColumn('series', 'text', (column) => column.notNull())
      .addColumn('number', 'bigint', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('quality', 'text', (column) => column.notNull())
      .addColumn('quality_reason', 'text', (column) => column.notNull())
      .addColumn('description', 'text', (column) => column.notNull())
      .addColumn('text_id', 'text', (column) => column.notNull())
      .addColumn('started_ms', 'bigint')
      .addColumn('ended_ms', 'bigint')
      .addColumn('images', 'bigint')
      .addColumn('triggers', 'bigint')
      .addColumn('size_bytes', 'bigint')
      .addColumn('fault_count', 'bigint', (column) => column.notNull())
      .addColumn('last_seen_ms', 'bigint', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addColumn('updated_ms', 'bigint', (column) => column.notNull())
      .execute()
    await schema
      .createIndex('logbook_run_number')
      .on('logbook_run')
      .columns(['experiment', 'series', 'number'])
      .unique()
      .execute()
    // Holds everything a filter asks for, so that any mixture of filters is a walk along this one index, in order.
    await schema
      .createIndex('logbook_run_filters')
      .on('logbook_run')
      .columns([
        'experiment',
        'series',
        'number',
        'setup',
        'kind',
        'state',
        'quality',
        'fault_count',
        'started_ms',
        'text_id',
        'id',
      ])
      .execute()
    // Recording or not, for each setup.
    await schema
      .createIndex('logbook_run_setup')
      .on('logbook_run')
      .columns(['experiment', 'setup', 'state', 'series', 'number'])
      .execute()
    await schema
      .createTable('logbook_text')
      .addColumn('experiment', 'text', (column) => column.notNull())
      .addColumn('id', 'text', (column) => column.notNull())
      .addColumn('search_text', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('logbook_text_key', ['experiment', 'id'])
      .execute()
    await schema
      .createTable('logbook_run_file')
      .addColumn('run_id', 'text', (column) => column.notNull().references('logbook_run.id'))
      .addColumn('bucket', 'text', (column) => column.notNull())
      .addColumn('key', 'text', (column) => column.notNull())
      .addColumn('role', 'text', (column) => column.notNull())
      .addColumn('state', 'text', (column) => column.notNull())
      .addColumn('size_bytes', 'bigint')
      .addColumn('sha256', 'text')
      .addColumn('expected_sha256', 'text')
      .addColumn('etag', 'text')
      .addColumn('verified_ms', 'bigint')
      .addColumn('reason', 'text', (column) => column.notNull())
      .addColumn('updated_ms', 'bigint', (column) => column.notNull())
      .addPrimaryKeyConstraint('logbook_run_file_key', ['bucket', 'key'])
      .execute()
    await schema.createIndex('logbook_run_file_run').on('logbook_run_file').column('run_id').execute()
    await schema
      .createTable('logbook_condition')
      .addColumn('run_id', 'text', (column) => column.notNull().references('logbook_run.id'))
      .addColumn('path', 'text', (column) => column.notNull())
      .addColumn('moment', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('number_value', 'double precision')
      .addColumn('text_value', 'text')
      .addColumn('unit', 'text', (column) => column.notNull())
      .addPrimaryKeyConstraint('logbook_condition_key', ['run_id', 'path', 'moment'])
      .execute()
    await schema
      .createTable('logbook_note')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('experiment', 'text', (column) => column.notNull().references('logbook_experiment.name'))
      .addColumn('run_id', 'text', (column) => column.references('logbook_run.id'))
      .addColumn('text', 'text', (column) => column.notNull())
      .addColumn('author', 'text', (column) => column.notNull())
      .addColumn('author_id', 'text', (column) => column.notNull())
      .addColumn('at_ms', 'bigint', (column) => column.notNull())
      .execute()
    await schema.createIndex('logbook_note_experiment').on('logbook_note').columns(['experiment', 'id']).execute()
    await schema.createIndex('logbook_note_run').on('logbook_note').columns(['run_id', 'id']).execute()
    await schema
      .createTable('logbook_fault')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('experiment', 'text', (column) => column.notNull().references('logbook_experiment.name'))
      .addColumn('run_id', 'text', (column) => column.references('logbook_run.id'))
      .addColumn('topic', 'text', (column) => column.notNull())
      .addColumn('code', 'text', (column) => column.notNull())
      .addColumn('severity', 'text', (column) => column.notNull())
      .addColumn('detail', 'text', (column) => column.notNull())
      .addColumn('hint', 'text', (column) => column.notNull())
      .addColumn('place', 'text', (column) => column.notNull())
      .addColumn('first_ms', 'bigint', (column) => column.notNull())
      .addColumn('last_ms', 'bigint', (column) => column.notNull())
      .addColumn('resolved_ms', 'bigint')
      .execute()
    await schema
      .createIndex('logbook_fault_topic')
      .on('logbook_fault')
      .columns(['experiment', 'topic'])
      .unique()
      .execute()
    await schema.createIndex('logbook_fault_run').on('logbook_fault').column('run_id').execute()
  },
}
