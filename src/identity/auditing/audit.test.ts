/** The audit in a real database, on both kinds: chained in whatever transaction, searched, exported, found out. */
import { appendFile, chmod, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { sql } from 'kysely'
import { describe, expect, test } from 'vitest'
import { migrate, type AnyTransaction } from '../../foundation/database.ts'
import { appendFact } from '../../foundation/facts.ts'
import { uuid7 } from '../../foundation/ids.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { platformOrigin, writeAudit } from '../audit.ts'
import { identityMigrations } from '../index.ts'
import { ownTables, tablesOf } from '../tables.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'
import { anchorPath, readAnchor } from './anchor.ts'
import { verifyAudit } from './open-auditing.ts'
import { rowOfLine } from './export-lines.ts'
import { auditRows } from './search.ts'
import { checkDailyFiles, walkChain } from './verification.ts'

const dayMs = 86_400_000

async function wholeOf(test: TestIdentity) {
  return await verifyAudit(test.database, test, 0)
}

/** What somebody with the database in his hands may do. */
const tableOf = (test: TestIdentity) => tablesOf(test.database)

forEachDatabase('audit', (open) => {
  test('a storm of transactions that change, announce and audit in any order: one chain, nothing lost or doubled', async () => {
    const database = await open()
    await migrate(database, [identityMigrations])
    const clock = fakeClock()
    const audit = (trx: Parameters<typeof writeAudit>[0], target: string) =>
      writeAudit(trx, clock, platformOrigin, { action: 'role-granted', target })
    const fact = { kind: 'identity.subject-changed', subject: 's', data: {} }
    // Without the second try that `transact` gives to whoever lost a race: there must be none to lose.
    const once = <Result>(work: (trx: AnyTransaction) => Promise<Result>) => database.kysely.transaction().execute(work)
    const orders: ((target: string) => Promise<unknown>)[] = [
      (target) => audit(tablesOf(database), target),
      (target) => once((trx) => audit(ownTables(trx), target)),
      (target) =>
        once(async (trx) => {
          await appendFact(trx, fact, clock)
          await audit(ownTables(trx), target)
        }),
      (target) =>
        once(async (trx) => {
          await audit(ownTables(trx), target)
          await appendFact(trx, fact, clock)
          await audit(ownTables(trx), `${target} again`)
        }),
      (target) =>
        once(async (trx) => {
          await audit(ownTables(trx), `${target} rolled back`)
          throw new Error('rolled back')
        }).catch(() => undefined),
    ]
    await Promise.all(Array.from({ length: 60 }, (_, index) => orders[index % orders.length]!(`t${index}`)))
    const targets: string[] = []
    const { rows, faults, head } = await walkChain(auditRows(tablesOf(database)), {
      onRow: (row) => targets.push(row.target),
    })
    expect(faults).toEqual([])
    expect({ rows, head: head.sequence }).toEqual({ rows: 60, head: 60 })
    expect(new Set(targets).size).toBe(60)
    expect(targets.filter((target) => target.includes('rolled back'))).toEqual([])
  })

  test('every question of the search has an index', async () => {
    const database = await open()
    if (database.kind !== 'sqlite') return
    await migrate(database, [identityMigrations])
    const questions = ['actor_id', 'actor_name', 'action', 'target', 'experiment', 'address', 'decision']
    const orders = questions.map((column) => `where ${column} = 'x' order by sequence desc limit 50`)
    for (const text of [...orders, 'where at_ms >= 1 and at_ms < 2', 'where sequence > 5 order by sequence limit 9']) {
      const query = sql<{ detail: string }>`explain query plan select * from identity_audit ${sql.raw(text)}`
      const plan = (await query.execute(database.kysely)).rows.map(({ detail }) => detail).join('; ')
      expect(plan, text).toMatch(/SEARCH/)
      expect(plan, text).not.toMatch(/SCAN|TEMP B-TREE/)
    }
  })

  test('rows written before there was a chain become its beginning, in their order, and none is lost', async () => {
    const database = await open()
    const { '0009-audit-chain': chain, ...before } = identityMigrations.migrations
    await migrate(database, [{ ...identityMigrations, migrations: before }])
    const old = (index: number) => ({
      id: uuid7(1_700_000_000_000 + index),
      at_ms: 1_700_000_000_000 + index,
      actor_id: 'a',
      actor_kind: 'person',
      actor_name: 'anna',
      action: index % 3 === 0 ? 'sign-in-refused' : 'sign-in',
      target: `t${index}`,
      experiment: index % 2 === 0 ? 'cygno' : null,
      address: '::1',
      request_id: 'r',
      detail: JSON.stringify({ index, text: 'né\u200d\u007f', 7: 'x' }),
    })
    const rows = Array.from({ length: 123 }, (_, index) => old(index))
    await database.kysely.insertInto('identity_audit').values(rows).execute()
    await migrate(database, [identityMigrations])
    expect(chain).toBeDefined()
    const walked: unknown[] = []
    const report = await walkChain(auditRows(tablesOf(database)), {
      onRow: ({ id, at_ms, target, experiment, decision, detail }) =>
        walked.push({ id, at_ms, target, experiment, decision, detail: JSON.parse(detail) as unknown }),
    })
    expect(report).toMatchObject({ rows: 123, faults: [] })
    expect(walked).toEqual(
      rows.map(({ id, at_ms, target, experiment, action, detail }) => ({
        id,
        at_ms,
        target,
        experiment,
        decision: action === 'sign-in' ? 'allow' : 'deny',
        detail: JSON.parse(detail) as unknown,
      })),
    )
    await writeAudit(tablesOf(database), fakeClock(), platformOrigin, { action: 'sign-in', target: 'new' })
    expect(await walkChain(auditRows(tablesOf(database)), {})).toMatchObject({ rows: 124, faults: [] })
  })

  describe('somebody with the database in his hands', () => {
    /** A platform with some rows, stopped. */
    async function stopped() {
      const test = await startIdentity(open)
      await adminBrowser(test)
      for (const name of ['anna', 'bruno', 'carla']) await personBrowser(test, name, [])
      await test.identity.close()
      const report = await wholeOf(test)
      expect(report).toMatchObject({ whole: true, faults: [] })
      expect(report.rows).toBeGreaterThan(8)
      expect((await stat(anchorPath(test.secretsDirectory))).mode & 0o777).toBe(0o600)
      return { test, rows: report.rows }
    }

    test('deletes a row in the middle, changes one, swaps two', async () => {
      const { test } = await stopped()
      const rows = await tableOf(test).selectFrom('identity_audit').selectAll().orderBy('sequence').execute()
      const restore = async (): Promise<void> => {
        await tableOf(test).deleteFrom('identity_audit').execute()
        await tableOf(test).insertInto('identity_audit').values(rows).execute()
        expect(await wholeOf(test)).toMatchObject({ whole: true })
      }
      await tableOf(test).deleteFrom('identity_audit').where('sequence', '=', 4).execute()
      expect(await wholeOf(test)).toMatchObject({ whole: false, faults: [{ sequence: 5, what: 'row 4 is missing' }] })
      await restore()
      await tableOf(test)
        .updateTable('identity_audit')
        .set({ actor_name: 'nobody' })
        .where('sequence', '=', 3)
        .execute()
      expect(await wholeOf(test)).toMatchObject({ whole: false, faults: [{ sequence: 3, what: 'it was changed' }] })
      await restore()
      const move = (from: number, to: number) =>
        tableOf(test).updateTable('identity_audit').set({ sequence: to }).where('sequence', '=', from).execute()
      await move(3, 1000)
      await move(4, 3)
      await move(1000, 4)
      const { whole, faults } = await wholeOf(test)
      expect(whole).toBe(false)
      expect(faults.map(({ sequence }) => sequence)).toEqual(expect.arrayContaining([3, 4]))
    })

    test('cuts the end off; the next start says so, writes on, and forgets nothing until somebody has said that it is known', async () => {
      const { test, rows } = await stopped()
      await tableOf(test)
        .deleteFrom('identity_audit')
        .where('sequence', '>', rows - 2)
        .execute()
      expect((await wholeOf(test)).faults).toMatchObject([
        { sequence: rows, what: expect.stringMatching(/missing at the end.*secrets/) },
      ])
      const again = await test.reopen()
      expect(again.auditTrouble()?.what).toContain(`rows ${rows - 1} to ${rows} are missing at the end`)
      await again.createAdminLink()
      await again.createAdminLink()
      await again.createAdminLink()
      await again.close()
      expect((await readAnchor(test.secretsDirectory))!.sequence).toBe(rows)
      const third = await test.reopen()
      expect(third.auditTrouble()?.what).toContain(`row ${rows} is not the one`)
      await third.close()
      await writeFile(anchorPath(test.secretsDirectory), '{}')
      expect((await wholeOf(test)).whole).toBe(false)
      expect((await test.reopen()).auditTrouble()?.what).toContain('cannot be read')
    })

    test('cuts the end off while the platform runs', async () => {
      const test = await startIdentity(open)
      const admin = await adminBrowser(test)
      expect(await admin.api.verifyAudit()).toMatchObject({ whole: true })
      const { head } = await admin.api.verifyAudit()
      await tableOf(test).deleteFrom('identity_audit').where('sequence', '=', head.sequence).execute()
      await personBrowser(test, 'anna', [])
      expect(await admin.api.verifyAudit()).toMatchObject({ whole: false })
      expect(test.identity.auditTrouble()?.what).toContain('not whole')
    })
  })

  test('a loss that is known is accepted once, with a reason, and hides no other one', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    for (const name of ['anna', 'bruno']) await personBrowser(test, name, [])
    await admin.api.verifyAudit()
    await tableOf(test).deleteFrom('identity_audit').where('sequence', 'in', [2, 3]).execute()
    expect(await admin.api.verifyAudit()).toMatchObject({ whole: false })
    await expect(admin.api.acceptAuditLoss({ body: { reason: 'short' } })).rejects.toMatchObject({ status: 422 })
    const reason = 'an older copy was restored after the disk failed'
    const report = await admin.api.acceptAuditLoss({ body: { reason } })
    expect(report).toMatchObject({ whole: true, faults: [{ accepted: true, what: 'rows 2 to 3 are missing' }] })
    expect(test.identity.auditTrouble()).toBeUndefined()
    const { items } = await admin.api.listAudit({ query: { action: 'audit-loss-accepted' } })
    expect(items).toMatchObject([{ actorName: 'admin', detail: { reason, count: 1 } }])
    expect(await admin.api.acceptAuditLoss({ body: { reason } })).toMatchObject({ whole: true })
    expect((await admin.api.listAudit({ query: { action: 'audit-loss-accepted' } })).items).toHaveLength(1)
    await tableOf(test).deleteFrom('identity_audit').where('sequence', '=', 5).execute()
    expect(await admin.api.verifyAudit()).toMatchObject({ whole: false })
    const { browser } = await personBrowser(test, 'carla', [{ experiment: 'cygno', role: 'exp-admin' }])
    await expect(browser.api.verifyAudit()).rejects.toMatchObject({ status: 403 })
    await expect(browser.api.acceptAuditLoss({ body: { reason } })).rejects.toMatchObject({ status: 403 })
  })

  test('a file a day: locked, bound to the one before, known to the chain; what is done to one is found', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    await adminBrowser(test)
    await test.identity.sweep()
    expect(await readdir(test.auditFolder).catch(() => [])).toEqual([])
    for (const name of ['anna', 'bruno', 'carla']) {
      clock.advance(dayMs)
      await test.identity.createPerson({ name, displayName: name, roles: [], siteAdmin: false })
      await test.identity.sweep()
      await test.identity.sweep()
    }
    const files = (await readdir(test.auditFolder)).toSorted()
    expect(files.map((name) => name.slice(0, 16))).toEqual(['audit-2026-01-01', 'audit-2026-01-02', 'audit-2026-01-03'])
    for (const name of files) expect((await stat(join(test.auditFolder, name))).mode & 0o777).toBe(0o400)
    expect((await stat(test.auditFolder)).mode & 0o777).toBe(0o700)
    expect(await wholeOf(test)).toMatchObject({ whole: true, files: 3 })

    const second = join(test.auditFolder, files[1]!)
    const text = await readFile(second, 'utf8')
    const spoil = async (content: string): Promise<string[]> => {
      await chmod(second, 0o600)
      await writeFile(second, content)
      const { whole, faults } = await wholeOf(test)
      expect(whole).toBe(false)
      return faults.map(({ what }) => what)
    }
    const lines = text.trimEnd().split('\n')
    expect(await spoil(text.replace('anna', 'anne'))).toEqual(
      expect.arrayContaining([expect.stringMatching(/was changed/)]),
    )
    expect(await spoil(lines.toSpliced(1, 1).join('\n'))).not.toEqual([])
    expect(await spoil(lines.slice(0, -1).join('\n'))).not.toEqual([])
    expect(await spoil('')).not.toEqual([])
    await writeFile(second, text)
    expect((await wholeOf(test)).whole).toBe(true)
    await rm(second)
    expect((await wholeOf(test)).faults.map(({ what }) => what).join()).toContain(`${files[1]!}, is missing`)
    await writeFile(second, text)
    await appendFile(second, '{"more":1}\n')
    expect((await wholeOf(test)).whole).toBe(false)
    await writeFile(second, text)

    // Who empties the database and the secrets folder has the files against him.
    await rm(anchorPath(test.secretsDirectory))
    await tableOf(test).deleteFrom('identity_audit').where('sequence', '>', 3).execute()
    const left = await wholeOf(test)
    expect(left.faults.map(({ what }) => what).join()).toMatch(/missing at the end, and audit-2026-01-03/)
    // Files that were put away elsewhere are no fault: the oldest present may follow others.
    await rm(join(test.auditFolder, files[0]!))
    expect((await checkDailyFiles(test.auditFolder)).faults).toEqual([])
  })

  test('search: who, what, on what, where, when, from which address, allowed or denied; pages do not shift', async () => {
    const clock = fakeClock()
    const test = await startIdentity(open, { clock })
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    clock.advance(60_000)
    const later = clock.nowMs()
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: 'guest' } })
    await expect(anna.browser.api.listPeople({})).rejects.toMatchObject({ status: 403 })
    await admin.api.verifyAudit()
    const search = async (query: Parameters<Browser['api']['listAudit']>[0]) => (await admin.api.listAudit(query)).items
    expect(
      (await search({ query: { actor: 'admin', action: 'role-granted', fromMs: later } })).map(({ detail }) => detail),
    ).toEqual([expect.objectContaining({ role: 'guest' })])
    await expect.poll(async () => (await search({ query: { actor: anna.id, decision: 'deny' } })).length).toBe(1)
    const denied = (await search({ query: { decision: 'deny' } }))[0]!
    expect(denied).toMatchObject({
      actorName: 'anna',
      action: 'request-denied',
      target: 'GET /api/identity/people',
      detail: { reason: 'identity.not_allowed', action: 'site.admin' },
      credential: expect.stringMatching(/^browser session /),
    })
    expect(await search({ query: { target: anna.id, experiment: 'cygno', address: '127.0.0.1' } })).not.toEqual([])
    expect(await search({ query: { untilMs: later, action: 'role-removed' } })).toEqual([])
    expect(await search({ query: { actor: "x' or 1=1 --" } })).toEqual([])
    await expect(search({ query: { cursor: 'x' } })).rejects.toMatchObject({ status: 422 })
    const all: number[] = []
    let cursor: string | null = null
    do {
      const page: Awaited<ReturnType<Browser['api']['listAudit']>> = await admin.api.listAudit({
        query: { limit: 3, ...(cursor !== null && { cursor }) },
      })
      all.push(...page.items.map(({ sequence }) => sequence))
      cursor = page.nextCursor
      await writeAudit(tableOf(test), clock, platformOrigin, { action: 'sign-in', target: 'meanwhile' })
    } while (cursor !== null)
    expect(all).toEqual(Array.from({ length: all.length }, (_, index) => all.length - index))
  })

  test('everybody sees what was done in his name; the audit of an experiment only who may read it there (T3)', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'exp-admin' }])
    const bruno = await personBrowser(test, 'bruno', [{ experiment: 'cygno', role: 'auditor' as 'guest' }])
    const carla = await personBrowser(test, 'carla', [{ experiment: 'cygno', role: 'member' }])
    await personBrowser(test, 'dario', [{ experiment: 'other', role: 'member' }])
    for (const { browser } of [anna, bruno]) {
      const { items } = await browser.api.listAudit({ query: { experiment: 'cygno' } })
      expect(items.length).toBeGreaterThan(2)
      expect(items.every(({ experiment }) => experiment === 'cygno')).toBe(true)
    }
    for (const [{ id, browser }, query] of [
      [anna, {}],
      [anna, { experiment: 'other' }],
      [carla, {}],
      [carla, { experiment: 'cygno' }],
      [carla, { actor: 'admin' }],
      [bruno, { experiment: 'cygno', mine: true }],
    ] as const) {
      const { items } = await browser.api.listAudit({ query })
      expect(items.every((row) => row.actorId === id || row.target === id)).toBe(true)
      const lines = (await (await browser.api.exportAudit({ query })).text()).split('\n').filter(Boolean)
      expect(lines).toHaveLength(items.length)
    }
    const exported = await (await admin.api.exportAudit({})).text()
    const { rows, faults } = await walkLines(exported)
    expect(faults).toEqual([])
    expect(rows).toBe((await wholeOf(test)).rows)
  })
})

async function walkLines(text: string) {
  async function* rows() {
    for (const line of text.trimEnd().split('\n')) yield rowOfLine(line)
  }
  return await walkChain(rows(), {})
}

test('nothing but the writer touches the table of the audit', async () => {
  const root = join(import.meta.dirname, '..', '..')
  const offenders: string[] = []
  for (const name of (await readdir(root, { recursive: true })).filter(
    (file) => file.endsWith('.ts') && !file.endsWith('.test.ts') && !file.includes('migrations/'),
  )) {
    const text = await readFile(join(root, name), 'utf8')
    if (/(insertInto|updateTable|deleteFrom)\(\s*'identity_audit'/.test(text)) offenders.push(name)
  }
  expect(offenders).toEqual(['identity/audit.ts'])
})
