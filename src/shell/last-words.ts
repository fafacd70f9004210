/** What a process said before it ended, for the person who asks why: the newest error of its log, in one line. */
import { open, stat } from 'node:fs/promises'
import { logPathOf } from './process-records.ts'
import type { Home } from './home.ts'

const lookedAtBytes = 64 * 1024

export async function logEnd(home: Home, name: string): Promise<number> {
  return (await stat(logPathOf(home, name)).catch(() => undefined))?.size ?? 0
}

/** From `sinceByte` of its log on (`logEnd` of before it was started). */
export async function lastWords(home: Home, name: string, sinceByte: number): Promise<string> {
  const path = logPathOf(home, name)
  const file = await open(path).catch(() => undefined)
  if (!file) return `its log ${path} cannot be read`
  try {
    const { size } = await file.stat()
    const from = Math.max(size < sinceByte ? 0 : sinceByte, size - lookedAtBytes)
    const { buffer, bytesRead } = await file.read(Buffer.alloc(size - from), 0, size - from, from)
    const lines = buffer.toString('utf8', 0, bytesRead).split('\n').filter(Boolean)
    const words = lines.map(errorIn).findLast((each) => each !== undefined)
    return words ?? `it said nothing; see ${path}`
  } finally {
    await file.close()
  }
}

function errorIn(line: string): string | undefined {
  if (!line.startsWith('{')) return /^(\w*Error|Fault)\b.*: /.test(line) ? line.slice(0, 400) : undefined
  try {
    const { level, msg, err, error } = JSON.parse(line) as Partial<Record<string, unknown>>
    if (level !== 'fatal' && level !== 'error') return undefined
    const message = ((err ?? error) as { message?: unknown } | undefined)?.message
    return [msg, message]
      .filter((part) => typeof part === 'string')
      .join(': ')
      .slice(0, 400)
  } catch {
    return undefined
  }
}
