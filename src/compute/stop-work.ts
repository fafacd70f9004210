/** Ends what runs on this machine without a control: `cygnet down --with-jobs`. The next control finds the ends. */
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { isSameProcess, killGroup } from '../foundation/processes.ts'
import { askToStop, readClaim } from './job-folder.ts'

/** A shim gives its payload a few seconds, collects what it made, and writes its end. */
const patienceMs = 60_000
const lookEveryMs = 50

/** Asks every running job and session below `jobsFolder` to end; answers how many there were when none is left. */
export async function stopWork(jobsFolder: string): Promise<number> {
  const running = []
  for (const name of await readdir(jobsFolder).catch(() => [])) {
    const folder = join(jobsFolder, name)
    const shim = await readClaim(folder).catch(() => undefined)
    if (shim === undefined || !isSameProcess(shim)) continue
    running.push(shim)
    await askToStop(folder)
  }
  const deadlineMs = performance.now() + patienceMs
  for (const shim of running) {
    while (isSameProcess(shim)) {
      // Nothing of a job outlives its shim's group; the next control sees that it was cut off.
      if (performance.now() > deadlineMs) killGroup(shim)
      await sleep(lookEveryMs)
    }
  }
  return running.length
}
