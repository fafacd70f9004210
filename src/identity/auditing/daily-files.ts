/**
 * One file per day with the rows of the audit up to its end: read-only, never written again, each naming the hash of the
 * file before. A file begins with where it starts, ends with where it ends, and says nothing that is not in the database
 * on the day it is made. Copies of these files elsewhere prove what the audit was.
 */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { ensureDirectory, fsyncDirectory } from '../../foundation/files.ts'
import type { AuditRow, Head } from './chain.ts'
import { lineOf, rowOfLine } from './export-lines.ts'

const headSchema = z.object({ sequence: z.int().nonnegative(), hash: z.string() })
const firstLine = z.object({
  cygnet: z.literal('audit'),
  version: z.literal(1),
  /** The file before this one. */
  previous: z.object({ file: z.string(), sha256: z.string() }).nullable(),
  after: headSchema,
})
const lastLine = z.object({ rows: z.int().positive(), head: headSchema })

/** Day and last row: names sort in the order in which they were made. */
const namePattern = /^audit-(\d{4}-\d{2}-\d{2})-(\d{15})\.jsonl$/

export interface DailyFile {
  file: string
  sha256: string
  rows: number
  head: Head
}

/** Oldest first. */
export async function dailyFiles(folder: string): Promise<string[]> {
  const names = await readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return []
    throw error
  })
  return names.filter((name) => namePattern.test(name)).toSorted()
}

/** What the name of a file says. */
export function lastRowOf(file: string): number {
  return Number(namePattern.exec(file)?.[2] ?? 0)
}

/** How a file ends, by its own word. */
export async function closingOf(folder: string, file: string): Promise<DailyFile> {
  const { sha256, last } = await readThrough(join(folder, file))
  return { file, sha256, ...lastLine.parse(JSON.parse(last)) }
}

async function readThrough(path: string): Promise<{ sha256: string; last: string }> {
  const hash = createHash('sha256')
  const stream = createReadStream(path)
  stream.on('data', (part) => hash.update(part))
  let last = ''
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) last = line
  return { sha256: hash.digest('hex'), last }
}

/** Writes these rows, which follow `after`; answers nothing if there are none. */
export async function writeDailyFile(
  folder: string,
  { day, after, previous }: { day: string; after: Head; previous?: DailyFile | undefined },
  rows: AsyncIterable<AuditRow>,
): Promise<DailyFile | undefined> {
  await ensureDirectory(folder, 0o700)
  const unfinished = join(folder, 'unfinished.tmp')
  await rm(unfinished, { force: true })
  const hash = createHash('sha256')
  const written = await open(unfinished, 'wx', 0o600)
  let [count, head] = [0, after]
  try {
    let text = ''
    const flush = async (): Promise<void> => {
      hash.update(text)
      await written.write(text)
      text = ''
    }
    const { file, sha256 } = previous ?? {}
    const named = file === undefined ? null : { file, sha256 }
    text = `${JSON.stringify({ cygnet: 'audit', version: 1, previous: named, after })}\n`
    for await (const row of rows) {
      text += lineOf(row)
      count += 1
      head = { sequence: row.sequence, hash: row.hash }
      if (text.length > 65_536) await flush()
    }
    text += `${JSON.stringify({ rows: count, head })}\n`
    await flush()
    // Nobody writes it again, not even its owner by mistake.
    await written.chmod(0o400)
    await written.sync()
  } finally {
    await written.close()
  }
  if (count === 0) {
    await rm(unfinished, { force: true })
    return undefined
  }
  const file = `audit-${day}-${String(head.sequence).padStart(15, '0')}.jsonl`
  await rename(unfinished, join(folder, file))
  await fsyncDirectory(folder)
  return { file, sha256: hash.digest('hex'), rows: count, head }
}

export interface ReadDailyFile {
  file: string
  sha256: string
  /** What it says about the one before; undefined if its first line says nothing. */
  opening: z.infer<typeof firstLine> | undefined
  closing: z.infer<typeof lastLine> | undefined
  /** Lines in between that are no rows. */
  unreadable: number
}

/** Reads a file to its end, giving its rows to `onRow`; what cannot be read is told, not thrown. */
export async function readDailyFile(
  folder: string,
  file: string,
  onRow: (row: AuditRow) => void,
): Promise<ReadDailyFile> {
  const hash = createHash('sha256')
  const stream = createReadStream(join(folder, file))
  stream.on('data', (part) => hash.update(part))
  let [opening, closing, unreadable]: [ReadDailyFile['opening'], ReadDailyFile['closing'], number] = [
    undefined,
    undefined,
    0,
  ]
  let isFirst = true
  for await (const line of createInterface({ input: stream, crlfDelay: Infinity })) {
    if (isFirst) opening = parsed(line, firstLine)
    else if (closing === undefined) {
      closing = parsed(line, lastLine)
      if (closing === undefined) {
        try {
          onRow(rowOfLine(line))
        } catch {
          unreadable += 1
        }
      }
    } else unreadable += 1
    isFirst = false
  }
  return { file, sha256: hash.digest('hex'), opening, closing, unreadable }
}

function parsed<Schema extends z.ZodType>(line: string, schema: Schema): z.output<Schema> | undefined {
  try {
    return schema.parse(JSON.parse(line))
  } catch {
    return undefined
  }
}
