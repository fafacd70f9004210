/** What must hold whatever people, policies and credentials there are; cases are generated. */
import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actions } from '../../foundation/contract.ts'
import { decide, grantableRoles, type Resource } from '../decide.ts'
import { requireMayEdit } from '../groups/authority.ts'
import { requireBelow } from '../groups/ceiling-check.ts'
import { effectiveGrants, groupsOf, metCeiling, type Group, type Membership } from '../groups/grants.ts'
import { defaultPolicy, parentOf, type Policy } from '../groups/policy.ts'
import { actingSubject, type SnapshotSubject } from '../snapshot.ts'
import { personRoles, type PersonRole, type Subject } from '../subject.ts'
import { covers, formatCapability, intersect, placedActions } from './capability.ts'
import { capability, grant, limits, nowMs, question } from './test-generated-cases.ts'

const runs = { numRuns: process.env.CYGNET_LONG === undefined ? 2000 : 100_000 }
const long = { timeout: 600_000 }
const may = (who: Subject, what: (typeof actions)[number], where: Resource) => decide(who, what, where, nowMs).allow

describe('rights only ever shrink', () => {
  test('removing a grant never adds a right', long, () => {
    fc.assert(
      fc.property(question, fc.nat(), ({ subject, action, resource }, which) => {
        const roles = subject.roles.filter((_, index) => index !== which % Math.max(1, subject.roles.length))
        return may(subject, action, resource) || !may({ ...subject, roles }, action, resource)
      }),
      runs,
    )
  })

  test('a ceiling on any grant never adds a right', long, () => {
    fc.assert(
      fc.property(question, fc.array(capability, { maxLength: 4 }), ({ subject, action, resource }, ceiling) => {
        const roles = subject.roles.map((one) => {
          // In a group below the experiment no list means no data at all: a ceiling over nothing is nothing.
          const all = actions
            .filter((each) => one.group === undefined || !placedActions.has(each))
            .map((each) => ({ action: each }))
          // And a machine without a list has what every machine has, nothing that must be declared.
          const none = one.role === 'client' ? [] : all
          return { ...one, capabilities: intersect(one.capabilities ?? none, ceiling) }
        })
        return may(subject, action, resource) || !may({ ...subject, roles }, action, resource)
      }),
      runs,
    )
  })

  test('limits and an earlier end never add a right', long, () => {
    fc.assert(
      fc.property(question, limits, ({ subject: { limits: own, ...subject }, action, resource }, more) => {
        const limited = { ...subject, limits: more }
        if (may(limited, action, resource)) expect(may(subject, action, resource)).toBe(true)
        const both: Subject = {
          ...subject,
          limits: {
            ...own,
            ...more,
            ...(own?.capabilities && {
              capabilities: intersect(own.capabilities, more.capabilities ?? own.capabilities),
            }),
            ...(own?.actions && { actions: own.actions.filter((one) => more.actions?.includes(one) ?? true) }),
            ...(own?.experiment && { experiment: own.experiment }),
            ...(own?.prefix && { prefix: own.prefix }),
          },
        }
        if (own && may(both, action, resource)) expect(may({ ...subject, limits: own }, action, resource)).toBe(true)
        const ended = { ...subject, roles: subject.roles.map((one) => ({ ...one, untilMs: nowMs })) }
        if (may(ended, action, resource)) expect(may({ ...subject, roles: [] }, action, resource)).toBe(true)
      }),
      runs,
    )
  })

  test('the order of grants and capabilities does not matter', long, () => {
    fc.assert(
      fc.property(question, ({ subject, action, resource }) => {
        const turned = subject.roles
          .map((one) => ({ ...one, ...(one.capabilities && { capabilities: one.capabilities.toReversed() }) }))
          .toReversed()
        return may(subject, action, resource) === may({ ...subject, roles: turned }, action, resource)
      }),
      runs,
    )
  })

  test('a right in one experiment never depends on anything in another', long, () => {
    fc.assert(
      fc.property(question, fc.array(grant, { maxLength: 4 }), ({ subject, action, resource }, others) => {
        const here = subject.roles.filter((one) => one.experiment === resource.experiment)
        const elsewhere = others.filter((one) => one.experiment !== resource.experiment)
        const mixed = { ...subject, roles: [...elsewhere, ...here] }
        return may(mixed, action, resource) === may({ ...subject, roles: here }, action, resource)
      }),
      runs,
    )
  })

  test('a session, a job and a key never have what their person lacks', long, () => {
    fc.assert(
      fc.property(question, limits, fc.constantFrom('session', 'job'), ({ subject, action, resource }, limit, kind) => {
        const { limits: _, ...person } = { ...subject, kind: 'person' as const }
        const published: SnapshotSubject = { ...person, displayName: '', state: 'active' }
        const acting = actingSubject(published, { kind: kind as 'job', id: 'x' }, { actions: [...actions], ...limit })
        for (const narrow of [acting, { ...person, limits: limit }])
          if (may(narrow, action, resource)) expect(may(person, action, resource)).toBe(true)
      }),
      runs,
    )
  })

  test('what is not known about a thing is never assumed in the asker’s favour', long, () => {
    fc.assert(
      fc.property(question, fc.constantFrom('ownerId', 'group', 'ownerGroups', 'experiment'), (asked, name) => {
        const { [name]: _, ...less } = asked.resource
        if (name === 'experiment' && may(asked.subject, asked.action, less))
          return may({ ...asked.subject, roles: [] }, asked.action, less)
        return !may(asked.subject, asked.action, less) || may(asked.subject, asked.action, asked.resource)
      }),
      runs,
    )
  })
})

describe('no manager gets beyond the ceiling set above him', () => {
  const tree = ['/cygno', '/cygno/students', '/cygno/students/a', '/cygno/staff']
  const people = ['boss', 'anna', 'bert', 'cleo']
  const ceilings = ['data.read:/cygno-work/**', 'data.modify:/cygno-work/students/**', 'logbook.read', 'sessions.start']
  const texts = [
    ...ceilings,
    'data.read',
    'data.create:/cygno-raw/**',
    'data.modify:/cygno-work/${user}/**',
    'jobs.submit',
    'daq.write',
  ]
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('member' as const),
      group: fc.constantFrom(...tree),
      person: fc.constantFrom(...people),
      role: fc.constantFrom(...personRoles),
      remove: fc.boolean(),
    }),
    fc.record({
      kind: fc.constant('policy' as const),
      group: fc.constantFrom(...tree),
      role: fc.constantFrom<PersonRole>('operator', 'member', 'guest', 'manager'),
      grants: fc.option(fc.subarray(texts)),
      ceiling: fc.option(fc.subarray(texts)),
    }),
  )

  test('in any thirty things he does, with everybody he has let in', long, () => {
    fc.assert(
      fc.property(fc.array(step, { minLength: 30, maxLength: 30 }), fc.boolean(), (steps, alsoMember) => {
        const groups = groupsOf(tree.map((group): Group => ({ ...newGroup, group })))
        groups.get('/cygno/students')!.policy = {
          ...defaultPolicy,
          ceiling: { ...defaultPolicy.ceiling, capabilities: ceilings },
        }
        const members: Membership[] = [
          member('boss', '/cygno/students', 'manager'),
          ...(alsoMember ? [member('boss', '/cygno/students', 'member')] : []),
          member('cleo', '/cygno', 'member'),
          member('bert', '/cygno/staff', 'manager'),
        ]
        const outside = JSON.stringify(members.filter(({ group }) => !group.startsWith('/cygno/students')))
        const most = metCeiling(groups, '/cygno/students').capabilities!
        for (const one of steps) {
          tryStep(groups, members, subjectOf(groups, members, 'boss'), one)
          expect(JSON.stringify(members.filter(({ group }) => !group.startsWith('/cygno/students')))).toBe(outside)
          for (const person of people) {
            const grants = subjectOf(groups, members, person).roles.filter(({ group }) =>
              group?.startsWith('/cygno/students'),
            )
            const who: Subject = { ...nobody, id: person, roles: grants }
            for (const where of things) {
              for (const action of actions) {
                if (!may(who, action, where) || action === 'credentials.create') continue
                const bound = most.some((each) => covers(each, action, where))
                const overPeople = [
                  'people.manage',
                  'policy.edit',
                  'audit.read',
                  'jobs.cancel',
                  'sessions.stop',
                ].includes(action)
                expect([person, action, where, bound || (overPeople && isInTree(where, person))]).toEqual([
                  person,
                  action,
                  where,
                  true,
                ])
              }
            }
          }
        }
      }),
      { numRuns: process.env.CYGNET_LONG === undefined ? 40 : 2000 },
    )
  })

  const nobody: Subject = { id: '', kind: 'person', name: 'x', epoch: 1, siteAdmin: false, roles: [] }
  const newGroup = { archived: false, optional: false, title: '', gid: null, version: 1, policy: defaultPolicy }
  const member = (personId: string, group: string, role: PersonRole): Membership => ({
    personId,
    group,
    role,
    untilMs: null,
    grantedAtMs: 0,
  })
  const things: Resource[] = [
    ...['cygno-raw', 'cygno-work'].flatMap((bucket) =>
      ['students/x', 'anna/x', 'x'].map((key) => ({
        experiment: 'cygno',
        bucket,
        key,
        ownerId: 'anna',
        group: '/cygno/students/a',
      })),
    ),
    { experiment: 'cygno', group: '/cygno/staff', ownerId: 'cleo', ownerGroups: ['/cygno'] },
    { experiment: 'cygno', group: '/cygno', ownerId: 'bert', ownerGroups: ['/cygno/staff'] },
    { experiment: 'cygno', group: '/cygno/students', ownerId: 'anna', ownerGroups: ['/cygno/students/a'] },
  ]

  function isInTree({ group, ownerId }: Resource, person: string): boolean {
    return group?.startsWith('/cygno/students') === true || ownerId === person
  }

  function subjectOf(groups: ReadonlyMap<string, Group>, members: readonly Membership[], id: string): Subject {
    const own = members.filter(({ personId }) => personId === id)
    return { ...nobody, id, name: id, roles: effectiveGrants(groups, own, () => id) }
  }

  /** What the routes ask before they do it: the same functions. */
  function tryStep(
    groups: ReadonlyMap<string, Group>,
    members: Membership[],
    boss: Subject,
    one: Parameters<typeof apply>[2],
  ): boolean {
    try {
      apply(groups, members, one, boss)
      return true
    } catch {
      return false
    }
  }

  function apply(
    groups: ReadonlyMap<string, Group>,
    members: Membership[],
    one: ReturnType<typeof step.generate>['value'],
    boss: Subject,
  ): void {
    const group = groups.get(one.group)!
    if (one.kind === 'member') {
      const at = parentOf(one.group) === undefined ? undefined : one.group
      if (!grantableRoles(boss, 'cygno', at, nowMs).includes(one.role)) throw new Error('not his to give')
      const index = members.findIndex(
        ({ personId, group: where, role }) => personId === one.person && where === one.group && role === one.role,
      )
      if (one.remove && index >= 0) members.splice(index, 1)
      if (!one.remove && index < 0) members.push(member(one.person, one.group, one.role))
      return
    }
    const after: Policy = {
      ...group.policy,
      ...(one.grants && { grants: { ...group.policy.grants, [one.role]: one.grants } }),
      ...(one.ceiling && { ceiling: { ...group.policy.ceiling, capabilities: one.ceiling } }),
    }
    requireMayEdit(boss, one.group, group.policy, after, nowMs)
    requireBelow(groups, one.group, group.policy, after)
    group.policy = after
  }

  test('and the steps of that test are not all refused', () => {
    const groups = groupsOf(tree.map((group): Group => ({ ...newGroup, group })))
    const members = [member('boss', '/cygno/students', 'manager')]
    const boss = () => subjectOf(groups, members, 'boss')
    const grants = {
      kind: 'policy',
      group: '/cygno/students/a',
      role: 'member',
      grants: [formatCapability({ action: 'logbook.read' })],
      ceiling: null,
    } as const
    expect(tryStep(groups, members, boss(), { ...grants, grants: [...grants.grants] })).toBe(true)
    expect(tryStep(groups, members, boss(), { ...grants, group: '/cygno', grants: [...grants.grants] })).toBe(false)
    expect(tryStep(groups, members, boss(), { ...grants, grants: null, ceiling: [] })).toBe(false)
    const join = { kind: 'member', group: '/cygno/students', person: 'anna', role: 'member', remove: false } as const
    expect(tryStep(groups, members, boss(), join)).toBe(true)
    expect(tryStep(groups, members, boss(), { ...join, role: 'manager' })).toBe(false)
    expect(tryStep(groups, members, boss(), { ...join, group: '/cygno/staff' })).toBe(false)
    expect(tryStep(groups, members, boss(), { ...join, group: '/cygno' })).toBe(false)
    expect(members).toHaveLength(2)
  })
})
