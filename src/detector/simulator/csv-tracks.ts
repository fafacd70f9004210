import { createReadStream } from 'node:fs'
import { createGunzip } from 'node:zlib'
import { pipeline } from 'node:stream'
import { badTracks, checkColumns, depositRow } from './deposit-row.ts'
import type { DepositColumn } from './deposit-row.ts'
import type { DepositRow } from './track-source.ts'

const longestLine = 64 * 1024

/**
 * Rows of a text file: a first line with the names of the columns in any order, separated by comma, semicolon or tab; empty lines and lines beginning
 * with # are left out. In constant memory.
 */
export async function* csvRows(
  path: string,
  name: string,
  signal?: AbortSignal,
): AsyncGenerator<{ row: DepositRow; place: string }> {
  let separator = ','
  let columns: Map<string, number> | undefined
  for await (const { line, number } of lines(path, name, signal)) {
    const text = line.trim()
    if (text === '' || text.startsWith('#')) continue
    const place = `line ${number}`
    if (columns === undefined) {
      separator = [',', ';', '\t'].find((one) => text.includes(one)) ?? ','
      const names = text.split(separator).map((one) => unquoted(one).toLowerCase())
      checkColumns(name, place, names)
      columns = new Map(names.map((one, index) => [one, index]))
      continue
    }
    const cells = text.split(separator)
    if (cells.length !== columns.size && !(cells.length === columns.size + 1 && cells.at(-1) === ''))
      throw badTracks(name, place, `${cells.length} values where the first line names ${columns.size} columns.`)
    const known = columns
    const valueOf = (column: DepositColumn): string | undefined => {
      const index = known.get(column)
      return index === undefined ? undefined : unquoted(cells[index] as string)
    }
    yield { row: depositRow(name, place, valueOf), place }
  }
  if (columns === undefined) throw badTracks(name, 'line 1', 'the file is empty.', 'The first line names the columns.')
}

const unquoted = (cell: string): string =>
  cell
    .trim()
    .replace(/^"(.*)"$/, '$1')
    .trim()

async function* lines(
  path: string,
  name: string,
  signal: AbortSignal | undefined,
): AsyncGenerator<{ line: string; number: number }> {
  const file = createReadStream(path, { highWaterMark: 256 * 1024, ...(signal ? { signal } : {}) })
  // The callback takes the error, the loop throws it.
  const bytes = path.endsWith('.gz') ? pipeline(file, createGunzip(), () => undefined) : file
  const decoder = new TextDecoder('utf-8')
  let rest = ''
  let number = 0
  const tooLong = () =>
    badTracks(name, `line ${number + 1}`, `longer than ${longestLine} characters.`, 'Is it a text file?')
  try {
    for await (const chunk of bytes) {
      const parts = (rest + decoder.decode(chunk as Uint8Array, { stream: true })).split('\n')
      rest = parts.pop() as string
      for (const line of parts) {
        if (line.length > longestLine) throw tooLong()
        yield { line, number: ++number }
      }
      if (rest.length > longestLine) throw tooLong()
    }
  } catch (error) {
    if (
      (error as NodeJS.ErrnoException).code?.startsWith('Z_') ||
      (error as Error).message === 'unexpected end of file'
    )
      throw badTracks(name, `after line ${number}`, 'the compressed file is damaged.', 'Copy it again.')
    throw error
  } finally {
    file.destroy()
  }
  if (rest !== '') yield { line: rest, number: ++number }
}
