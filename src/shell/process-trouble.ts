/** What the supervisor has seen of processes that do not stay up, for the status page. */
import { readJsonFile } from '../foundation/files.ts'
import type { Home } from './home.ts'
import { supervisionPath, type ProcessState } from './supervisor.ts'

const recentMs = 5 * 60_000

export async function processTrouble(home: Home, nowMs: number) {
  const states = (await readJsonFile<ProcessState[]>(supervisionPath(home)).catch(() => undefined)) ?? []
  return states
    .filter(({ inTrouble, lastEnd }) => inTrouble && lastEnd !== null && lastEnd.atMs > nowMs - recentMs)
    .map(({ name, restarts, lastEnd }) => ({
      grave: true,
      what: `${name} ends again and again: ${restarts} times in five minutes (the last time: ${lastEnd!.reason}).`,
      hint: `Its log says why: ${home.logs}/${name}.log. It is started again ever more slowly.`,
    }))
}
