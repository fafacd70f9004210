/** The answers of saved-contract.ts. What is kept is the state of the page, read and written anew: a name for a link. */
import type { Kysely, Selectable } from 'kysely'
import type { AnyKysely } from '../../foundation/database.ts'
import type { Handlers } from '../../foundation/http.ts'
import { uuid7 } from '../../foundation/ids.ts'
import type { Clock } from '../../foundation/time.ts'
import type { Logbook } from '../../logbook/index.ts'
import { reconstructionFaults } from '../errors.ts'
import type { SavedSelection, savedSelectionRoutes } from '../saved-contract.ts'
import type { ReconstructionTables, SavedSelectionTable } from '../tables.ts'
import { isReadable, parseRunRange, queryOfResults, resultsOf } from './results-state.ts'

/** Of an experiment: what a list on a page can hold. */
const mostSaved = 200

export function savedSelectionHandlers(context: {
  kysely: AnyKysely
  clock: Clock
  logbook: Pick<Logbook, 'requireExperiment'>
}): Handlers<typeof savedSelectionRoutes> {
  const db: Kysely<ReconstructionTables> = context.kysely
  const ofExperiment = (experiment: string) =>
    db.selectFrom('reconstruction_saved_selection').selectAll().where('experiment', '=', experiment)
  return {
    async listSavedSelections({ params }) {
      await context.logbook.requireExperiment(params.experiment)
      return { items: (await ofExperiment(params.experiment).orderBy('name').execute()).map(savedOf) }
    },
    async saveSelection({ params, body }, { caller }) {
      const { experiment } = params
      await context.logbook.requireExperiment(experiment)
      const address = normalAddress(body.address)
      const saved = await ofExperiment(experiment).execute()
      if (saved.length >= mostSaved)
        throw reconstructionFaults.tooManySaved(`${experiment} keeps ${mostSaved} selections already.`, {
          hint: 'Delete some that nobody needs.',
        })
      const row = await db
        .insertInto('reconstruction_saved_selection')
        .values({
          id: uuid7(),
          experiment,
          name: body.name,
          address,
          owner_id: caller.id,
          owner_name: caller.name,
          created_ms: context.clock.nowMs(),
        })
        .onConflict((conflict) => conflict.columns(['experiment', 'name']).doNothing())
        .returningAll()
        .executeTakeFirst()
      if (row === undefined)
        throw reconstructionFaults.selectionExists(`There is a selection '${body.name}' already.`, {
          hint: 'Choose another name, or delete the other one.',
        })
      return savedOf(row)
    },
    async deleteSavedSelection({ params }, { caller, require }) {
      const { experiment, selection } = params
      const row = await ofExperiment(experiment).where('id', '=', selection).executeTakeFirst()
      if (row === undefined)
        throw reconstructionFaults.noSuchSelection(`${experiment} keeps no selection ${selection}.`, {
          hint: 'It may have been deleted already.',
        })
      if (row.owner_id !== caller.id) require('experiment.admin', experiment)
      await db.deleteFrom('reconstruction_saved_selection').where('id', '=', row.id).execute()
    },
  }
}

function normalAddress(address: string): string {
  const query = new URLSearchParams(address)
  const state = resultsOf((name) => query.get(name) ?? '')
  if (parseRunRange(state.sel) === undefined || !isReadable(state))
    throw reconstructionFaults.unreadableSelection('The selection names no runs, or has cuts that cannot be read.', {
      hint: 'Open it on the results page: it shows what is wrong.',
    })
  const known = Object.entries(queryOfResults(state)).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value]],
  )
  return new URLSearchParams(known).toString()
}

function savedOf(row: Selectable<SavedSelectionTable>): SavedSelection {
  return {
    id: row.id,
    name: row.name,
    address: row.address,
    ownerId: row.owner_id,
    ownerName: row.owner_name,
    createdAtMs: row.created_ms,
  }
}
