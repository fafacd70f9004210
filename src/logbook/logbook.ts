/** The logbook opened on a database: what the index promises, in one value. */
import type { FastifyInstance } from 'fastify'
import { transact, type AnyTransaction, type OpenedDatabase } from '../foundation/database.ts'
import type { Facts } from '../foundation/facts.ts'
import type { Gate } from '../foundation/http.ts'
import type { Clock } from '../foundation/time.ts'
import { conditionOfRuns, listConditions, replaceConditions, type ConditionValue } from './conditions.ts'
import type { Progress } from './contract.ts'
import * as experiments from './experiments.ts'
import * as faults from './faults.ts'
import { ProgressBoard } from './live-events.ts'
import * as notes from './notes.ts'
import { recordingStatus } from './recording.ts'
import { showExperiment, showRun } from './run-detail.ts'
import * as files from './run-files.ts'
import { listRuns } from './run-list.ts'
import { findRunRow, requireRunRow, runOfRow, runRowById } from './run-rows.ts'
import * as runs from './runs.ts'
import { bindLogbookRoutes } from './routes.ts'

export interface LogbookOptions {
  database: OpenedDatabase
  facts: Facts
  clock: Clock
  /** Beginnings of the kinds of facts that live pages may hear, besides the logbook's own. */
  liveKinds?: readonly string[]
  /** Who creates an experiment administers it: plugged in by whoever keeps roles; called in the same transaction. */
  admitCreator?: (trx: AnyTransaction, callerId: string, experiment: string) => Promise<void>
}

export type Logbook = ReturnType<typeof openLogbook>

/**
 * Opens the logbook. Functions that change something take the caller's transaction first and append facts in it;
 * functions that read use the database. Times UTC ms, sizes bytes; Faults of `errors.ts`.
 */
export function openLogbook({ database, facts, clock, liveKinds = [], admitCreator = async () => {} }: LogbookOptions) {
  const { kysely } = database
  const board = new ProgressBoard()
  const logbook = {
    createExperiment: (trx: AnyTransaction, given: experiments.NewExperiment) =>
      experiments.createExperiment(trx, given, clock),
    addSetup: (trx: AnyTransaction, experiment: string, given: experiments.NewSetup) =>
      experiments.addSetup(trx, experiment, given, clock),
    listExperiments: () => experiments.listExperiments(kysely),
    requireExperiment: (name: string) => experiments.requireExperiment(kysely, name),
    showExperiment: (name: string) => showExperiment(kysely, name, clock),
    recordingStatus: (experiment: string) => recordingStatus(kysely, experiment, clock),

    openRun: (trx: AnyTransaction, given: runs.RunOpening) => runs.openRun(trx, given, clock),
    noteProgress: (
      trx: AnyTransaction,
      experiment: string,
      reference: string,
      progress: { sizeBytes: number; events: number },
    ) => runs.noteProgress(trx, experiment, reference, progress, clock),
    /** Tells live pages how far a run is; call it after the commit of `noteProgress`. */
    announceProgress: (experiment: string, progress: Progress) => board.announce(experiment, progress),
    markClosing: (trx: AnyTransaction, runId: string, ending: { endedMs: number | null; sizeBytes: number }) =>
      runs.markClosing(trx, runId, ending, clock),
    closeRun: (trx: AnyTransaction, runId: string, closing: runs.RunClosing, same: { sameBytes: boolean }) =>
      runs.closeRun(trx, runId, closing, clock, same),
    updateRun: (
      trx: AnyTransaction,
      experiment: string,
      reference: string,
      change: Parameters<typeof runs.updateRun>[3],
      by: string,
    ) => runs.updateRun(trx, experiment, reference, change, by, clock),

    recordFile: (trx: AnyTransaction, runId: string, news: files.FileNews) => files.recordFile(trx, runId, news, clock),
    replaceConditions: (trx: AnyTransaction, runId: string, values: readonly ConditionValue[]) =>
      replaceConditions(trx, runId, values),
    raiseFault: (trx: AnyTransaction, news: faults.FaultNews) => faults.raiseFault(trx, news, clock),
    resolveFaults: (trx: AnyTransaction, experiment: string, topics: readonly string[]) =>
      faults.resolveFaults(trx, experiment, topics, clock),
    addNote: (
      trx: AnyTransaction,
      experiment: string,
      given: { run?: string | undefined; text: string },
      author: { id: string; name: string },
    ) => notes.addNote(trx, experiment, given, author, clock),

    /** Readers take a transaction too, so that a decision and its effect see the same rows. */
    async findRun(experiment: string, series: string, number: number, trx: AnyTransaction | typeof kysely = kysely) {
      const row = await findRunRow(trx, experiment, series, number)
      return row === undefined ? undefined : runOfRow(row)
    },
    /** The run `series:number`, or Fault 404 that names the last run of the series. */
    requireRun: async (experiment: string, reference: string, trx: AnyTransaction | typeof kysely = kysely) =>
      runOfRow(await requireRunRow(trx, experiment, reference)),
    runById: async (runId: string, trx: AnyTransaction | typeof kysely = kysely) =>
      runOfRow(await runRowById(trx, runId)),
    runFiles: (runId: string, trx: AnyTransaction | typeof kysely = kysely) => files.listFiles(trx, runId),
    findFile: (bucket: string, key: string, trx: AnyTransaction | typeof kysely = kysely) =>
      files.findFile(trx, bucket, key),
    runFaults: (runId: string, trx: AnyTransaction | typeof kysely = kysely) => faults.listFaults(trx, { runId }),
    openFaults: (experiment: string, trx: AnyTransaction | typeof kysely = kysely) =>
      faults.listFaults(trx, { experiment }),
    listRuns: (experiment: string, filter: Parameters<typeof listRuns>[2], page: Parameters<typeof listRuns>[3]) =>
      listRuns(kysely, experiment, filter, page),
    showRun: (experiment: string, reference: string) => showRun(kysely, experiment, reference),
    listConditions: (runId: string, text?: string) => listConditions(kysely, runId, text),
    conditionOfRuns: (runs: Parameters<typeof conditionOfRuns>[1], path: string) => conditionOfRuns(kysely, runs, path),
    listNotes: (
      experiment: string,
      of: { runId?: string | undefined },
      page: { limit: number; cursor?: string | undefined },
    ) => notes.listNotes(kysely, experiment, of, page),

    transact: <Result>(work: (trx: AnyTransaction) => Promise<Result>) => transact(database, work),
    routes: (app: FastifyInstance, gate: Gate): void =>
      bindLogbookRoutes(app, gate, { logbook, facts, board, kinds: ['logbook.', ...liveKinds], admitCreator }),
  }
  return logbook
}
