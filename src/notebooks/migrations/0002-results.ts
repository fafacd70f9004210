import type { AnyKysely, Migration } from '../../foundation/database.ts'

/** Notebooks of results that are still to be written. */
export const results: Migration = {
  async up(database: AnyKysely) {
    await database.schema.alterTable('notebook_session').addColumn('wanted_results', 'text').execute()
  },
}
