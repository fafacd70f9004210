/**
 * What a command of the command line is given: the typed client and one way to speak. Data on standard output, talk on
 * standard error; `--json` gives machines the whole truth on standard output.
 */
import type { Command } from 'commander'
import type { Client } from './client.ts'
import type { Contract } from './contract.ts'

export interface CommandContext {
  /** The typed client of a contract at the profile's platform, signed in as its person. */
  client<AnyContract extends Contract>(contract: AnyContract): Client<AnyContract>
  output: Output
  /** Home of the installation (`--home`), for the commands that work on this machine. */
  home: string
  /** Which platform, and as whom. */
  profile: Profile
}

export interface Profile {
  name: string
  /** 'http://127.0.0.1:8410' */
  platformUrl: string
  s3Url?: string
}

export interface Column<Row> {
  title: string
  value: (row: Row) => string | number | null | undefined
  align?: 'left' | 'right'
}

export interface Output {
  /** True when `--json` was given. */
  readonly isJson: boolean
  /** Rows for people; with `--json` the rows themselves as one JSON array. */
  table<Row>(rows: readonly Row[], columns: readonly (Column<Row> | (keyof Row & string))[]): void
  /** A page of a list: `{items, nextCursor}` with `--json`, the same for every list verb; rows and how to go on for people. */
  list<Row>(
    page: { items: readonly Row[]; nextCursor?: string | null },
    columns: readonly (Column<Row> | (keyof Row & string))[],
  ): void
  /** One JSON value on standard output, whether or not `--json` was given. */
  json(value: unknown): void
  /** One text as it is, for `$(…)`; with `--json` as a JSON string. */
  text(value: string): void
  /** Talk for people, on standard error. */
  line(text: string): void
  /** What is going on right now: one line that replaces itself on a terminal; '' ends it. */
  progress(text: string): void
}

export interface OutputStreams {
  stdout: { write(text: string): unknown }
  stderr: { write(text: string): unknown; isTTY?: boolean; columns?: number }
}

export function createOutput({ json, stdout, stderr }: { json: boolean } & OutputStreams): Output {
  let progressShown = ''
  const clearProgress = () => {
    if (progressShown !== '' && stderr.isTTY) stderr.write('\r\u001b[2K')
    progressShown = ''
  }
  return {
    isJson: json,
    table(rows, columns) {
      clearProgress()
      stdout.write(json ? `${JSON.stringify(rows)}\n` : tableText(rows, columns))
    },
    list({ items, nextCursor = null }, columns) {
      clearProgress()
      stdout.write(json ? `${JSON.stringify({ items, nextCursor })}\n` : tableText(items, columns))
      if (!json && nextCursor !== null) stderr.write(`More: add --cursor ${nextCursor}\n`)
    },
    json(value) {
      clearProgress()
      stdout.write(`${JSON.stringify(value)}\n`)
    },
    text(value) {
      clearProgress()
      stdout.write(json ? `${JSON.stringify(value)}\n` : `${value}\n`)
    },
    line(text) {
      clearProgress()
      stderr.write(`${text}\n`)
    },
    progress(text) {
      if (text === progressShown) return
      if (!stderr.isTTY) {
        if (text !== '') stderr.write(`${text}\n`)
      } else {
        clearProgress()
        if (text !== '') stderr.write(text.slice(0, (stderr.columns ?? 80) - 1))
      }
      progressShown = text
    },
  }
}

/** Columns separated by two spaces, titles in upper case, numbers to the right. */
export function tableText<Row>(rows: readonly Row[], columns: readonly (Column<Row> | (keyof Row & string))[]): string {
  const full = columns.map((column): Column<Row> => {
    if (typeof column !== 'string') return column
    return { title: column, value: (row) => row[column] as string | number | null | undefined }
  })
  const cells = rows.map((row) => full.map((column) => column.value(row)))
  const lines = [
    full.map((column) => column.title.toUpperCase()),
    // A reason may have several lines; a row has one.
    ...cells.map((row) => row.map((cell) => String(cell ?? '-').replaceAll(/\s*[\r\n]+\s*/g, ' | '))),
  ]
  const widths = full.map((_column, index) => Math.max(...lines.map((line) => line[index]!.length)))
  const right = full.map(({ align }, index) => (align ?? (isNumeric(cells, index) ? 'right' : 'left')) === 'right')
  return lines
    .map((line) =>
      line.map((cell, index) => (right[index] ? cell.padStart(widths[index]!) : cell.padEnd(widths[index]!))),
    )
    .map((line) => `${line.join('  ').trimEnd()}\n`)
    .join('')
}

function isNumeric(cells: readonly (readonly unknown[])[], index: number): boolean {
  return cells.length > 0 && cells.every((row) => typeof row[index] === 'number' || row[index] == null)
}

export interface VerbDescription {
  summary: string
  /** A whole command line that works: 'cygnet runs list --experiment demo'. */
  example: string
}

/**
 * A verb with what every verb has: `--json` and an example in its help. `nameAndArguments` like 'list' or
 * 'show <run>'; add options and `.action(...)` to what it returns. Errors are thrown: the command line renders a Fault
 * and ends with its exit code.
 */
export function addVerb(parent: Command, nameAndArguments: string, { summary, example }: VerbDescription): Command {
  return parent
    .command(nameAndArguments)
    .description(summary)
    .option('--json', 'print the result as JSON on standard output')
    .addHelpText('after', `\nExample:\n  $ ${example}`)
}
