/** `cygnet move`: the whole database from SQLite to PostgreSQL and back, proven equal before the setting is switched. */
import type { Command } from 'commander'
import { join, resolve } from 'node:path'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { editConfig } from '../foundation/config.ts'
import { openDatabase, type DatabaseAddress } from '../foundation/database.ts'
import { compareDatabases, finishMove, moveDatabase, type MoveProgress } from '../foundation/database-move.ts'
import { failpoint } from '../foundation/failpoints.ts'
import { acquireLock } from '../foundation/lock.ts'
import { createLogger } from '../foundation/log.ts'
import { verifyAudit, type AuditPlaces, type AuditReport } from '../identity/index.ts'
import {
  databaseAddressOf,
  databaseCopiesFolder,
  defaultDatabaseUrl,
  readMoveMark,
  writeMoveMark,
  type MoveMark,
} from './database-place.ts'
import { shellFaults } from './errors.ts'
import { homeAt, prepareHome, type Home } from './home.ts'
import { readSettings } from './settings.ts'
import { roomMigrations } from './room-migrations.ts'

interface MoveFlags {
  to?: string
  back?: boolean
  verify?: boolean
  passwordFile?: string
}

export function registerMoveCommand(program: Command, context: CommandContext): void {
  addVerb(program, 'move', {
    summary: 'move the whole database to PostgreSQL or back to SQLite while the platform is stopped',
    example: 'cygnet move --to postgres://cygnet@db.example.org/cygnet --password-file /etc/cygnet/database.password',
  })
    .option('--to <address>', "'sqlite' (the home), sqlite:/path or postgres://user@host/name, which must be empty")
    .option('--password-file <path>', 'file (0600) with the password for --to')
    .option('--back', 'return to the database that the last move left, with everything written since')
    .option('--verify', 'change nothing: compare the database in use with --to, or with the one the last move left')
    .action(async (flags: MoveFlags) => {
      const home = homeAt(context.home)
      await prepareHome(home)
      await using _lock = await acquireLock(join(home.run, 'supervisor.lock')).catch((cause: unknown) => {
        throw shellFaults.alreadyRunning('The platform runs; the database can only be moved while it is stopped.', {
          cause,
          hint: 'Stop it (Ctrl-C where cygnet up runs), move, and start it again.',
        })
      })
      const from = databaseAddressOf(home, await readSettings(home, undefined))
      const mark = await readMoveMark(home)
      if (flags.verify) return await verify(context, home, from, otherOf(flags, home, mark, from) ?? leftBy(mark, from))
      if (mark?.state === 'switching' && mark.to.url === from.url) return await finish(context, home, mark)
      const to = otherOf(flags, home, mark, from)
      if (to === undefined) throw shellFaults.usage('Say where to: cygnet move --to postgres://… or --to sqlite')
      await move(context, home, mark, from, to)
    })
}

/** Where the flags say; for `--back` the one that was left, or the one that an interrupted return was going to. */
function otherOf(
  { to, back, passwordFile }: MoveFlags,
  home: Home,
  mark: MoveMark | undefined,
  from: DatabaseAddress,
): DatabaseAddress | undefined {
  if (back) {
    const left = mark?.state === 'switching' && mark.from.url === from.url ? mark.to : leftBy(mark, from)
    if (to !== undefined) throw shellFaults.usage('--back knows where to; leave --to out.')
    return left
  }
  if (to === undefined) return undefined
  return {
    url: to === 'sqlite' ? defaultDatabaseUrl(home) : to,
    ...(passwordFile !== undefined && { passwordFile: resolve(passwordFile) }),
  }
}

function leftBy(mark: MoveMark | undefined, current: DatabaseAddress): DatabaseAddress {
  if (mark?.state === 'moved' && mark.to.url === current.url) return mark.from
  throw shellFaults.usage('No move has left another database to return to or compare with; name one with --to.')
}

async function move(
  { output }: CommandContext,
  home: Home,
  mark: MoveMark | undefined,
  from: DatabaseAddress,
  to: DatabaseAddress,
): Promise<void> {
  const startedMs = performance.now()
  output.line(`from ${from.url}\nto   ${to.url}`)
  let audit: AuditReport | undefined
  const switching: MoveMark = { from, to, atMs: Date.now(), state: 'switching' }
  const report = await moveDatabase({
    from,
    to,
    rooms: roomMigrations,
    mayReplace: mark?.state === 'moved' && mark.from.url === to.url && mark.to.url === from.url,
    copiesFolder: databaseCopiesFolder(home),
    log: createLogger({ process: 'move', destination: join(home.logs, 'move.log') }),
    onProgress: calm((progress) => output.progress(wordsOf(progress))),
    async switchOver(copy) {
      audit = await verifyAudit(copy, auditPlaces(home), Date.now())
      await writeMoveMark(home, switching)
      await failpoint('move.switching')
      const isDefault = to.url === defaultDatabaseUrl(home)
      await editConfig(home.config, [
        { path: ['database', 'url'], value: isDefault ? undefined : to.url },
        { path: ['database', 'passwordFile'], value: to.passwordFile },
      ])
      await failpoint('move.switched')
      await writeMoveMark(home, { ...switching, state: 'moved' })
      await failpoint('move.marked')
    },
  })
  output.progress('')
  const rows = report.tables.reduce((sum, table) => sum + table.rows, 0)
  const tookMs = Math.round(performance.now() - startedMs)
  if (output.isJson) return output.json({ from: from.url, to: to.url, rows, tookMs, ...report, audit: inShort(audit) })
  output.table(report.tables, ['name', 'rows', 'sha256'])
  output.line(`Moved and verified: ${rows} rows in ${report.tables.length} tables, ${(tookMs / 1000).toFixed(1)} s.`)
  output.line(auditWords(audit))
  output.line(`The old database is untouched. Start with: cygnet up    Return with: cygnet move --back`)
  if (report.putAside !== undefined) output.line(`What was there before is kept: ${report.putAside}`)
}

/** A move died after it had switched the setting: all that is left to do is to say so. */
async function finish({ output }: CommandContext, home: Home, mark: MoveMark): Promise<void> {
  await finishMove(mark.to)
  await writeMoveMark(home, { ...mark, state: 'moved' })
  if (output.isJson) return output.json({ from: mark.from.url, to: mark.to.url, finished: true })
  output.line(`The interrupted move to ${mark.to.url} was already complete; it is in use now.`)
}

async function verify(
  { output }: CommandContext,
  home: Home,
  from: DatabaseAddress,
  to: DatabaseAddress,
): Promise<void> {
  const onProgress = calm((progress) => output.progress(wordsOf(progress)))
  const tables = await compareDatabases({ from, to, onProgress })
  output.progress('')
  const audit = await auditAt(home, from)
  if (output.isJson) return output.json({ from: from.url, to: to.url, equal: true, tables, audit: inShort(audit) })
  output.table(tables, ['name', 'rows', 'sha256'])
  output.line(`${from.url} and ${to.url} hold the same.`)
  output.line(auditWords(audit))
}

const auditPlaces = (home: Home): AuditPlaces => ({ secretsDirectory: home.secrets, auditFolder: home.audit })

async function auditAt(home: Home, address: DatabaseAddress): Promise<AuditReport> {
  await using database = await openDatabase({ ...address, exclusive: true })
  return await verifyAudit(database, auditPlaces(home), Date.now())
}

function inShort(audit: AuditReport | undefined) {
  return audit && { whole: audit.whole, rows: audit.rows }
}

/** A copy of an audit that was not whole is no better, and no worse: the move says so and goes on. */
function auditWords(audit: AuditReport | undefined): string {
  if (audit === undefined) return ''
  if (audit.whole) return `The chain of the audit is whole: ${audit.rows} rows.`
  return `The audit was copied as it is, and it is not whole: row ${audit.faults[0]!.sequence}: ${audit.faults[0]!.what}. See: cygnet audit verify`
}

function wordsOf({ step, table, rows }: MoveProgress): string {
  return step === 'copying' ? `copying ${table}: ${rows} rows` : `comparing ${table}`
}

/** At most twice a second. */
function calm(tell: (progress: MoveProgress) => void): (progress: MoveProgress) => void {
  let toldMs = 0
  return (progress) => {
    if (performance.now() - toldMs < 500) return
    toldMs = performance.now()
    tell(progress)
  }
}
