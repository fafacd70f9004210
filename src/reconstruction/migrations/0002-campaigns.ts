import type { AnyKysely, Migration } from '../../foundation/database.ts'
import { uuid7 } from '../../foundation/ids.ts'

/** Versions of campaigns; tasks know which version they follow and which truth their result was made with. */
export const reconstruction0002: Migration = {
  async up(database: AnyKysely): Promise<void> {
    const { schema } = database
    await schema
      .createTable('reconstruction_campaign')
      .addColumn('id', 'text', (column) => column.primaryKey())
      .addColumn('experiment', 'text', (column) => column.notNull())
      .addColumn('name', 'text', (column) => column.notNull())
      .addColumn('version', 'bigint', (column) => column.notNull())
      .addColumn('kind', 'text', (column) => column.notNull())
      .addColumn('description', 'text', (column) => column.notNull())
      .addColumn('parameters', 'text', (column) => column.notNull())
      .addColumn('preset', 'text')
      .addColumn('script', 'text')
      .addColumn('script_version', 'text', (column) => column.notNull())
      .addColumn('creator_id', 'text', (column) => column.notNull())
      .addColumn('creator_name', 'text', (column) => column.notNull())
      .addColumn('created_ms', 'bigint', (column) => column.notNull())
      .addUniqueConstraint('reconstruction_campaign_version', ['experiment', 'name', 'version'])
      .execute()
    await schema
      .alterTable('reconstruction_task')
      .addColumn('campaign_version', 'bigint', (column) => column.notNull().defaultTo(1))
      .execute()
    await schema.alterTable('reconstruction_task').addColumn('truth_sha256', 'text').execute()
    await schema
      .createIndex('reconstruction_task_campaign')
      .on('reconstruction_task')
      .columns(['experiment', 'campaign', 'state'])
      .execute()
    await adoptNames(database)
  },
}

/** Campaigns that were only a name on a result until now. */
async function adoptNames(database: AnyKysely): Promise<void> {
  const named = await database
    .selectFrom('reconstruction_task')
    .select(['experiment', 'campaign', ({ fn }) => fn.min('created_ms').as('created_ms')])
    .where('campaign', 'not in', ['', 'main'])
    .groupBy(['experiment', 'campaign'])
    .execute()
  for (const { experiment, campaign, created_ms } of named) {
    await database
      .insertInto('reconstruction_campaign')
      .values({
        id: uuid7(),
        experiment,
        name: campaign,
        version: 1,
        kind: 'builtin',
        description: '',
        parameters: '{}',
        preset: null,
        script: null,
        script_version: '',
        creator_id: 'platform',
        creator_name: 'cygnet',
        created_ms,
      })
      .execute()
  }
}
