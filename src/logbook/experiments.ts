/** Experiments, their setups and their number series. */
import type { Kysely, Transaction } from 'kysely'
import type { AnyTransaction } from '../foundation/database.ts'
import type { Clock } from '../foundation/time.ts'
import { appendFact } from '../foundation/facts.ts'
import type { Experiment, Series, Setup } from './contract.ts'
import { logbookFaults } from './errors.ts'
import type { LogbookTables } from './tables.ts'

export interface NewExperiment {
  name: string
  title: string
  template: 'single-setup' | 'empty'
  setup: string
  setupTitle?: string | undefined
  series: string
  seriesTitle?: string | undefined
}

export interface NewSetup {
  name: string
  title?: string | undefined
  series: string
  firstNumber: number
  lastNumber: number | null
}

/** Creates an experiment; 'logbook.experiment-created' tells whoever provides its buckets. Fault 409 if it exists. */
export async function createExperiment(trx: AnyTransaction, given: NewExperiment, clock: Clock): Promise<Experiment> {
  const db: Transaction<LogbookTables> = trx
  const nowMs = clock.nowMs()
  const made = await db
    .insertInto('logbook_experiment')
    .values({ name: given.name, title: given.title, template: given.template, created_ms: nowMs })
    .onConflict((conflict) => conflict.column('name').doNothing())
    .returning('name')
    .executeTakeFirst()
  if (made === undefined) {
    throw logbookFaults.experimentExists(`There is already an experiment '${given.name}'.`, {
      hint: 'Choose another name, or use the one that exists.',
    })
  }
  await appendFact(
    trx,
    {
      kind: 'logbook.experiment-created',
      subject: given.name,
      data: { experiment: given.name, title: given.title },
    },
    clock,
  )
  if (given.template === 'single-setup') {
    const setup = { name: given.setup, title: given.setupTitle, series: given.series, firstNumber: 0, lastNumber: null }
    await addSetup(trx, given.name, setup, clock, given.seriesTitle)
  }
  return { name: given.name, title: given.title, template: given.template, createdMs: nowMs }
}

/** Adds a setup with a range of runs of a series (made if new). Adding the same again changes title and end of range. */
export async function addSetup(
  trx: AnyTransaction,
  experiment: string,
  given: NewSetup,
  clock: Clock,
  seriesTitle?: string,
): Promise<Setup> {
  const db: Transaction<LogbookTables> = trx
  await requireExperiment(db, experiment)
  await db
    .insertInto('logbook_series')
    .values({ experiment, name: given.series, title: seriesTitle ?? given.series })
    .onConflict((conflict) => conflict.columns(['experiment', 'name']).doNothing())
    .execute()
  const setup: Setup = {
    name: given.name,
    title: given.title ?? given.name,
    series: given.series,
    firstNumber: given.firstNumber,
    lastNumber: given.lastNumber,
  }
  await db
    .insertInto('logbook_setup')
    .values({
      experiment,
      name: setup.name,
      title: setup.title,
      series: setup.series,
      first_number: setup.firstNumber,
      last_number: setup.lastNumber,
    })
    .onConflict((conflict) =>
      conflict
        .columns(['experiment', 'name', 'series', 'first_number'])
        .doUpdateSet({ title: setup.title, last_number: setup.lastNumber }),
    )
    .execute()
  await appendFact(
    trx,
    {
      kind: 'logbook.setup-added',
      subject: `${experiment}/${setup.name}`,
      data: { experiment, setup: setup.name, series: setup.series },
    },
    clock,
  )
  return setup
}

export async function listExperiments(database: Kysely<any>): Promise<Experiment[]> {
  const db: Kysely<LogbookTables> = database
  const rows = await db.selectFrom('logbook_experiment').selectAll().orderBy('name').execute()
  return rows.map((row) => ({ name: row.name, title: row.title, template: row.template, createdMs: row.created_ms }))
}

/** The experiment, or Fault 404. */
export async function requireExperiment(database: Kysely<any>, name: string): Promise<Experiment> {
  const db: Kysely<LogbookTables> = database
  const row = await db.selectFrom('logbook_experiment').selectAll().where('name', '=', name).executeTakeFirst()
  if (row === undefined) {
    throw logbookFaults.noSuchExperiment(`There is no experiment '${name}'.`, {
      hint: 'Ask which experiments there are, or see the home page of Cygnet.',
    })
  }
  return { name: row.name, title: row.title, template: row.template, createdMs: row.created_ms }
}

export async function listSetups(database: Kysely<any>, experiment: string): Promise<Setup[]> {
  const db: Kysely<LogbookTables> = database
  const rows = await db
    .selectFrom('logbook_setup')
    .selectAll()
    .where('experiment', '=', experiment)
    .orderBy('name')
    .orderBy('first_number')
    .execute()
  return rows.map((row) => ({
    name: row.name,
    title: row.title,
    series: row.series,
    firstNumber: row.first_number,
    lastNumber: row.last_number,
  }))
}

export async function listSeries(database: Kysely<any>, experiment: string): Promise<Series[]> {
  const db: Kysely<LogbookTables> = database
  const rows = await db
    .selectFrom('logbook_series')
    .select(['name', 'title'])
    .select((eb) =>
      eb
        .selectFrom('logbook_run')
        .select((inner) => inner.fn.max('number').as('last'))
        .whereRef('logbook_run.experiment', '=', 'logbook_series.experiment')
        .whereRef('logbook_run.series', '=', 'logbook_series.name')
        .as('last_number'),
    )
    .where('experiment', '=', experiment)
    .orderBy('name')
    .execute()
  return rows.map((row) => ({ name: row.name, title: row.title, lastNumber: row.last_number ?? null }))
}

/**
 * Checks that a run may be filed: Fault 404 when the setup is unknown or does not take runs of this series (with what
 * is known as the hint), 404 when the number is outside the setup's range.
 */
export async function requireSetup(
  database: Kysely<any>,
  experiment: string,
  place: { setup: string; series: string; number: number },
): Promise<void> {
  const setups = await listSetups(database, experiment)
  const known = setups.map((one) => `${one.name}/${one.series}`).join(', ') || 'none yet'
  const ofName = setups.filter((one) => one.name === place.setup)
  if (ofName.length === 0) {
    await requireExperiment(database, experiment)
    throw logbookFaults.noSuchSetup(`Experiment '${experiment}' has no setup '${place.setup}'.`, {
      hint: `Known (setup/series): ${known}. Add the setup, or put the file under a known one.`,
    })
  }
  const ofSeries = ofName.filter((one) => one.series === place.series)
  if (ofSeries.length === 0) {
    throw logbookFaults.noSuchSeries(`Setup '${place.setup}' does not take runs of series '${place.series}'.`, {
      hint: `Known (setup/series): ${known}. Add the series to the setup, or put the file under a known one.`,
    })
  }
  const inRange = ofSeries.some(
    (one) => place.number >= one.firstNumber && (one.lastNumber === null || place.number <= one.lastNumber),
  )
  if (!inRange) {
    const ranges = ofSeries.map((one) => `${one.firstNumber} to ${one.lastNumber ?? 'now'}`).join(', ')
    throw logbookFaults.noSuchSetup(
      `Run ${place.series}:${place.number} is outside the runs of setup '${place.setup}' (${ranges}).`,
      { hint: 'Extend the setup, or put the file under the setup that took the run.' },
    )
  }
}
