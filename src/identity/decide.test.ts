import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { actions, type Action } from '../foundation/contract.ts'
import {
  decide,
  grantableRoles,
  isInsidePrefix,
  personOnlyActions,
  rightsOf,
  roleRights,
  type Resource,
} from './decide.ts'
import { anonymousSubject, personRoles, type Limits, type Role, type RoleGrant, type Subject } from './subject.ts'

const experiments = ['cygno', 'demo', 'lime']
const segments = ['lime', 'limex', 'sim', '..', '.', 'run00012.mid', '']

const action = fc.constantFrom(...actions)
const roleGrant: fc.Arbitrary<RoleGrant> = fc.record({
  experiment: fc.constantFrom(...experiments),
  role: fc.constantFrom<Role>(...personRoles, 'client'),
})
const bucket = fc.constantFrom('cygno-raw', 'cygno-reco', 'demo-work', 'demo-raw')
const path = fc.array(fc.constantFrom(...segments), { maxLength: 4 }).map((parts) => parts.join('/'))
const limits: fc.Arbitrary<Limits> = fc.record(
  {
    actions: fc.subarray([...actions]),
    prefix: fc.tuple(bucket, path).map(([name, rest]) => `${name}/${rest}`),
    experiment: fc.constantFrom(...experiments),
  },
  { requiredKeys: [] },
)
const kind = fc.constantFrom('person', 'client', 'session', 'job', 'anonymous') as fc.Arbitrary<Subject['kind']>
const subject: fc.Arbitrary<Subject> = fc
  .record({
    id: fc.constantFrom('me', 'you'),
    kind,
    name: fc.constant('somebody'),
    epoch: fc.constant(1),
    siteAdmin: fc.boolean(),
    roles: fc.array(roleGrant, { maxLength: 5 }),
  })
  .chain((plain) =>
    fc.option(limits, { nil: undefined }).map((limit) => (limit === undefined ? plain : { ...plain, limits: limit })),
  )
const resource: fc.Arbitrary<Resource> = fc.record(
  {
    experiment: fc.constantFrom(...experiments),
    bucket,
    key: path,
    purpose: fc.constantFrom('raw', 'reco', 'work'),
    ownerId: fc.constantFrom('me', 'you'),
  },
  { requiredKeys: [] },
)
const runs = { numRuns: 2000 }

function allowed(who: Subject, what: Action, where: Resource): boolean {
  return decide(who, what, where).allow
}

describe('properties of decide', () => {
  test('removing a role never adds a right', () => {
    fc.assert(
      fc.property(subject, action, resource, fc.nat(), (who, what, where, which) => {
        const fewer = {
          ...who,
          roles: who.roles.filter((_grant, index) => index !== which % Math.max(1, who.roles.length)),
        }
        return allowed(who, what, where) || !allowed(fewer, what, where)
      }),
      runs,
    )
  })

  test('limits only narrow, and narrower limits narrow further', () => {
    fc.assert(
      fc.property(subject, limits, action, resource, (who, limit, what, where) => {
        const { limits: _own, ...unlimited } = who
        expect(allowed({ ...unlimited, limits: limit }, what, where) && !allowed(unlimited, what, where)).toBe(false)
        for (const name of ['actions', 'prefix', 'experiment'] as const) {
          const { [name]: _removed, ...wider } = limit
          const cut = allowed({ ...unlimited, limits: limit }, what, where)
          expect(cut && !allowed({ ...unlimited, limits: wider }, what, where)).toBe(false)
        }
      }),
      runs,
    )
  })

  test('a right in one experiment never depends on a role in another', () => {
    fc.assert(
      fc.property(subject, action, resource, fc.array(roleGrant), (who, what, where, others) => {
        const here = who.roles.filter((grant) => grant.experiment === where.experiment)
        const elsewhere = others.filter((grant) => grant.experiment !== where.experiment)
        return (
          allowed({ ...who, roles: [...here, ...elsewhere] }, what, where) ===
          allowed({ ...who, roles: here }, what, where)
        )
      }),
      runs,
    )
  })

  test('a session or job never may what its person may not', () => {
    fc.assert(
      fc.property(
        subject,
        limits,
        action,
        resource,
        fc.constantFrom('session', 'job'),
        (who, limit, what, where, actor) => {
          const { limits: _own, ...person } = { ...who, kind: 'person' as const }
          const acting: Subject = { ...person, kind: actor as 'session' | 'job', limits: limit }
          expect(allowed(acting, what, where) && !allowed(person, what, where)).toBe(false)
          if (personOnlyActions.has(what)) expect(allowed(acting, what, where)).toBe(false)
        },
      ),
      runs,
    )
  })

  test('the order of roles does not matter', () => {
    fc.assert(
      fc.property(subject, action, resource, (who, what, where) => {
        return allowed(who, what, where) === allowed({ ...who, roles: who.roles.toReversed() }, what, where)
      }),
      runs,
    )
  })

  test('saying more about the thing with an unlimited credential never takes the owner away', () => {
    fc.assert(
      fc.property(subject, action, resource, (who, what, where) => {
        const { ownerId: _owner, ...ownerless } = where
        return !allowed(who, what, ownerless) || allowed(who, what, { ...ownerless, ownerId: who.id })
      }),
      runs,
    )
  })

  test('nobody is allowed nothing, and the anonymous nothing at all', () => {
    fc.assert(fc.property(action, resource, (what, where) => !allowed(anonymousSubject, what, where)))
    const nobody: Subject = { ...anonymousSubject, kind: 'person', id: 'me' }
    fc.assert(
      fc.property(action, resource, (what, where) => what === 'credentials.create' || !allowed(nobody, what, where)),
    )
  })

  test('what a person may grant is always below what he holds', () => {
    fc.assert(
      fc.property(subject, fc.constantFrom(...experiments), (who, experiment) => {
        if (who.siteAdmin) return
        for (const role of grantableRoles(who, experiment)) {
          for (const what of Object.keys(roleRights[role]) as Action[]) {
            const receiver: Subject = { ...anonymousSubject, kind: 'person', id: 'new', roles: [{ experiment, role }] }
            for (const name of [`${experiment}-work`, `${experiment}-raw`]) {
              const where: Resource = { experiment, bucket: name }
              expect(allowed(receiver, what, where) && !allowed({ ...who, limits: {} }, what, where)).toBe(false)
            }
          }
        }
      }),
      runs,
    )
  })
})

describe('the matrix', () => {
  const person = (role: Role, more: Partial<Subject> = {}): Subject => ({
    ...anonymousSubject,
    id: 'me',
    kind: role === 'client' ? 'client' : 'person',
    name: 'me',
    roles: [{ experiment: 'cygno', role }],
    ...more,
  })
  const raw = { experiment: 'cygno', bucket: 'cygno-raw', purpose: 'raw', key: 'lime/sim/run00012.mid' } as const
  const work = { experiment: 'cygno', bucket: 'cygno-work', purpose: 'work', key: 'me/plot.png' } as const

  test.each([
    ['guest', 'data.read', raw, true],
    ['guest', 'data.modify', work, false],
    ['guest', 'logbook.write', {}, false],
    ['member', 'data.modify', work, true],
    ['member', 'data.create', raw, false],
    ['member', 'data.modify', raw, false],
    ['member', 'people.manage', {}, false],
    ['operator', 'data.create', raw, true],
    ['operator', 'data.modify', raw, false],
    ['operator', 'daq.write', {}, true],
    ['manager', 'people.manage', {}, true],
    ['manager', 'data.create', raw, false],
    ['manager', 'experiment.admin', {}, false],
    ['exp-admin', 'data.modify', raw, true],
    ['exp-admin', 'experiment.admin', {}, true],
    ['exp-admin', 'site.admin', {}, false],
    ['client', 'data.create', raw, true],
    ['client', 'data.read', raw, false],
    ['client', 'data.modify', raw, false],
    ['client', 'logbook.read', {}, false],
  ] as const)('%s %s', (role, what, where, expected) => {
    expect(allowed(person(role), what, { experiment: 'cygno', ...where })).toBe(expected)
  })

  test('a member cancels his own job only; a manager any; without an owner the question is refused', () => {
    const where = { experiment: 'cygno', ownerId: 'me' }
    expect(allowed(person('member'), 'jobs.cancel', where)).toBe(true)
    expect(allowed(person('member'), 'jobs.cancel', { ...where, ownerId: 'you' })).toBe(false)
    expect(allowed(person('member'), 'jobs.cancel', { experiment: 'cygno' })).toBe(false)
    expect(allowed(person('manager'), 'jobs.cancel', { experiment: 'cygno' })).toBe(true)
  })

  test('an unnamed bucket counts as raw', () => {
    expect(allowed(person('member'), 'data.create', { experiment: 'cygno' })).toBe(false)
    expect(allowed(person('member'), 'data.create', { experiment: 'cygno', bucket: 'cygno-raw' })).toBe(false)
  })

  test('a site admin reads no data without a role', () => {
    const admin = person('guest', { siteAdmin: true, roles: [] })
    expect(allowed(admin, 'site.admin', {})).toBe(true)
    expect(allowed(admin, 'data.read', raw)).toBe(false)
    expect(allowed(admin, 'logbook.read', { experiment: 'cygno' })).toBe(false)
    expect(allowed({ ...admin, kind: 'session' }, 'site.admin', {})).toBe(false)
  })

  test('rightsOf names what somebody may do somewhere', () => {
    expect(rightsOf(person('guest'), 'cygno')).toEqual([
      'logbook.read',
      'data.read',
      'jobs.submit',
      'jobs.read',
      'sessions.start',
    ])
    expect(rightsOf(person('guest'), 'demo')).toEqual([])
    expect(rightsOf(person('guest'))).toEqual(['credentials.create'])
    const key = { actions: ['data.create', 'daq.write'] as Action[], prefix: 'cygno-raw/', experiment: 'cygno' }
    expect(rightsOf(person('client', { limits: key }), 'cygno')).toEqual(['data.create', 'daq.write'])
  })
})

describe('prefixes are compared by whole segments', () => {
  test.each([
    ['cygno-raw/', 'cygno-raw', 'anything/at/all', true],
    ['cygno-raw', 'cygno-raw', undefined, true],
    ['cygno-raw/', 'cygno-raw2', 'x', false],
    ['cygno-raw/lime', 'cygno-raw', 'lime', true],
    ['cygno-raw/lime', 'cygno-raw', 'lime/run00001.mid', true],
    ['cygno-raw/lime', 'cygno-raw', 'limex/run00001.mid', false],
    ['cygno-raw/lime', 'cygno-raw', 'lim', false],
    ['cygno-raw/lime', 'cygno-raw', '', false],
    ['cygno-raw/lime', 'cygno-raw', undefined, false],
    ['cygno-raw/lime/', 'cygno-raw', 'lime/../sim/run', false],
    ['cygno-raw/lime/', 'cygno-raw', 'sim/../lime/run', false],
    ['cygno-raw/lime/', 'cygno-raw', '/lime/run', false],
    ['', 'cygno-raw', 'x', false],
  ])('%s against %s %s', (prefix, name, key, expected) => {
    expect(isInsidePrefix(prefix, name, key)).toBe(expected)
  })
})
