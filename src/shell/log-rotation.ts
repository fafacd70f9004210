/**
 * Logs of processes, kept small without losing a line: the supervisor renames a log that has grown, and the process
 * goes on writing into the renamed file until it sees, within a second, that its file has another name
 * (foundation/log.ts).
 */
import { readdir, rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Logger } from '../foundation/log.ts'

interface RotationRules {
  largestBytes: number
  /** Files of one process, the one in use included. */
  files: number
}

const rules: RotationRules = { largestBytes: 10 * 1024 * 1024, files: 10 }

export async function keepLogsSmall(
  folder: string,
  log: Logger,
  { largestBytes, files }: RotationRules = rules,
): Promise<void> {
  try {
    for (const name of await readdir(folder)) {
      const path = join(folder, name)
      if (!name.endsWith('.log') || (await stat(path)).size < largestBytes) continue
      await rm(`${path}.${files - 1}`, { force: true })
      for (let number = files - 2; number >= 1; number--)
        await renameIfThere(`${path}.${number}`, `${path}.${number + 1}`)
      await rename(path, `${path}.1`)
    }
  } catch (error) {
    log.error({ err: error }, 'logs could not be rotated')
  }
}

async function renameIfThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
}
