import { expect, test } from 'vitest'
import { fakeClock } from '../../foundation/time.ts'
import { forEachDatabase, type OpenTestDatabase } from '../../foundation/testing.ts'
import { policyWith, startGroups } from '../groups/testing.ts'
import { adminBrowser, personBrowser } from '../testing.ts'

async function start(open: OpenTestDatabase, clock = fakeClock(Date.now())) {
  const test = await startGroups(open, { clock })
  const anna = await test.join('anna', '/cygno/analysis', 'member')
  const mike = await personBrowser(test, 'mike', [{ experiment: 'cygno', role: 'member' }])
  const boss = await test.join('boss', '/cygno/analysis', 'manager')
  const auditor = await personBrowser(test, 'audra', [{ experiment: 'cygno', role: 'auditor' }])
  return { ...test, clock, anna, mike, boss, auditor }
}

forEachDatabase('why, and who can', (open) => {
  test('everybody learns about himself what holds, and what cut it', async () => {
    const { mike, anna } = await start(open)
    const ask = (query: object) =>
      mike.browser.api.explainDecision({ query: { action: 'data.modify', ...query } as never })
    const work = { experiment: 'cygno', place: 'cygno-work/mike/plot.png' }
    expect(await ask(work)).toMatchObject({ allow: true, reason: 'member of cygno', cut: null, place: work.place })
    expect(await ask({ ...work, place: '/cygno-raw/x' })).toMatchObject({ allow: false, cut: 'raw' })
    expect(await ask({ ...work, experiment: 'demo' })).toMatchObject({ allow: false, cut: 'no-role', grants: [] })
    expect(await ask({ action: 'jobs.cancel', experiment: 'cygno', owner: 'mike' })).toMatchObject({ allow: true })
    expect(await ask({ action: 'jobs.cancel', experiment: 'cygno' })).toMatchObject({ cut: 'not-own' })
    const own = await anna.browser.api.explainDecision({ query: { action: 'data.read', experiment: 'cygno' } })
    expect(own.grants).toMatchObject([{ role: 'member', group: '/cygno/analysis', allow: false }])
  })

  test('a narrow credential asks about itself', async () => {
    const { mike, withToken, identity } = await start(open)
    const limits = { capabilities: [{ action: 'data.read', place: 'cygno-work/mike/**' }] }
    const key = await identity.createAccessKey({ subjectId: mike.id, limits })
    const { accessKeyId, secretAccessKey } = key
    const { accessToken } = await withToken().token({ body: { accessKeyId, secretAccessKey } })
    const ask = (place: string) =>
      withToken(accessToken).explainDecision({ query: { action: 'data.read', experiment: 'cygno', place } })
    expect(await ask('cygno-work/mike/x')).toMatchObject({ allow: true })
    expect(await ask('cygno-work/anna/x')).toMatchObject({ allow: false, cut: 'credential' })
    const wrong = { capabilities: [{ action: 'data.read', place: 'cygno-work/../x' }] }
    await expect(identity.createAccessKey({ subjectId: mike.id, limits: wrong })).rejects.toThrow('not a capability')
    const beyond = { capabilities: [{ action: 'people.manage' }] }
    await expect(identity.createAccessKey({ subjectId: mike.id, limits: beyond })).rejects.toThrow('never')
  })

  test('about others only who may read the audit of all that they are in', async () => {
    const { mike, anna, boss, auditor, head, admin } = await start(open)
    const about = (subject: string, experiment = 'cygno') => ({
      query: { subject, action: 'data.read' as const, experiment },
    })
    for (const who of [head.browser, auditor.browser, admin, boss.browser])
      expect(await who.api.explainDecision(about('anna'))).toMatchObject({ subject: { id: anna.id } })
    await expect(mike.browser.api.explainDecision(about('anna'))).rejects.toMatchObject({
      code: 'identity.not_allowed',
    })
    // He manages a group that mike is not in; and who does not exist looks to him like who is not his.
    for (const name of ['mike', 'nobody'])
      await expect(boss.browser.api.explainDecision(about(name))).rejects.toMatchObject({
        code: 'identity.not_allowed',
      })
    await expect(head.browser.api.explainDecision(about('anna', 'demo'))).rejects.toMatchObject({
      code: 'identity.not_allowed',
    })
    await expect(head.browser.api.explainDecision(about('nobody'))).rejects.toMatchObject({
      code: 'identity.no_such_person',
    })
    await admin.api.suspendPerson({ params: { person: mike.id }, body: {} as never })
    expect(await head.browser.api.explainDecision(about('mike'))).toMatchObject({ allow: false, cut: 'account' })
  })

  test('who can: everybody who may, by what, page by page; an end and a policy count', async () => {
    const { head, mike, auditor } = await start(open)
    const query = { action: 'data.read' as const, experiment: 'cygno', place: 'cygno-work/a/x' }
    const { items, total } = await head.browser.api.whoCan({ query })
    expect(items.map(({ name, reason }) => [name, reason])).toEqual([
      ['anna', 'member of /cygno/analysis'],
      ['boss', 'manager of /cygno/analysis'],
      ['hugo', 'exp-admin of cygno'],
      ['mike', 'member of cygno'],
    ])
    expect(total).toBe(4)
    const page = await auditor.browser.api.whoCan({ query: { ...query, limit: 3 } })
    expect(page.nextCursor).toBe('hugo')
    const rest = await auditor.browser.api.whoCan({ query: { ...query, limit: 3, cursor: 'hugo' } })
    expect([rest.items.map(({ name }) => name), rest.nextCursor]).toEqual([['mike'], null])
    await expect(mike.browser.api.whoCan({ query })).rejects.toMatchObject({ code: 'identity.not_allowed' })
    const group = '/cygno/analysis'
    const { version } = await head.browser.api.showPolicy({ query: { group } })
    const policy = policyWith({ grants: { member: ['data.read:/cygno-work/b/**'] } })
    await head.browser.api.applyPolicy({ body: { group, policy, ifVersion: version } })
    const now = await head.browser.api.whoCan({ query })
    expect(now.items.map(({ name }) => name)).not.toContain('anna')
    const there = await head.browser.api.whoCan({ query: { ...query, place: 'cygno-work/b/x' } })
    expect(there.items.map(({ name }) => name)).toContain('anna')
  })
})

forEachDatabase('breaking the glass', (open) => {
  const raw = { bucket: 'cygno-raw', key: 'x' }

  test('a site admin reads for a reason and an hour, and the owners see it, are told, and may end it', async () => {
    const { admin, head, mike, may, identity, database } = await start(open)
    await head.browser.api.setContact({ body: { email: 'hugo@cygno.example', language: 'it' } })
    const { id } = await admin.api.me()
    expect(may(id, 'data.read', raw)).toBe(false)
    const reason = 'a user cannot open run 12 and asked for help'
    const broken = await admin.api.breakGlass({ body: { experiment: 'cygno', reason } })
    expect(broken).toMatchObject({ experiment: 'cygno', reason, isOpen: true, personId: id })
    expect(broken.endsAtMs - broken.takenAtMs).toBe(3_600_000)
    for (const action of ['data.read', 'logbook.read', 'jobs.read'] as const) expect(may(id, action, raw)).toBe(true)
    for (const action of ['data.modify', 'data.create', 'logbook.write', 'sessions.start', 'jobs.submit'] as const)
      expect(may(id, action, raw)).toBe(false)
    expect(may(id, 'data.read', { ...raw, experiment: 'demo' })).toBe(false)
    // Nothing that he makes of himself carries it.
    const key = await identity.createAccessKey({ subjectId: id })
    expect(key.accessKeyId).not.toBe('')
    const why = await admin.api.explainDecision({
      query: { action: 'data.read', experiment: 'cygno', place: 'cygno-raw/x' },
    })
    expect(why).toMatchObject({ allow: true, reason: 'break-glass of cygno' })

    const seen = await head.browser.api.listBrokenGlass({ query: { experiment: 'cygno' } })
    expect(seen.items).toMatchObject([{ id: broken.id, reason, isOpen: true }])
    const audit = await head.browser.api.listAudit({ query: { experiment: 'cygno', action: 'glass-broken' } })
    expect(audit.items).toMatchObject([{ actorId: id, detail: { reason } }])
    const mails = await database.kysely
      .selectFrom('identity_mail')
      .select(['recipient', 'template', 'language'])
      .execute()
    expect(mails).toContainEqual({ recipient: 'hugo@cygno.example', template: 'glass-broken', language: 'it' })
    await expect(mike.browser.api.listBrokenGlass({ query: { experiment: 'cygno' } })).rejects.toMatchObject({
      status: 403,
    })
    await expect(mike.browser.api.mendGlass({ params: { glass: broken.id } })).rejects.toMatchObject({ status: 403 })
    await expect(admin.api.breakGlass({ body: { experiment: 'cygno', reason } })).rejects.toMatchObject({
      code: 'identity.glass_is_broken',
    })

    expect(await head.browser.api.mendGlass({ params: { glass: broken.id } })).toMatchObject({
      isOpen: false,
      endedBy: 'hugo',
    })
    expect(may(id, 'data.read', raw)).toBe(false)
  })

  test('it ends by itself, also while nobody looks', async () => {
    const { admin, head, may, clock, identity } = await start(open)
    const { id } = await admin.api.me()
    const reason = 'checking a file that two people see differently'
    await admin.api.breakGlass({ body: { experiment: 'cygno', reason, durationMs: 60_000 } })
    clock.advance(59_999)
    expect(may(id, 'data.read', raw)).toBe(true)
    clock.advance(1)
    expect(may(id, 'data.read', raw)).toBe(false)
    await identity.sweep()
    expect(identity.snapshotPart().subjects[id]!.roles).toEqual([])
    const { items } = await head.browser.api.listBrokenGlass({ query: { experiment: 'cygno' } })
    expect(items).toMatchObject([{ isOpen: false, endedBy: null }])
  })

  test('only for site admins, with a fresh proof, a real reason and an hour at most', async () => {
    const test = await start(open)
    const { admin, head, clock } = test
    const body = { experiment: 'cygno', reason: 'long enough a reason' }
    await expect(head.browser.api.breakGlass({ body })).rejects.toMatchObject({ code: 'identity.not_allowed' })
    await expect(admin.api.breakGlass({ body: { ...body, experiment: 'nowhere' } })).rejects.toMatchObject({
      status: 404,
    })
    for (const wrong of [{ reason: 'because' }, { durationMs: 3_600_001 }, { untilMs: 1 }])
      await expect(admin.api.breakGlass({ body: { ...body, ...wrong } as never })).rejects.toMatchObject({
        status: 422,
      })
    await expect(admin.api.mendGlass({ params: { glass: 'none' } })).rejects.toMatchObject({ status: 404 })
    clock.advance(16 * 60_000)
    const again = await adminBrowser(test)
    await expect(again.api.breakGlass({ body })).resolves.toMatchObject({ isOpen: true })
  })
})
