/** What memberships give, over random trees of policies. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import type { Action } from '../../foundation/contract.ts'
import { forEachDatabase, rounds } from '../../foundation/testing.ts'
import { decide } from '../decide.ts'
import { parseCapability } from '../decisions/capability.ts'
import { personRoles, type Capability, type PersonRole, type Subject } from '../subject.ts'
import { personBrowser } from '../testing.ts'
import {
  capabilityOf,
  effectiveGrants,
  effectiveLimits,
  groupsOf,
  metCeiling,
  policyActions,
  type Group,
  type Groups,
  type Membership,
} from './grants.ts'
import { defaultPolicy, lineOf, type Policy } from './policy.ts'
import { previewOf, type Holder } from './preview.ts'
import { policyWith, startGroups } from './testing.ts'

const nowMs = 1_800_000_000_000
const paths = ['/cygno', '/cygno/a', '/cygno/a/b', '/cygno/c', '/cygno/a/b/d']
const placedTexts = ['data.read', 'data.create', 'data.modify', 'tape.recall', 'share.create']
const places = [
  '/cygno-work/**',
  '/cygno-work/a/**',
  '/cygno-work/a/x',
  '/cygno-work/*/x',
  '/cygno-work/${group}/**',
  '/cygno-work/home/${user}/**',
  '/cygno-raw/**',
  '/cygno-reco/*',
  '/*/a/**',
]
const capabilityText = fc.oneof(
  fc.constantFrom(...policyActions),
  fc.tuple(fc.constantFrom(...placedTexts), fc.constantFrom(...places)).map(([action, place]) => `${action}:${place}`),
)
const capabilityTexts = fc.uniqueArray(capabilityText, { maxLength: 8 })
const maybe = <Value>(arbitrary: fc.Arbitrary<Value>) => fc.option(arbitrary, { nil: undefined, freq: 2 })
const limits = fc
  .record({ cores: maybe(fc.integer({ min: 0, max: 9 })), sessions: maybe(fc.integer({ min: 0, max: 3 })) })
  .map(withoutUndefined)
const policy: fc.Arbitrary<Policy> = fc
  .record({
    capabilities: maybe(capabilityTexts),
    limits,
    membershipMaxDays: maybe(fc.integer({ min: 1, max: 20 })),
    guestAllowed: fc.boolean(),
    endsAtMs: maybe(fc.constantFrom(nowMs - 1, nowMs + 86_400_000)),
    grants: fc.dictionary(fc.constantFrom(...personRoles), capabilityTexts),
  })
  .map(({ grants, ...ceiling }) => ({
    ...defaultPolicy,
    ceiling: withoutUndefined(ceiling) as unknown as Policy['ceiling'],
    grants,
  }))
const tree = fc.tuple(...paths.map(() => policy), fc.subarray(paths.slice(1), { maxLength: 1 })).map((parts) => {
  const archived = parts.at(-1) as string[]
  return groupsOf(
    paths.map((group, index): Group => {
      const own = parts[index] as Policy
      return {
        group,
        archived: archived.includes(group),
        optional: false,
        title: '',
        gid: null,
        version: 1,
        policy: own,
      }
    }),
  )
})
const membership = fc
  .record({
    group: fc.constantFrom(...paths),
    role: fc.constantFrom(...personRoles),
    untilMs: fc.constantFrom(null, nowMs - 5, nowMs + 5 * 86_400_000),
    grantedAtMs: fc.constantFrom(nowMs, nowMs - 10 * 86_400_000),
  })
  .map((parts): Membership => ({ ...parts, personId: 'p1' }))
const memberships = fc.array(membership, { maxLength: 4 })

const keys = [
  ...[undefined, 'x', 'a/x', 'a/q1', 'a/x/y', 'a/b/x', 'a/b/q1/q2', 'a/b/d/q1', 'c/x', 'c/q1/q2'],
  ...['home/anna/x', 'home/bert/x', 'home/cleo/q1/q2', 'q1/x', 'q1/q2/q3', 'q1'],
]
interface Probe {
  action: Action
  bucket: string | undefined
  key: string | undefined
  /** Absent: the asker's own. */
  ownerId?: string
}

const asked: Action[] = [...policyActions, 'people.manage', 'jobs.cancel', 'sessions.stop']
const probes: Probe[] = asked.flatMap((action): Probe[] =>
  placedTexts.includes(action)
    ? ['cygno-work', 'cygno-raw', 'cygno-reco'].flatMap((bucket) =>
        keys.flatMap((key): Probe[] => {
          const probe = { action, bucket, key }
          return action === 'share.create' ? [probe, { ...probe, ownerId: 'somebody' }] : [probe]
        }),
      )
    : [{ action, bucket: undefined, key: undefined }],
)

function subjectWith(groups: Groups, held: readonly Membership[], name = 'anna'): Subject {
  const roles = effectiveGrants(groups, held, () => name)
  return { id: 'p1', kind: 'person', name, epoch: 1, siteAdmin: false, roles }
}

function allowed(subject: Subject, atMs = nowMs): boolean[] {
  return probes.map(
    ({ action, bucket, key, ownerId = 'p1' }) =>
      decide(subject, action, { experiment: 'cygno', bucket, key, ownerId, group: '/cygno/a' }, atMs).allow,
  )
}

test('whatever the policies say, nobody has what his role, or any ceiling above him, does not give', () => {
  fc.assert(
    fc.property(tree, membership, (groups, held) => {
      const subject = subjectWith(groups, [held])
      const bare = subjectWith(
        groupsOf(paths.map((group) => ({ ...groups.get(group)!, policy: defaultPolicy, archived: false }))),
        [held],
      )
      const whole = {
        ...bare,
        roles: bare.roles.map(({ experiment, role, untilMs = Infinity }) => ({ experiment, role, untilMs })),
      }
      const ceilings = lineOf(held.group).map((group) => groups.get(group)!.policy.ceiling.capabilities)
      const [has, could] = [allowed(subject), allowed(whole)]
      for (const [index, probe] of probes.entries()) {
        if (!has[index]) continue
        expect(could[index], `${JSON.stringify(probe)} is no right of ${held.role}`).toBe(true)
        if (!policyActions.includes(probe.action)) continue
        for (const texts of ceilings) {
          const over = texts?.flatMap((text) => capabilityOf(text, { user: 'anna', group: held.group }))
          expect(over === undefined || over.some((one) => gives(one, probe)), JSON.stringify(probe)).toBe(true)
        }
      }
    }),
    { numRuns: rounds(150) },
  )
})

test('adding a ceiling never adds a right, wherever it is set', () => {
  fc.assert(
    fc.property(tree, memberships, fc.constantFrom(...paths), capabilityTexts, (groups, held, where, texts) => {
      const present = groups.get(where)!
      const own = present.policy.ceiling.capabilities
      const narrower = own === undefined ? texts : texts.filter((text) => own.includes(text))
      const ceiling = { ...present.policy.ceiling, capabilities: narrower, guestAllowed: false, endsAtMs: nowMs - 2 }
      const cut = new Map(groups).set(where, { ...present, policy: { ...present.policy, ceiling } })
      const [before, after] = [allowed(subjectWith(groups, held)), allowed(subjectWith(cut, held))]
      for (const [index, has] of after.entries())
        expect(has && !before[index], JSON.stringify(probes[index])).toBe(false)
    }),
    { numRuns: rounds(150) },
  )
})

test('a preview is the effect: who is in it gains or loses exactly that, and nobody else anything', () => {
  const names = ['anna', 'bert', 'cleo']
  const people = fc.tuple(...names.map(() => memberships)).map((all) =>
    all.map((own, index): Holder => {
      const id = names[index]!
      const held = own.map((one) => ({ ...one, personId: id }))
      return { id, kind: 'person', name: id, displayName: id, memberships: held }
    }),
  )
  fc.assert(
    fc.property(tree, policy, fc.constantFrom(...paths), people, (groups, next, where, holders) => {
      const after = new Map(groups).set(where, { ...groups.get(where)!, policy: next })
      const { changes } = previewOf('cygno', groups, after, holders, nowMs)
      for (const holder of holders) {
        const own = changes.filter(({ personId }) => personId === holder.id)
        const [old, young] = [groups, after].map((side) => allowed(subjectWith(side, holder.memberships, holder.name)))
        for (const [index, probe] of probes.entries()) {
          if (old![index] === young![index]) continue
          const said = own.flatMap((change) => (old![index] ? change.lost : change.gained))
          const covered = said.some((text) => gives(parseCapability(text)!, probe))
          expect(covered, `${holder.name} ${JSON.stringify(probe)} ${said.join(' ')}`).toBe(true)
        }
        for (const { lost, gained, until, limits: words } of own) {
          expect(lost.length + gained.length + words.length + (until === undefined ? 0 : 1)).toBeGreaterThan(0)
          for (const [texts, was] of [
            [lost, old!],
            [gained, young!],
          ] as const)
            for (const text of texts) {
              // Rights over other people are no matter of these probes.
              if (['jobs.cancel', 'sessions.stop', 'people.manage'].includes(text)) continue
              const there = probes.flatMap((probe, index) => (gives(parseCapability(text)!, probe) ? [index] : []))
              const changed = there.some((index) => was[index] && old![index] !== young![index])
              // A right to what nobody asked for here, or to raw data that the role has not, shows in no probe.
              expect(changed || !there.some((index) => was[index]), `${holder.name} ${text}`).toBe(true)
            }
        }
      }
    }),
    { numRuns: rounds(150) },
  )
})

test('a person has the most generous figures of his groups, each below all ceilings above it', () => {
  const of = (cores: number | undefined) => policyWith({ ceiling: { limits: cores === undefined ? {} : { cores } } })
  const group = (path: string, own: Policy): Group => ({
    group: path,
    archived: false,
    optional: false,
    title: '',
    gid: null,
    version: 1,
    policy: own,
  })
  const groups = groupsOf([group('/cygno', of(8)), group('/cygno/a', of(2)), group('/cygno/c', of(20))])
  const member = (path: string): Membership => ({
    personId: 'p1',
    group: path,
    role: 'member',
    untilMs: null,
    grantedAtMs: 0,
  })
  const figures = (...held: string[]) => effectiveLimits(groups, held.map(member), 'cygno', nowMs)
  expect(figures('/cygno/a')).toEqual({ cores: 2 })
  expect(figures('/cygno/a', '/cygno/c')).toEqual({ cores: 8 })
  expect(figures()).toEqual({})
  expect(metCeiling(groups, '/cygno/c').limits).toEqual({ cores: 8 })
})

test('policies of a newer version give nothing by words that this one does not know', () => {
  const unknown = policyWith({ grants: { member: ['data.teleport', 'logbook.read'] } })
  const groups = groupsOf([
    { group: '/cygno', archived: false, optional: false, title: '', gid: null, version: 1, policy: unknown },
  ])
  const held: Membership = { personId: 'p1', group: '/cygno', role: 'member', untilMs: null, grantedAtMs: 0 }
  const { roles } = subjectWith(groups, [held])
  expect(roles[0]!.capabilities!.map(({ action }) => action)).not.toContain('data.teleport')
  for (const name of ['../x', 'a/b', '*', '**', '${user}', ''])
    expect(capabilityOf('data.read:/cygno-work/home/${user}/**', { user: name, group: '/cygno' })).toEqual([])
})

forEachDatabase('a manager', (open, kind) => {
  test.runIf(kind === 'sqlite')(
    'reaches nothing outside his ceiling by any sequence of what he may do, for himself or for others',
    async () => {
      const started = await startGroups(open, {}, ['/cygno/analysis', '/cygno/analysis/deep', '/cygno/daq'])
      const { head, join, subject } = started
      const group = '/cygno/analysis'
      const ceiling = [
        'logbook.read',
        'sessions.start',
        'data.read:/cygno-reco/**',
        'data.modify:/cygno-work/analysis/**',
      ]
      const { policy: first } = await head.browser.api.showPolicy({ query: { group } })
      const bound = {
        ...first,
        ceiling: { ...first.ceiling, capabilities: ceiling },
        grants: { guest: ['logbook.read'] },
      }
      await head.browser.api.applyPolicy({ body: { group, policy: bound, ifVersion: 1 } })
      const mara = await join('mara', group, 'manager')
      const others = [await personBrowser(started, 'otto', []), await join('dora', '/cygno/daq', 'member')]
      const ids = [mara.id, ...others.map(({ id }) => id)]
      const before = new Map(ids.map((id) => [id, rightsNow(subject(id))]))
      const above = ceiling.flatMap((text) => capabilityOf(text, { group }))

      const anyGroup = fc.constantFrom(group, '/cygno/analysis/deep', '/cygno/daq', '/cygno', '/cygno/analysis/new')
      const step = fc.oneof(
        fc.record({
          op: fc.constant('member' as const),
          group: anyGroup,
          person: fc.constantFrom('mara', 'otto', 'dora'),
          role: fc.constantFrom<PersonRole | null>(...personRoles, null),
        }),
        fc.record({ op: fc.constant('policy' as const), group: anyGroup, policy }),
        fc.record({
          op: fc.constant('grants' as const),
          group: anyGroup,
          role: fc.constantFrom('member', 'guest', 'operator', 'manager'),
          texts: capabilityTexts,
        }),
        fc.record({ op: fc.constant('undo' as const), group: anyGroup, version: fc.integer({ min: 0, max: 3 }) }),
        fc.record({ op: fc.constant('create' as const), group: anyGroup, policy }),
        fc.record({ op: fc.constant('archive' as const), group: anyGroup, archived: fc.boolean() }),
        fc.record({
          op: fc.constant('old role' as const),
          person: fc.integer({ min: 0, max: 2 }),
          role: fc.constantFrom<PersonRole | null>(...personRoles, null),
        }),
      )
      const api = mara.browser.api
      let done = 0
      await fc.assert(
        fc.asyncProperty(fc.array(step, { minLength: 30, maxLength: 30 }), async (steps) => {
          for (const one of steps) {
            const made = await act(one).then(
              () => true,
              (error: unknown) => {
                const { status } = error as { status?: number }
                if (status === undefined || status >= 500 || status === 401) throw error
                return false
              },
            )
            if (!made) continue
            done++
            for (const id of ids) {
              const was = before.get(id)!
              for (const [index, has] of rightsNow(subject(id)).entries()) {
                const probe = probes[index]!
                if (!has || was[index]) continue
                const below =
                  above.some((capability) => gives(capability, probe)) ||
                  ['jobs.cancel', 'sessions.stop'].includes(probe.action)
                expect(below, `${JSON.stringify(one)} gave ${id} ${JSON.stringify(probe)}`).toBe(true)
              }
            }
          }
        }),
        { numRuns: rounds(4, 40) },
      )
      expect(done).toBeGreaterThan(5)

      async function act(one: typeof step extends fc.Arbitrary<infer Step> ? Step : never): Promise<unknown> {
        if (one.op === 'member')
          return await api.setMember({ body: { group: one.group, person: one.person, role: one.role } })
        if (one.op === 'create') return await api.createGroup({ body: { group: one.group, policy: one.policy } })
        if (one.op === 'archive') return await api.archiveGroup({ body: { group: one.group, archived: one.archived } })
        if (one.op === 'old role')
          return await api.setRole({
            params: { person: ids[one.person]! },
            body: { experiment: 'cygno', role: one.role },
          })
        const { version, policy: present } = await api.showPolicy({ query: { group: one.group } })
        if (one.op === 'undo')
          return await api.undoPolicy({ body: { group: one.group, toVersion: one.version, ifVersion: version } })
        const next =
          one.op === 'policy' ? one.policy : { ...present, grants: { ...present.grants, [one.role]: one.texts } }
        return await api.applyPolicy({ body: { group: one.group, policy: next, ifVersion: version } })
      }
    },
    rounds(60_000, 900_000),
  )
})

/** At the real time: memberships here are of now. */
function rightsNow(subject: Subject): boolean[] {
  return allowed(subject, Date.now())
}

function gives(capability: Capability, { action, bucket, key }: Probe): boolean {
  if (capability.action !== action) return false
  if (capability.place === undefined) return true
  if (bucket === undefined) return false
  const [wanted, given] = [capability.place.split('/'), [bucket, ...(key?.split('/') ?? [])]]
  const isTree = wanted.at(-1) === '**'
  if (isTree) wanted.pop()
  if (isTree ? given.length < wanted.length : given.length !== wanted.length) return false
  return wanted.every((segment, index) => segment === '*' || segment === given[index])
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Value
}
