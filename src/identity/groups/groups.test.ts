import type { Kysely } from 'kysely'
import { expect, test } from 'vitest'
import { migrate, transact } from '../../foundation/database.ts'
import type { Fault } from '../../foundation/errors.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { identityMigrations } from '../index.ts'
import { tablesOf } from '../tables.ts'
import { personBrowser } from '../testing.ts'
import { groupPathSchema } from './policy.ts'
import { policyWith, startGroups } from './testing.ts'

const refused = (code: string) => expect.objectContaining<Partial<Fault>>({ code: `identity.${code}` })

forEachDatabase('groups', (open) => {
  test('form a tree below the experiment, each with a number of its own for ever', async () => {
    const { head, admin, identity, reopen } = await startGroups(open)
    await head.browser.api.createGroup({ body: { group: '/cygno/daq/shifter', optional: true, title: 'Shifters' } })
    const { items } = await head.browser.api.listGroups({ params: { experiment: 'cygno' } })
    expect(items.map(({ group }) => group)).toEqual(['/cygno', '/cygno/analysis', '/cygno/daq', '/cygno/daq/shifter'])
    const numbers = items.slice(1).map(({ gid }) => gid)
    expect(new Set(numbers).size).toBe(3)
    for (const gid of numbers) expect(gid).toBeGreaterThanOrEqual(3_000_000)
    expect(identity.snapshotPart().groups).toEqual({
      '/cygno/analysis': { gid: numbers[0] },
      '/cygno/daq': { gid: numbers[1] },
      '/cygno/daq/shifter': { gid: numbers[2], optional: true },
    })
    // A name is never given again, nor its number, whatever became of the group.
    await head.browser.api.archiveGroup({ body: { group: '/cygno/daq' } })
    expect(Object.keys(identity.snapshotPart().groups!)).not.toContain('/cygno/daq')
    await expect(head.browser.api.createGroup({ body: { group: '/cygno/daq' } })).rejects.toEqual(refused('name_taken'))
    await expect(head.browser.api.createGroup({ body: { group: '/cygno/daq/new' } })).rejects.toEqual(
      refused('invalid_membership'),
    )
    const other = await head.browser.api.createGroup({ body: { group: '/cygno/Daq' } })
    expect(numbers).not.toContain(other.gid)
    await head.browser.api.archiveGroup({ body: { group: '/cygno/daq', archived: false } })
    expect((await reopen()).snapshotPart().groups!['/cygno/daq']).toEqual({ gid: numbers[1] })
    // Nothing comes into being beside the tree, and nobody else makes groups.
    for (const group of ['/cygno/none/below', '/other', '/other/group'])
      await expect(admin.api.createGroup({ body: { group } })).rejects.toMatchObject({ status: expect.any(Number) })
    await expect(admin.api.archiveGroup({ body: { group: '/cygno' } })).rejects.toEqual(refused('invalid_membership'))
  })

  test('roles given the old way are memberships of the root group, and leave groups alone', async () => {
    const { identity, database, head, admin, join, subject } = await startGroups(open)
    const anna = await join('anna', '/cygno/analysis', 'member')
    await transact(database, (trx) => identity.grantRole(trx, anna.id, 'cygno', 'operator'))
    await identity.refresh()
    expect(subject(anna.id).roles.map(({ role, group }) => [role, group])).toEqual([
      ['operator', undefined],
      ['member', '/cygno/analysis'],
    ])
    const { roles } = await admin.api.setRole({
      params: { person: anna.id },
      body: { experiment: 'cygno', role: 'guest' },
    })
    expect(roles).toEqual([
      { experiment: 'cygno', role: 'guest' },
      { experiment: 'cygno', role: 'member', group: '/cygno/analysis' },
    ])
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: null } })
    expect(subject(anna.id).roles.map(({ group }) => group)).toEqual(['/cygno/analysis'])
    const { items } = await head.browser.api.listPeople({ query: { experiment: 'cygno' } })
    expect(items.map(({ name }) => name)).toEqual(['anna', 'hugo'])
  })

  test('a manager acts in his subtree only, and gives no role that stands above members', async () => {
    const { head, join, may, ...rest } = await startGroups(open)
    await head.browser.api.createGroup({ body: { group: '/cygno/analysis/tracks' } })
    const mara = await join('mara', '/cygno/analysis', 'manager')
    const paul = await personBrowser(rest, 'paul', [])
    const give = (group: string, role: 'manager' | 'operator' | 'member' | 'guest' | null) =>
      mara.browser.api.setMember({ body: { group, person: 'paul', role } })
    await give('/cygno/analysis', 'guest')
    await give('/cygno/analysis/tracks', 'member')
    expect(may(paul.id, 'data.read', { bucket: 'cygno-work', key: 'x' })).toBe(true)
    for (const group of ['/cygno', '/cygno/daq', '/cygno/analysis2'])
      await expect(give(group, 'member')).rejects.toMatchObject({ status: expect.any(Number) })
    await expect(give('/cygno/daq', 'member')).rejects.toEqual(refused('not_allowed'))
    for (const role of ['manager', 'operator'] as const)
      await expect(give('/cygno/analysis/tracks', role)).rejects.toEqual(refused('beyond_ceiling'))
    await head.browser.api.setMember({ body: { group: '/cygno/analysis', person: 'paul', role: 'operator' } })
    // Nor does he take away what he could not give, nor see who is elsewhere.
    await expect(give('/cygno/analysis', null)).rejects.toEqual(refused('beyond_ceiling'))
    await join('dora', '/cygno/daq', 'member')
    const page = await mara.browser.api.listExperimentPeople({ params: { experiment: 'cygno' } })
    expect(page.items.map(({ name }) => name)).toEqual(['mara', 'paul'])
    expect(page.manages.map(({ group }) => group)).toEqual(['/cygno/analysis', '/cygno/analysis/tracks'])
    await expect(paul.browser.api.listExperimentPeople({ params: { experiment: 'cygno' } })).rejects.toEqual(
      refused('not_allowed'),
    )
    await expect(mara.browser.api.listMembers({ query: { group: '/cygno/daq' } })).rejects.toEqual(
      refused('not_allowed'),
    )
    const members = await paul.browser.api.listMembers({ query: { group: '/cygno/analysis' } })
    expect(members.items.map(({ name, mayChange }) => [name, mayChange])).toEqual([
      ['mara', false],
      ['paul', false],
    ])
    // Roles of a whole experiment are not to be had in a group, whoever gives them.
    await expect(
      head.browser.api.setMember({ body: { group: '/cygno/daq', person: 'paul', role: 'auditor' } }),
    ).rejects.toMatchObject({ status: expect.any(Number) })
    expect(
      await head.browser.api.listExperimentPeople({ params: { experiment: 'cygno' }, query: { search: 'DOR' } }),
    ).toMatchObject({ items: [{ name: 'dora' }] })
  })

  test('a membership ends by itself at its moment, and its end is announced', async () => {
    const clock = fakeClock(Date.now())
    const { identity, head, join, may, subject, database } = await startGroups(open, { clock })
    const anna = await join('anna', '/cygno/analysis', 'member')
    const untilMs = clock.nowMs() + 1_200_000
    await head.browser.api.setMember({ body: { group: '/cygno/analysis', person: 'anna', role: 'member', untilMs } })
    expect(subject(anna.id).roles[0]).toMatchObject({ untilMs })
    const { epoch } = subject(anna.id)
    clock.advance(1_199_000)
    await identity.sweep()
    expect(may(anna.id, 'sessions.start')).toBe(true)
    clock.advance(1_000)
    expect(may(anna.id, 'sessions.start')).toBe(false)
    await identity.sweep()
    expect(subject(anna.id).roles).toEqual([])
    expect(subject(anna.id).epoch).toBe(epoch + 1)
    const facts = await tablesOf(database).selectFrom('identity_audit').select('action').execute()
    expect(facts.filter(({ action }) => action === 'membership-ended')).toHaveLength(1)
    const past = { group: '/cygno/analysis', person: 'anna', role: 'member', untilMs: clock.nowMs() } as const
    await expect(head.browser.api.setMember({ body: past })).rejects.toEqual(refused('invalid_membership'))
  })

  test('days of membership and guests are bound by every policy above', async () => {
    const clock = fakeClock(Date.now())
    const { head, admin, join, may, identity } = await startGroups(open, { clock })
    const gina = await join('gina', '/cygno/analysis', 'guest')
    const anna = await join('anna', '/cygno/analysis', 'member')
    const root = policyWith({ ceiling: { guestAllowed: false, membershipMaxDays: 10 } })
    await admin.api.applyPolicy({ body: { group: '/cygno', policy: root, ifVersion: 0 } })
    expect(may(gina.id, 'sessions.start')).toBe(false)
    expect(may(anna.id, 'sessions.start')).toBe(true)
    const set = (role: 'guest' | 'member', days: number) =>
      head.browser.api.setMember({
        body: { group: '/cygno/analysis', person: 'anna', role, untilMs: clock.nowMs() + days * 86_400_000 },
      })
    await expect(set('guest', 5)).rejects.toEqual(refused('beyond_ceiling'))
    await expect(set('member', 11)).rejects.toEqual(refused('beyond_ceiling'))
    await set('member', 9)
    clock.advance(8 * 86_400_000)
    await identity.refresh()
    expect(may(anna.id, 'sessions.start')).toBe(true)
    clock.advance(2 * 86_400_000)
    expect(may(anna.id, 'sessions.start')).toBe(false)
  })

  test('members of an archived group, and of those below it, have nothing from it until it is taken out again', async () => {
    const { head, join, may } = await startGroups(open)
    await head.browser.api.createGroup({ body: { group: '/cygno/analysis/tracks' } })
    const anna = await join('anna', '/cygno/analysis/tracks', 'member')
    expect(may(anna.id, 'sessions.start')).toBe(true)
    await head.browser.api.archiveGroup({ body: { group: '/cygno/analysis' } })
    expect(may(anna.id, 'sessions.start')).toBe(false)
    const { items } = await head.browser.api.listGroups({ params: { experiment: 'cygno' } })
    expect(items.map(({ group }) => group)).toEqual(['/cygno', '/cygno/daq'])
    await expect(
      head.browser.api.setMember({ body: { group: '/cygno/analysis/tracks', person: 'anna', role: 'guest' } }),
    ).rejects.toEqual(refused('invalid_membership'))
    await head.browser.api.archiveGroup({ body: { group: '/cygno/analysis', archived: false } })
    expect(may(anna.id, 'sessions.start')).toBe(true)
  })

  test('what somebody else in the experiment is told of groups, and strangers are not', async () => {
    const { join, admin, ...rest } = await startGroups(open)
    const anna = await join('anna', '/cygno/analysis', 'member')
    const mine = await anna.browser.api.myGroups()
    expect(mine.items).toMatchObject([{ group: '/cygno/analysis', role: 'member', untilMs: null, source: 'direct' }])
    expect(mine.items[0]!.capabilities).toContain('data.modify:/cygno-work/analysis/**')
    const shown = await anna.browser.api.showPolicy({ query: { group: '/cygno/daq' } })
    expect(shown.may).toEqual({ give: [], seeMembers: false, editGrants: false, editCeiling: false, administer: false })
    const stranger = await personBrowser(rest, 'olaf', [{ experiment: 'other', role: 'exp-admin' }])
    const calls = [
      () => stranger.browser.api.listGroups({ params: { experiment: 'cygno' } }),
      () => stranger.browser.api.listMembers({ query: { group: '/cygno/analysis' } }),
      () => stranger.browser.api.showPolicy({ query: { group: '/cygno/analysis' } }),
      () => stranger.browser.api.listPolicyVersions({ query: { group: '/cygno/analysis' } }),
      () => stranger.browser.api.showPolicy({ query: { group: '/nowhere' } }),
    ]
    for (const call of calls) await expect(call()).rejects.toEqual(refused('no_such_group'))
    expect((await admin.api.listGroups({ params: { experiment: 'cygno' } })).items).toHaveLength(3)
  })

  test('roles of an installation from before groups become memberships, machines stay what they are', async () => {
    const database = await open()
    const { migrations, room } = identityMigrations
    const before = Object.fromEntries(Object.entries(migrations).filter(([name]) => name < '0004'))
    await migrate(database, [{ room, migrations: before }])
    const old = database.kysely as unknown as Kysely<Record<string, Record<string, unknown>>>
    const subject = { display_name: '', state: 'active', epoch: 1, site_admin: 0, created_at_ms: 5, created_by: 'x' }
    await old
      .insertInto('identity_subject')
      .values([
        { ...subject, id: 'p1', kind: 'person', name: 'anna', experiment: null },
        { ...subject, id: 'c1', kind: 'client', name: 'cygno/daq', experiment: 'cygno' },
      ])
      .execute()
    const grant = { granted_by: 'p0', granted_at_ms: 7 }
    await old
      .insertInto('identity_role')
      .values([
        { ...grant, subject_id: 'p1', experiment: 'cygno', role: 'member' },
        { ...grant, subject_id: 'p1', experiment: 'cygno', role: 'operator' },
        { ...grant, subject_id: 'p1', experiment: 'demo', role: 'guest' },
        { ...grant, subject_id: 'c1', experiment: 'cygno', role: 'client' },
      ])
      .execute()
    await old
      .insertInto('identity_experiment_gid')
      .values([
        { gid: 1_000_000, experiment: 'cygno' },
        { gid: 1_000_002, experiment: 'empty' },
      ])
      .execute()
    await migrate(database, [identityMigrations])
    const tables = tablesOf(database)
    const rows = await tables
      .selectFrom('identity_membership')
      .selectAll()
      .orderBy('group_path')
      .orderBy('role')
      .execute()
    expect(
      rows.map((row) => [row.person_id, row.group_path, row.role, row.source, row.until_ms, row.granted_at_ms]),
    ).toEqual([
      ['p1', '/cygno', 'member', 'direct', null, 7],
      ['p1', '/cygno', 'operator', 'direct', null, 7],
      ['p1', '/demo', 'guest', 'direct', null, 7],
    ])
    const groups = await tables
      .selectFrom('identity_group')
      .select(['path', 'experiment', 'gid'])
      .orderBy('path')
      .execute()
    expect(groups).toEqual(
      ['cygno', 'demo', 'empty'].map((experiment) => ({ path: `/${experiment}`, experiment, gid: null })),
    )
  })
})

test('names of groups follow the grammar of WLCG', () => {
  const good = ['/cygno', '/cygno/analysis', '/cygno/Daq_2.x-y', `/cygno/${'a'.repeat(248)}`]
  const bad = [
    'cygno',
    '/',
    '',
    '/cygno/',
    '//cygno',
    '/cygno//x',
    '/cygno/.x',
    '/cygno/-x',
    '/cygno/_x',
    '/cygno/x y',
    '/cygno/x%2f',
    '/cygno/ü',
    '/Cygno',
    '/cygno/../x',
    `/cygno/${'a'.repeat(249)}`,
  ]
  for (const path of good) expect(groupPathSchema.safeParse(path).success, path).toBe(true)
  for (const path of bad) expect(groupPathSchema.safeParse(path).success, path).toBe(false)
})
