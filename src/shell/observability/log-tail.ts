/** The last warnings and errors of all processes, out of their logs: the newest first, with what they can be found by. */
import { open, readdir } from 'node:fs/promises'
import { join } from 'node:path'

export interface LoggedTrouble {
  atMs: number
  level: 'warn' | 'error' | 'fatal'
  process: string
  message: string
  /** As in the log: `grep` finds everything of the same request, run or job by it. */
  requestId?: string
  jobId?: string
  run?: string
}

/** As much of the end of each log as is read: some thousand lines. */
const tailBytes = 256 * 1024
const troubled = new Set(['warn', 'error', 'fatal'])

export async function recentTrouble(folder: string, most: number): Promise<LoggedTrouble[]> {
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.log'))
  const perFile = await Promise.all(names.map((name) => troubleIn(join(folder, name), name.replace(/\.log$/, ''))))
  return perFile
    .flat()
    .sort((one, other) => other.atMs - one.atMs)
    .slice(0, most)
}

async function troubleIn(path: string, process: string): Promise<LoggedTrouble[]> {
  const lines = (await endOf(path)).split('\n')
  const found = []
  for (const line of lines) {
    // Cheap first: nearly all lines are of no trouble.
    if (!/"level":"(warn|error|fatal)"/.test(line)) continue
    const trouble = troubleOf(line, process)
    if (trouble !== undefined) found.push(trouble)
  }
  // The newest first, of equal times the later line.
  return found.reverse()
}

/** A line of a log, or undefined when it is cut, foreign, or of no trouble. */
export function troubleOf(line: string, process: string): LoggedTrouble | undefined {
  let entry: Record<string, unknown>
  try {
    entry = JSON.parse(line) as Record<string, unknown>
  } catch {
    return undefined
  }
  const atMs = Date.parse(String(entry.time))
  if (!troubled.has(String(entry.level)) || Number.isNaN(atMs)) return undefined
  const cause = messageOf(entry.err) ?? messageOf(entry.error)
  const message = [textOf(entry.msg), cause].filter((part) => part !== undefined).join(': ')
  const context: Partial<LoggedTrouble> = {}
  for (const name of ['requestId', 'jobId', 'run'] as const) {
    const value = textOf(entry[name])
    if (value !== undefined) context[name] = value
  }
  return { atMs, level: entry.level as LoggedTrouble['level'], process, message, ...context }
}

function messageOf(error: unknown): string | undefined {
  return typeof error === 'object' && error !== null ? textOf((error as { message?: unknown }).message) : undefined
}

function textOf(value: unknown): string | undefined {
  return typeof value === 'string' && value !== '' ? value.slice(0, 500) : undefined
}

async function endOf(path: string): Promise<string> {
  const handle = await open(path, 'r').catch(() => undefined)
  if (handle === undefined) return ''
  try {
    const { size } = await handle.stat()
    const start = Math.max(0, size - tailBytes)
    const bytes = Buffer.alloc(size - start)
    const { bytesRead } = await handle.read(bytes, 0, bytes.length, start)
    return bytes.toString('utf8', 0, bytesRead)
  } finally {
    await handle.close()
  }
}
