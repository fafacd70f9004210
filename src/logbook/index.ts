/**
 * The door of the logbook: experiments, setups, series, runs with their files, conditions, notes and faults.
 * Functions that change something take the caller's transaction first and append facts in it; all may be repeated.
 */
import { logbook0001 } from './migrations/0001-runs.ts'

export { openLogbook } from './logbook.ts'
export type { Logbook, LogbookOptions } from './logbook.ts'
export type { NewExperiment, NewSetup } from './experiments.ts'
export type { RunClosing, RunOpening } from './runs.ts'
export type { FileNews, StoredRunFile } from './run-files.ts'
export type { FaultNews, StoredFault } from './faults.ts'
export type { ConditionValue } from './conditions.ts'
export type { RunPage } from './run-list.ts'
export { experimentOf } from './commands.ts'

/** For `migrate`: the logbook's migrations in order. */
export const logbookMigrations = { room: 'logbook', migrations: { '0001-runs': logbook0001 } }
