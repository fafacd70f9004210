/**
 * Which troubles the platform was told of, on disk beside the journal: an agent that is killed meanwhile must still say
 * that they are over. Written before the platform is told, removed after it was told of the end.
 */
import { readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { readJsonFile, writeFileDurable } from '../../foundation/files.ts'

const ending = '.trouble.json'
const recordSchema = z.object({ detail: z.string() })

export interface ToldTroubles {
  remember(file: string, detail: string): Promise<void>
  forget(file: string): Promise<void>
  /** What an earlier life of the agent told of this file and did not take back. */
  leftOf(file: string): Promise<string | undefined>
}

export function openToldTroubles(folder: string): ToldTroubles {
  const pathOf = (file: string): string => join(folder, `${file}${ending}`)
  /** Read once: whatever comes later is our own. */
  let left: Promise<Set<string>> | undefined
  const readLeft = async (): Promise<Set<string>> => {
    const names = await readdir(folder).catch(() => [])
    return new Set(names.filter((name) => name.endsWith(ending)).map((name) => name.slice(0, -ending.length)))
  }
  return {
    remember: (file, detail) => writeFileDurable(pathOf(file), JSON.stringify({ detail })),
    forget: (file) => rm(pathOf(file), { force: true }),
    async leftOf(file) {
      const names = await (left ??= readLeft())
      if (!names.delete(file)) return undefined
      return (await readJsonFile(pathOf(file), recordSchema).catch(() => undefined))?.detail ?? 'unknown'
    },
  }
}
