/**
 * Foreign files become known one after the other in the background: hashed and stamped, their bytes untouched. A file
 * that somebody is still writing is left alone until it is quiet.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../foundation/errors.ts'
import type { StorageParts } from './parts.ts'
import { sha256Of } from './sha256-of.ts'

/** A file written within this time may still be growing. */
const quietMs = 2000
/** Further ones are found again by the next listing. */
const maxWaiting = 10_000

export interface Adopter {
  add(bucket: string, key: string): void
  /** Resolves when everything asked for so far is done. */
  settled(): Promise<void>
  close(): Promise<void>
}

export function createAdopter(parts: () => StorageParts): Adopter {
  const waiting = new Map<string, { bucket: string; key: string }>()
  const closing = new AbortController()
  let running: Promise<void> | undefined

  async function run(): Promise<void> {
    for (const [id, { bucket, key }] of waiting) {
      if (closing.signal.aborted) return
      waiting.delete(id)
      await adopt(bucket, key)
    }
  }

  async function adopt(bucket: string, key: string): Promise<void> {
    const { files, log } = parts()
    try {
      for (let attempt = 0; attempt < 10 && !closing.signal.aborted; attempt += 1) {
        const found = files.locate(bucket, key)
        found?.directory.close()
        if (found === undefined || found.metadata !== undefined) return
        const ageMs = Date.now() - Number(found.stat.mtimeNs / 1_000_000n)
        if (ageMs >= quietMs || ageMs < 0) return void (await sha256Of(parts(), bucket, key))
        await sleep(quietMs - ageMs, undefined, { signal: closing.signal, ref: false })
      }
    } catch (error) {
      if (closing.signal.aborted || (error instanceof Fault && error.status < 500)) return
      log.warn({ error, bucket, key }, 'a foreign file could not be adopted')
    }
  }

  return {
    add(bucket, key) {
      if (closing.signal.aborted || waiting.size >= maxWaiting) return
      waiting.set(`${bucket}/${key}`, { bucket, key })
      running ??= run().finally(() => {
        running = undefined
      })
    },
    async settled() {
      while (running !== undefined) await running
    },
    async close() {
      closing.abort()
      await running
    },
  }
}
