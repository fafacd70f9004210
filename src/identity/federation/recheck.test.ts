import { expect, test } from 'vitest'
import { openDatabase } from '../../foundation/database.ts'
import { forEachDatabase, type OpenTestDatabase } from '../../foundation/testing.ts'
import { fakeClock, type FakeClock } from '../../foundation/time.ts'
import { adminBrowser, type Browser } from '../testing.ts'
import { refused, signInAt, startWithInstitute, type WithInstitute } from './testing.ts'

const open = () => openDatabase({ url: 'sqlite::memory:' })
const minute = 60_000
const hour = 60 * minute
const signedOut = 'foundation.sign_in_needed'

interface Member extends WithInstitute {
  clock: FakeClock
  anna: Browser
  id: string
  /** Roles as gateways see them. */
  roles(): string[]
}

/** Anna, a member of `demo` by the group `/in` of her institute. */
async function startWithMember(
  options: { lifetimeMs?: number; recheckMinutes?: number } = {},
  database: OpenTestDatabase = open,
): Promise<Member> {
  const clock = fakeClock(Date.now())
  const { recheckMinutes = 60 } = options
  const at = await startWithInstitute(database, { clock, recheckMinutes, person: { 'wlcg.groups': ['/in'] } })
  await at.admin.api.addImportRule({
    body: {
      issuer: at.institute,
      claim: 'wlcg.groups',
      value: '/in',
      group: '/demo',
      role: 'member',
      lifetimeMs: options.lifetimeMs ?? null,
    },
  })
  const anna = at.test.browser()
  await signInAt(anna, at)
  await anna.api.continueInstituteLogin({ body: { name: 'anna' } })
  const { id } = await anna.api.me()
  const roles = () => at.test.identity.snapshotPart().subjects[id]!.roles.map(({ role }) => role)
  expect(roles()).toEqual(['member'])
  return { ...at, clock, anna, id, roles }
}

/** So much time passes, and the institutes are asked as they are every minute. */
async function pass({ clock, test: { identity } }: Member, ms: number): Promise<void> {
  clock.advance(ms)
  await identity.askInstitutes()
}

forEachDatabase('groups that change at the institute', (open) => {
  test('who loses a group there loses the role here within the stated lag, without doing anything', async () => {
    const at = await startWithMember({}, open)
    at.issuer.person['wlcg.groups'] = ['/out']
    await pass(at, 30 * minute)
    expect(at.roles(), 'not yet asked').toEqual(['member'])
    await pass(at, 29 * minute)
    expect(at.roles()).toEqual([])
    expect((await at.anna.api.me()).name, 'still signed in').toBe('anna')
    // And back.
    at.issuer.person['wlcg.groups'] = ['/in']
    await pass(at, hour)
    expect(at.roles()).toEqual(['member'])
  })

  test('who is gone there is out here: imported roles, sessions and tokens', async () => {
    const at = await startWithMember({}, open)
    const { epoch } = at.test.identity.snapshotPart().subjects[at.id]!
    at.issuer.refuseRefresh = true
    await pass(at, 59 * minute)
    expect(at.roles()).toEqual([])
    expect(await refused(at.anna.api.me())).toBe(signedOut)
    expect(at.test.identity.snapshotPart().subjects[at.id]!.epoch).toBeGreaterThan(epoch)
    const { items } = await at.admin.api.listAudit({ query: { action: 'institute-refused' } })
    expect(items).toHaveLength(1)
    // He is not asked for again and again.
    const asked = at.issuer.asked.get('/token')
    await pass(at, hour)
    expect(at.issuer.asked.get('/token')).toBe(asked)
    // Let in there again, he comes back as the same person.
    expect((await signInAt(at.test.browser(), at)).step).toBe('signed-in')
    expect(at.roles()).toEqual(['member'])
  })
})

test('an institute that does not answer: its word counts for a day, then it ends, and the page says so', async () => {
  const at = await startWithMember()
  at.issuer.mischief = { answer: (_path, response) => !!response.writeHead(503).end() }
  await pass(at, hour)
  const shown = async () => (await (await adminBrowser(at.test)).api.listIssuers()).items[0]!
  expect((await shown()).problem).toMatch(/could not be asked|could not answer/)
  expect(at.roles()).toEqual(['member'])
  const asked = at.issuer.asked.get('/token') ?? 0
  await pass(at, minute)
  expect(at.issuer.asked.get('/token') ?? 0, 'not every minute').toBe(asked)
  await pass(at, 22 * hour)
  expect(at.roles()).toEqual(['member'])
  await pass(at, hour)
  expect(at.roles(), 'twenty-four hours after the last answer').toEqual([])
  // It answers again: what it says counts again, without a new sign-in.
  at.issuer.mischief = {}
  await pass(at, hour)
  expect(at.roles()).toEqual(['member'])
  expect((await shown()).problem).toBe(null)
})

test('an institute that gives no refresh token is believed for a day after each sign-in', async () => {
  const at = await startWithMember()
  await at.test.database.kysely.updateTable('identity_upstream_grant').set({ sealed_refresh: null }).execute()
  await pass(at, 23 * hour)
  expect(at.roles()).toEqual(['member'])
  await pass(at, hour)
  expect(at.roles()).toEqual([])
  await signInAt(at.test.browser(), at)
  expect(at.roles()).toEqual(['member'])
})

test('a refresh that suddenly speaks of somebody else changes nothing', async () => {
  const at = await startWithMember()
  at.issuer.person = { sub: 'somebody-else', 'wlcg.groups': [] }
  await pass(at, hour)
  expect(at.roles()).toEqual(['member'])
  expect((await (await adminBrowser(at.test)).api.listIssuers()).items[0]!.problem).toMatch(/not accepted/)
})

test('a rule with an end counts from the last sign-in, not from the last check', async () => {
  const at = await startWithMember({ lifetimeMs: 48 * hour, recheckMinutes: 1440 })
  for (const hours of [23, 23]) await pass(at, hours * hour)
  expect(at.roles()).toEqual(['member'])
  await pass(at, 3 * hour)
  await at.test.identity.sweep()
  expect(at.roles()).toEqual([])
  await signInAt(at.test.browser(), at)
  expect(at.roles()).toEqual(['member'])
})

test('a preview says who would get what, and a rule that goes takes what it gave', async () => {
  const at = await startWithMember()
  const { admin, institute } = at
  const rule = { issuer: institute, claim: 'wlcg.groups', value: 'in', group: '/demo', role: 'operator' } as const
  const person = { personId: at.id, name: 'anna' }
  expect(await admin.api.previewImportRule({ body: rule })).toMatchObject({
    gain: [person],
    keep: [],
    known: 1,
    unseen: 0,
    seenValues: [{ value: '/in', people: 1 }],
  })
  expect(at.roles(), 'a preview changes nothing').toEqual(['member'])
  expect(await admin.api.previewImportRule({ body: { ...rule, role: 'member' } })).toMatchObject({
    gain: [],
    keep: [person],
  })
  expect((await admin.api.previewImportRule({ body: { ...rule, value: 'int' } })).gain).toEqual([])
  const nothing = await admin.api.previewImportRule({ body: { ...rule, claim: 'groups' } })
  expect([nothing.gain, nothing.seenValues]).toEqual([[], []])
  const { id, holders } = await admin.api.addImportRule({ body: rule })
  expect([holders, at.roles().toSorted()]).toEqual([1, ['member', 'operator']])
  expect(await refused(admin.api.addImportRule({ body: rule }))).toBe('identity.name_taken')
  for (const group of ['/nosuch', '/demo/nosuch'])
    expect(await refused(admin.api.previewImportRule({ body: { ...rule, group } }))).toBe('identity.invalid_rule')
  expect(await admin.api.removeImportRule({ params: { rule: id } })).toEqual({ removed: true, ended: 1 })
  expect(at.roles()).toEqual(['member'])
  expect(await refused(admin.api.removeImportRule({ params: { rule: id } }))).toBe('identity.no_such_rule')
  // What somebody was given by hand is not touched by rules.
  await admin.api.setRole({ params: { person: at.id }, body: { experiment: 'demo', role: 'operator' } })
  at.issuer.person['wlcg.groups'] = []
  await pass(at, hour)
  expect(at.roles()).toEqual(['operator'])
})
