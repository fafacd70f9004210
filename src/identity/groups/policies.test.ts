import { expect, test } from 'vitest'
import type { OpenedDatabase } from '../../foundation/database.ts'
import type { Fault } from '../../foundation/errors.ts'
import { createLogger } from '../../foundation/log.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { fakeClock, type Clock } from '../../foundation/time.ts'
import { platformOrigin } from '../audit.ts'
import { createRoom, type IdentityPorts, type Room } from '../room.ts'
import { createSeal } from '../seal.ts'
import { forGateways, identitySnapshotSchema, subjectOf, type IdentitySnapshot } from '../snapshot.ts'
import type { RoleGrant } from '../subject.ts'
import { tablesOf } from '../tables.ts'
import { personBrowser } from '../testing.ts'
import { policyOf } from './policies.ts'
import type { Policy } from './policy.ts'
import { experimentFromTemplate } from './template.ts'
import { policyWith, startGroups, type TestGroups } from './testing.ts'

const refused = (code: string) => expect.objectContaining<Partial<Fault>>({ code: `identity.${code}` })
const analysis = '/cygno/analysis'

forEachDatabase('policies', (open) => {
  test('a change of policy is in force, here and for gateways, when it is answered', async () => {
    const started = await startGroups(open)
    const { join, admin, head, may, changes } = started
    const anna = await join('anna', analysis, 'member')
    const token = (await anna.browser.api.createAccessKey({ body: { limits: { experiment: 'cygno' } } })).accessKeyId
    const before = changes()
    const narrow = policyWith({ ceiling: { capabilities: ['logbook.read', 'data.read:/cygno-reco/**'] } })
    const { policy } = await head.browser.api.showPolicy({ query: { group: analysis } })
    const applied = await head.browser.api.applyPolicy({ body: { group: analysis, policy: narrow, ifVersion: 1 } })
    expect(changes()).toBeGreaterThan(before)
    expect(may(anna.id, 'sessions.start')).toBe(false)
    expect(may(anna.id, 'data.read', { bucket: 'cygno-work', key: 'x' })).toBe(false)
    expect(may(anna.id, 'data.read', { bucket: 'cygno-reco', key: 'x' })).toBe(true)
    expect(applied.keys.map(({ accessKeyId }) => accessKeyId)).toEqual([token])
    await expect(askGate(started, anna.id)).rejects.toThrow('may not')
    // The root above cuts at once what lies below, which keeps its own words and has them back.
    await head.browser.api.applyPolicy({ body: { group: analysis, policy, ifVersion: 2 } })
    expect(may(anna.id, 'sessions.start')).toBe(true)
    const root = policyWith({ ceiling: { capabilities: ['data.read:/cygno-raw/**', 'data.read:/cygno-reco/a/**'] } })
    await admin.api.applyPolicy({ body: { group: '/cygno', policy: root, ifVersion: 0 } })
    expect(may(anna.id, 'sessions.start')).toBe(false)
    expect(may(anna.id, 'data.read', { bucket: 'cygno-reco', key: 'a/x' })).toBe(true)
    expect(may(anna.id, 'data.read', { bucket: 'cygno-reco', key: 'b/x' })).toBe(false)
    expect(may(anna.id, 'data.read', { bucket: 'cygno-work', key: 'x' })).toBe(false)
    const shown = await head.browser.api.showPolicy({ query: { group: analysis } })
    expect(shown.policy).toEqual(policy)
    expect(shown.effective.ceiling.capabilities).toEqual(['data.read:/cygno-raw/**', 'data.read:/cygno-reco/a/**'])
    await admin.api.undoPolicy({ body: { group: '/cygno', toVersion: 0, ifVersion: 1 } })
    expect(may(anna.id, 'sessions.start')).toBe(true)
  })

  test('versions: two editors, a difference in words, undo as a new version', async () => {
    const { head, join, database } = await startGroups(open)
    const mara = await join('mara', analysis, 'manager')
    const { policy } = await head.browser.api.showPolicy({ query: { group: analysis } })
    const less = { ...policy, grants: { ...policy.grants, guest: ['logbook.read'] } }
    const body = { group: analysis, policy: less, ifVersion: 1, note: 'guests look only' }
    expect((await mara.browser.api.applyPolicy({ body })).applied).toEqual({ version: 2 })
    await expect(head.browser.api.applyPolicy({ body })).rejects.toMatchObject({
      code: 'identity.policy_changed',
      status: 409,
      detail: expect.stringContaining('mara'),
    })
    await head.browser.api.undoPolicy({ body: { group: analysis, toVersion: 1, ifVersion: 2 } })
    const { items } = await head.browser.api.listPolicyVersions({ query: { group: analysis } })
    expect(items.map(({ version, author, note }) => [version, author.name, note])).toEqual([
      [3, 'hugo', 'as in version 1'],
      [2, 'mara', 'guests look only'],
      [1, 'hugo', 'as it began'],
    ])
    expect(items[0]!.policy).toEqual(items[2]!.policy)
    expect(items[1]!.differences).toEqual([
      'Role guest loses jobs.read, sessions.start, data.read:/cygno-reco/**, data.read:/cygno-work/**',
    ])
    expect(items[0]!.differences).toEqual([
      'Role guest gets jobs.read, sessions.start, data.read:/cygno-reco/**, data.read:/cygno-work/**',
    ])
    const racing = await Promise.allSettled(
      [1, 2, 3].map((days) =>
        head.browser.api.applyPolicy({
          body: {
            group: analysis,
            policy: { ...policy, ceiling: { ...policy.ceiling, membershipMaxDays: days } },
            ifVersion: 3,
          },
        }),
      ),
    )
    expect(racing.map(({ status }) => status).sort()).toEqual(['fulfilled', 'rejected', 'rejected'])
    await expect(
      head.browser.api.undoPolicy({ body: { group: analysis, toVersion: 9, ifVersion: 4 } }),
    ).rejects.toEqual(refused('no_such_version'))
    const rows = await tablesOf(database).selectFrom('identity_audit').select(['action', 'detail']).execute()
    const audited = rows.filter(({ action }) => action === 'policy-changed').map(({ detail }) => JSON.parse(detail))
    expect(audited.map(({ version }) => version)).toEqual([2, 3, 4])
  })

  test('who may edit what: ceilings are set one level up, managers hand out below them, nobody reaches above', async () => {
    const { head, admin, join } = await startGroups(open)
    const mara = await join('mara', analysis, 'manager')
    const anna = await join('anna', analysis, 'member')
    const first = (await head.browser.api.showPolicy({ query: { group: analysis } })).policy
    const edited = (parts: Partial<Policy['ceiling']>, grants: Policy['grants'] = {}): Policy => ({
      ...first,
      ceiling: { ...first.ceiling, ...parts },
      grants: { ...first.grants, ...grants },
    })
    const tryAs = (who: typeof mara.browser, policy: Policy, group = analysis) =>
      who.api.previewPolicy({ body: { group, policy } })
    // A manager: grants of those he manages, below the ceiling.
    await tryAs(mara.browser, edited({}, { guest: ['data.read:/cygno-work/shared/**'] }))
    for (const policy of [
      edited({ membershipMaxDays: 3 }),
      edited({}, { manager: ['logbook.read'] }),
      { ...first, sponsorLimit: 500 },
      { ...first, approval: 'none' as const },
    ])
      await expect(tryAs(mara.browser, policy)).rejects.toEqual(refused('not_allowed'))
    await expect(tryAs(mara.browser, edited({}, { member: ['data.modify:/cygno-raw/**'] }))).rejects.toMatchObject({
      code: 'identity.beyond_ceiling',
      status: 403,
      extra: { exceeds: ['data.modify:/cygno-raw/** for member'] },
    })
    await expect(tryAs(mara.browser, first, '/cygno/daq')).rejects.toEqual(refused('not_allowed'))
    await expect(tryAs(mara.browser, first, '/cygno')).rejects.toEqual(refused('not_allowed'))
    await expect(tryAs(anna.browser, first)).rejects.toEqual(refused('not_allowed'))
    // The experiment's admin: ceilings below the experiment's own, which the site sets.
    const limits = { cores: 8 }
    await expect(tryAs(head.browser, policyWith({ ceiling: { limits } }), '/cygno')).rejects.toEqual(
      refused('not_allowed'),
    )
    const root = policyWith({ ceiling: { limits, environments: ['lab'], membershipMaxDays: 30 } })
    await admin.api.applyPolicy({ body: { group: '/cygno', policy: root, ifVersion: 0 } })
    await tryAs(head.browser, edited({ limits: { cores: 8, gpus: 4 }, membershipMaxDays: 30, environments: ['lab'] }))
    await expect(
      tryAs(head.browser, edited({ limits: { cores: 9 }, membershipMaxDays: 31, environments: ['lab', 'old'] })),
    ).rejects.toMatchObject({
      code: 'identity.beyond_ceiling',
      extra: { exceeds: ['cores 9 (at most 8)', 'membershipMaxDays 31 (at most 30)', 'environment old'] },
    })
    // A policy that comes with a new group, or from a file, passes the same.
    await expect(
      head.browser.api.createGroup({
        body: { group: '/cygno/analysis/deep', policy: policyWith({ ceiling: { capabilities: ['data.archive'] } }) },
      }),
    ).rejects.toEqual(refused('beyond_ceiling'))
    for (const text of [
      'data.read:/x/**/y',
      'people.manage',
      'site.admin',
      'data.read:cygno',
      'nothing',
      'logbook.read:/x',
    ])
      await expect(tryAs(admin, edited({ capabilities: [text] }))).rejects.toEqual(refused('invalid_policy'))
    const tooMuch = JSON.parse('{"ceiling":{"capabilites":[]}}') as Policy
    await expect(tryAs(admin, tooMuch)).rejects.toMatchObject({ status: 422 })
  })

  test('what was cut by a ceiling set later may stay in a document, and nothing is added to it', async () => {
    const { head, admin } = await startGroups(open)
    const { policy } = await head.browser.api.showPolicy({ query: { group: analysis } })
    const root = policyWith({ ceiling: { capabilities: ['logbook.read', 'jobs.read'] } })
    await admin.api.applyPolicy({ body: { group: '/cygno', policy: root, ifVersion: 0 } })
    const noted = { ...policy, grants: { ...policy.grants, guest: ['jobs.read'] } }
    await head.browser.api.applyPolicy({ body: { group: analysis, policy: noted, ifVersion: 1 } })
    const more = { ...noted, grants: { ...noted.grants, operator: ['sessions.start'] } }
    await expect(
      head.browser.api.applyPolicy({ body: { group: analysis, policy: more, ifVersion: 2 } }),
    ).rejects.toEqual(refused('beyond_ceiling'))
    const child = await head.browser.api.createGroup({ body: { group: '/cygno/analysis/deep' } })
    expect((await head.browser.api.showPolicy({ query: { group: child.group } })).policy.ceiling.capabilities).toEqual([
      'jobs.read',
      'logbook.read',
    ])
  })

  test('the preview changes nothing, names people, work and keys, and is what then happens', async () => {
    const asked: (readonly string[])[] = []
    const ports: Partial<IdentityPorts> = {
      async runningOf(personIds) {
        asked.push(personIds)
        const one = { personId: personIds[0]!, experiment: 'cygno', title: 'tracks' }
        return [
          { ...one, kind: 'session', id: 'session of anna' },
          { ...one, kind: 'job', id: 'job of anna' },
          { ...one, kind: 'job', id: 'job elsewhere', experiment: 'other' },
        ]
      },
    }
    const { head, join, changes, ...rest } = await startGroups(open, { ports })
    const anna = await join('anna', analysis, 'member')
    const berta = await join('berta', analysis, 'guest')
    await join('carl', '/cygno/daq', 'member')
    const key = await anna.browser.api.createAccessKey({ body: { label: 'laptop' } })
    await anna.browser.api.createAccessKey({ body: { limits: { experiment: 'other' } } })
    const elsewhere = { prefix: 'cygno-work/elsewhere', actions: ['data.read', 'data.modify'] }
    await anna.browser.api.createAccessKey({ body: { limits: elsewhere } })
    const { policy } = await head.browser.api.showPolicy({ query: { group: analysis } })
    const capabilities = policy.ceiling.capabilities!.filter(
      (text) => !['data.modify:/cygno-work/${group}/**', 'sessions.start'].includes(text),
    )
    const edit = { ...policy, ceiling: { ...policy.ceiling, capabilities } }
    const before = changes()
    const preview = await head.browser.api.previewPolicy({ body: { group: analysis, policy: edit } })
    expect(changes()).toBe(before)
    expect((await head.browser.api.showPolicy({ query: { group: analysis } })).version).toBe(1)
    const lines = preview.changes.map(({ name, lost, gained }) => ({ name, lost, gained }))
    expect(lines).toEqual([
      { name: 'anna', lost: ['data.modify:/cygno-work/analysis/**', 'sessions.start'], gained: [] },
      { name: 'berta', lost: ['sessions.start'], gained: [] },
    ])
    expect(preview.keys).toEqual([
      { accessKeyId: key.accessKeyId, label: 'laptop', ownerId: anna.id, ownerName: 'anna' },
    ])
    expect(preview.differences).toEqual(['Ceiling loses sessions.start, data.modify:/cygno-work/${group}/**'])
    expect(asked).toEqual([[anna.id, berta.id]])
    const work = (kind: 'session' | 'job', stops: boolean) => ({
      ...{ kind, id: `${kind} of anna`, personId: anna.id, personName: 'anna', title: 'tracks', stops },
    })
    expect(preview.running).toEqual([work('session', true), work('job', false)])
    const { applied, ...same } = await head.browser.api.applyPolicy({
      body: { group: analysis, policy: edit, ifVersion: 1 },
    })
    expect(applied).toEqual({ version: 2 })
    expect(same).toEqual(preview)
    const undone = await head.browser.api.undoPolicy({ body: { group: analysis, toVersion: 1, ifVersion: 2 } })
    expect(undone.changes.map(({ name, gained }) => ({ name, gained }))).toEqual(
      lines.map(({ name, lost }) => ({ name, gained: lost })),
    )
    expect(rest.may(berta.id, 'sessions.start')).toBe(true)
  })

  test('an experiment begins whole from a template or not at all, and is read-only from its end on', async () => {
    const clock = fakeClock(Date.now())
    const { identity, database, may, subject, ...rest } = await startGroups(open, { clock })
    const olga = await personBrowser({ identity, database, ...rest }, 'olga', [])
    const made: string[] = []
    const room = bareRoom(database, clock, {
      async createExperiment(_trx, { name }) {
        made.push(name)
      },
    })
    const request = { experiment: 'nova', title: 'Nova', ownerId: olga.id, quotaBytes: 5e12 }
    const endsAtMs = clock.nowMs() + 86_400_000
    await expect(
      room.change((trx) => experimentFromTemplate(room, trx, { ...request, ownerId: 'nobody' }, platformOrigin)),
    ).rejects.toEqual(refused('no_such_person'))
    await identity.refresh()
    expect(Object.keys(identity.snapshotPart().groups!).filter((group) => group.startsWith('/nova'))).toEqual([])
    await room.change((trx) => experimentFromTemplate(room, trx, { ...request, endsAtMs }, platformOrigin))
    await identity.refresh()
    expect(made).toEqual(['nova', 'nova'])
    const groups = Object.entries(identity.snapshotPart().groups!).filter(([group]) => group.startsWith('/nova'))
    expect(groups.map(([group, { optional }]) => [group, optional])).toEqual([
      ['/nova/analysis', undefined],
      ['/nova/daq', undefined],
      ['/nova/daq/shifter', true],
      ['/nova/data-manager', true],
      ['/nova/sim', undefined],
    ])
    const here = { experiment: 'nova' }
    expect(may(olga.id, 'experiment.admin', here)).toBe(true)
    expect((await policyOf(room.kysely, '/nova/sim')).ceiling).toMatchObject({
      limits: { storageBytes: 5e12 },
      endsAtMs,
    })
    const api = olga.browser.api
    const otto = await personBrowser({ identity, database, ...rest }, 'otto', [])
    await api.setMember({ body: { group: '/nova/daq', person: 'otto', role: 'operator' } })
    const raw = { ...here, bucket: 'nova-raw', key: 'run1' }
    expect(may(otto.id, 'data.create', raw)).toBe(true)
    expect(may(otto.id, 'data.create', { ...here, bucket: 'nova-work', key: 'sim/x' })).toBe(false)
    clock.advance(86_400_000)
    expect(may(otto.id, 'data.create', raw)).toBe(false)
    expect(may(otto.id, 'sessions.start', here)).toBe(false)
    expect(may(otto.id, 'data.read', raw)).toBe(true)
    expect(may(otto.id, 'sessions.stop', { ...here, ownerId: otto.id })).toBe(true)
    expect(may(olga.id, 'experiment.admin', here)).toBe(false)
    expect(may(olga.id, 'logbook.read', here)).toBe(true)
    const { epoch } = subject(otto.id)
    await identity.sweep()
    expect(subject(otto.id).epoch).toBe(epoch)
  })
})

test('a gateway from before there were groups takes nothing of a group, or of what is cut, for a whole role', () => {
  const grants: RoleGrant[] = [
    { experiment: 'cygno', role: 'guest' },
    { experiment: 'cygno', role: 'auditor' },
    { experiment: 'cygno', role: 'manager', group: '/cygno/a' },
    { experiment: 'cygno', role: 'member', untilMs: 5 },
    { experiment: 'cygno', role: 'operator', capabilities: [{ action: 'logbook.read' }] },
  ]
  const subject = { id: 'p', kind: 'person', name: 'p', displayName: '', state: 'active', epoch: 1 } as const
  const snapshot: IdentitySnapshot = {
    ...{ issuer: '', audience: '', accessKeys: {}, jwks: { keys: [] }, contentCookieKey: '' },
    subjects: { p: { ...subject, siteAdmin: false, roles: grants } },
  }
  const published = JSON.parse(JSON.stringify(forGateways(snapshot))) as IdentitySnapshot
  expect(published.subjects.p!.roles).toEqual([grants[0]])
  expect(identitySnapshotSchema.parse(published)).toEqual(snapshot)
})

/** What the gate of this process says, of whom gateways are told the same. */
async function askGate({ identity }: TestGroups, id: string): Promise<void> {
  const subject = identity.snapshotPart().subjects[id]
  identity.gate.require(
    { id, kind: 'person', name: '', subject: subject && subjectOf(subject) },
    'sessions.start',
    'cygno',
  )
}

function bareRoom(database: OpenedDatabase, clock: Clock, ports: Partial<IdentityPorts>): Room {
  return createRoom(
    {
      database,
      clock,
      log: createLogger({ process: 'test', level: 'silent' }),
      seal: createSeal(Buffer.alloc(32)),
      publicUrl: 'http://127.0.0.1:1',
      ports: { runningOf: async () => [], createExperiment: async () => {}, ...ports },
      mailGoesOut: false,
    },
    {
      refresh: async () => {},
      appended: () => {},
      snapshot: () => ({}) as IdentitySnapshot,
      alsoChanged: async () => {},
    },
  )
}
