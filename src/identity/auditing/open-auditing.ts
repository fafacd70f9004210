/** The audit as it lives: the head kept outside the database, a file a day, what was denied, and whether it is whole. */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import type { OpenedDatabase } from '../../foundation/database.ts'
import { printTime } from '../../foundation/time.ts'
import { auditHead, platformOrigin, type Origin } from '../audit.ts'
import type { Room } from '../room.ts'
import { tablesOf, type IdentityKysely } from '../tables.ts'
import { anchorPath, readAnchor, writeAnchor, type Anchor } from './anchor.ts'
import { beginning, type AuditRow, type Head } from './chain.ts'
import type { auditReportSchema } from './contract.ts'
import { closingOf, dailyFiles, writeDailyFile, type DailyFile } from './daily-files.ts'
import { createDenials, type Denials } from './denials.ts'
import { auditRows } from './search.ts'
import { checkDailyFiles, missingEnd, walkChain, type Found, type Mark } from './verification.ts'

export type AuditReport = z.infer<typeof auditReportSchema>

export interface AuditPlaces {
  secretsDirectory: string
  /** Where the daily files go; none are written without it. */
  auditFolder?: string | undefined
}

export interface Auditing {
  readonly denials: Denials
  /** Compares everything there is. */
  verify(): Promise<AuditReport>
  /** What is wrong now is known; goes into the chain and beside it. */
  accept(origin: Origin, reason: string): Promise<AuditReport>
  /** Writes the file of the days before today, once a day, and looks the chain over. */
  daily(): Promise<void>
  /** What a site admin should look at. */
  trouble(): { what: string; hint: string } | undefined
  close(): Promise<void>
}

const keepHeadAfterMs = 1000
const dayMs = 86_400_000
const mostShown = 100
const secretsName = 'the secrets folder'

/** Looks at what is kept, without changing anything; also for a database nobody uses. */
export async function verifyAudit(
  database: Pick<OpenedDatabase, 'kysely'>,
  places: AuditPlaces,
  nowMs: number,
): Promise<AuditReport> {
  return reportOf(await lookThrough(database, places), nowMs)
}

interface Looked {
  rows: number
  head: Head
  files: number
  faults: (Found & { accepted: boolean })[]
}

async function lookThrough(database: Pick<OpenedDatabase, 'kysely'>, places: AuditPlaces): Promise<Looked> {
  const { anchor, faults: anchorFaults } = await anchorAt(places)
  const files = places.auditFolder === undefined ? undefined : await checkDailyFiles(places.auditFolder)
  const marks: Mark[] = [...(files?.marks ?? [])]
  if (anchor !== undefined) marks.push(markOf(anchor))
  const inFiles: Found[] = []
  const { rows, head, faults } = await walkChain(auditRows(tablesOf(database as OpenedDatabase)), {
    marks,
    onRow: (row) => inFiles.push(...fileFaults(row, files?.hashes)),
  })
  const accepted = new Set(anchor?.accepted)
  const all = [...anchorFaults, ...faults, ...inFiles, ...(files?.faults ?? [])]
  const marked = all.map((fault) => ({ ...fault, accepted: accepted.has(fingerprint(fault)) }))
  return { rows, head, files: files?.files ?? 0, faults: marked }
}

function reportOf({ rows, head, files, faults }: Looked, nowMs: number): AuditReport {
  const open = faults.filter((fault) => !fault.accepted)
  const shown = [...open, ...faults.filter((fault) => fault.accepted)].slice(0, mostShown)
  return {
    whole: open.length === 0,
    rows,
    head,
    files,
    faults: shown.map(({ sequence, what, accepted }) => ({ sequence, what, accepted })),
    checkedAtMs: nowMs,
  }
}

const markOf = ({ sequence, hash }: Head): Mark => ({ sequence, hash, from: secretsName })
const fingerprint = ({ key }: Found): string => createHash('sha256').update(key).digest('base64url').slice(0, 22)

async function anchorAt({ secretsDirectory }: AuditPlaces): Promise<{ anchor: Anchor | undefined; faults: Found[] }> {
  try {
    return { anchor: await readAnchor(secretsDirectory), faults: [] }
  } catch {
    const what = `${anchorPath(secretsDirectory)} cannot be read`
    return { anchor: undefined, faults: [{ sequence: 0, what, key: 'head' }] }
  }
}

/** The chain knows the hash of each file that was made. */
function fileFaults(row: AuditRow, hashes: ReadonlyMap<string, string> | undefined): Found[] {
  if (row.action !== 'audit-exported') return []
  const present = hashes?.get(row.target)
  if (present === undefined || row.detail.includes(present)) return []
  const what = `${row.target} is not the file that was written`
  return [{ sequence: row.sequence, what, key: `export ${row.hash} ${present}` }]
}

export async function openAuditing(room: Room, places: AuditPlaces): Promise<Auditing> {
  const { database, kysely, clock, log } = room
  const { secretsDirectory, auditFolder } = places
  const start = await anchorAt(places)
  let anchored = start.anchor
  let trouble: string | undefined
  let keeping: Promise<void> = Promise.resolve()
  let timer: NodeJS.Timeout | undefined
  let isClosed = false

  function isNotWhole(what: string): void {
    if (trouble === undefined) log.error({ hint }, what)
    trouble ??= what
  }

  /** Goes on only from what was kept before: while that is missing, what is known of it stays. */
  async function keepHead(accepted?: { fingerprints: string[] }): Promise<void> {
    if (trouble !== undefined) return
    const head = await auditHead(kysely)
    if (accepted === undefined) {
      if (head.hash === anchored?.hash) return
      const lost = anchored && (await lostSince(kysely, anchored, head))
      if (lost !== undefined) return isNotWhole(lost)
    }
    const fingerprints = accepted?.fingerprints ?? anchored?.accepted
    const next = { ...head, atMs: clock.nowMs(), ...(fingerprints && { accepted: fingerprints }) }
    await writeAnchor(secretsDirectory, next)
    anchored = next
  }

  function keepNow(accepted?: { fingerprints: string[] }): Promise<void> {
    const done = keeping.then(() => keepHead(accepted))
    keeping = done.catch((error: unknown) => {
      log.warn({ error }, 'the head of the audit could not be kept in the secrets folder')
    })
    return keeping
  }

  const stopListening = database.onCommit(() => {
    if (isClosed || timer !== undefined) return
    timer = setTimeout(() => {
      timer = undefined
      void keepNow()
    }, keepHeadAfterMs).unref()
  })
  if (start.faults[0] !== undefined) isNotWhole(`The audit cannot be checked: ${start.faults[0].what}.`)
  await keepNow()

  const denials = createDenials({ clock, log, write: (origin, event) => room.audit(kysely, origin, event) })

  async function verify(): Promise<AuditReport> {
    // What was answered is kept first, so that all of it is compared.
    await keepNow()
    const looked = await lookThrough(database, places)
    const open = looked.faults.find((fault) => !fault.accepted)
    if (open === undefined) trouble = undefined
    else isNotWhole(`The audit is not whole: row ${open.sequence}: ${open.what}.`)
    return reportOf(looked, clock.nowMs())
  }

  async function accept(origin: Origin, reason: string): Promise<AuditReport> {
    await keepNow()
    const looked = await lookThrough(database, places)
    const open = looked.faults.filter((fault) => !fault.accepted)
    if (open.length === 0) return reportOf(looked, clock.nowMs())
    const faults = open.slice(0, 20).map(({ sequence, what }) => ({ sequence, what }))
    const { anchor } = await anchorAt(places)
    const kept = anchor && { sequence: anchor.sequence, hash: anchor.hash }
    const detail = { reason, count: open.length, faults, found: looked.head, ...(kept && { kept }) }
    await room.audit(kysely, origin, { action: 'audit-loss-accepted', target: 'audit', detail })
    trouble = undefined
    const earlier = looked.faults.filter((fault) => fault.accepted)
    await keepNow({ fingerprints: [...new Set([...earlier, ...open].map(fingerprint))].slice(-1000) })
    return await verify()
  }

  let exportedDay = ''

  async function daily(): Promise<void> {
    const nowMs = clock.nowMs()
    const today = new Date(nowMs).toISOString().slice(0, 10)
    if (auditFolder === undefined || today === exportedDay) return
    const startOfTodayMs = Math.floor(nowMs / dayMs) * dayMs
    const { previous, after } = await goOnFrom(kysely, auditFolder)
    const last = await kysely
      .selectFrom('identity_audit')
      .select(['sequence', 'at_ms'])
      .where('at_ms', '<', startOfTodayMs)
      .orderBy('sequence', 'desc')
      .limit(1)
      .executeTakeFirst()
    if (last !== undefined && last.sequence > after.sequence) {
      const day = new Date(startOfTodayMs - 1).toISOString().slice(0, 10)
      const rows = auditRows(kysely, {}, { after: after.sequence, until: last.sequence })
      const written = await writeDailyFile(auditFolder, { day, after, previous }, rows)
      if (written !== undefined) {
        const { file, sha256, rows: count } = written
        const detail = { sha256, rows: count, untilSequence: written.head.sequence }
        await room.audit(kysely, platformOrigin, { action: 'audit-exported', target: file, detail })
      }
    }
    await verify()
    exportedDay = today
  }

  return {
    denials,
    verify,
    accept,
    daily,
    trouble: () => (trouble === undefined ? undefined : { what: trouble, hint }),
    async close() {
      await denials.close()
      isClosed = true
      stopListening()
      clearTimeout(timer)
      await keepNow()
    },
  }
}

const hint =
  'See: cygnet audit verify. If an older database was restored on purpose, say so: cygnet audit verify --accept REASON. Otherwise somebody has changed the database or the files: compare them with copies of the daily files.'

/** What was kept of the end of the chain and the database does not have. */
async function lostSince(kysely: IdentityKysely, anchor: Anchor, head: Head): Promise<string | undefined> {
  if (anchor.sequence === 0) return undefined
  const row = await kysely
    .selectFrom('identity_audit')
    .select('hash')
    .where('sequence', '=', anchor.sequence)
    .executeTakeFirst()
  if (row?.hash === anchor.hash) return undefined
  const what =
    row === undefined && head.sequence < anchor.sequence
      ? missingEnd(head, markOf(anchor))
      : `row ${anchor.sequence} is not the one that ${secretsName} knows`
  return `The audit is not whole: ${what}. It was kept ${printTime(anchor.atMs)}.`
}

/** The last file, and the end of the last one that the database still agrees with. */
async function goOnFrom(kysely: IdentityKysely, folder: string): Promise<{ previous?: DailyFile; after: Head }> {
  const files = await dailyFiles(folder)
  let previous: DailyFile | undefined
  for (const file of files.toReversed()) {
    const closing = await closingOf(folder, file)
    previous ??= closing
    const { sequence, hash } = closing.head
    const row = await kysely
      .selectFrom('identity_audit')
      .select('hash')
      .where('sequence', '=', sequence)
      .executeTakeFirst()
    if (row?.hash === hash) return { previous, after: closing.head }
  }
  return { ...(previous && { previous }), after: beginning }
}
