/** For property tests of decisions: subjects, grants, limits and things, close enough to each other to meet. */
import * as fc from 'fast-check'
import { actions, type Action } from '../../foundation/contract.ts'
import type { Resource } from '../decide.ts'
import { roles, type Capability, type Limits, type RoleGrant, type Subject } from '../subject.ts'
import { placedActions } from './capability.ts'

export const nowMs = 1_000_000
export const experiments = ['cygno', 'demo']
export const groups = ['/cygno', '/cygno/a', '/cygno/a/b', '/cygno/ab', '/demo', '/demo/a']

const names = ['x', 'xy', 'y']
const buckets = ['cygno-raw', 'cygno-work', 'demo-work']

const place = fc
  .tuple(fc.constantFrom(...buckets, '*'), fc.array(fc.constantFrom(...names, '*'), { maxLength: 2 }), fc.boolean())
  .map(([bucket, segments, isTree]) => [bucket, ...segments, ...(isTree ? ['**'] : [])].join('/'))

/** The asked action, now and then another one: what is about others must not matter. */
function near(action: Action): fc.Arbitrary<Action> {
  return fc.oneof({ weight: 5, arbitrary: fc.constant(action) }, fc.constantFrom<Action>(...actions))
}

function capabilityNear(asked: Action): fc.Arbitrary<Capability> {
  return fc.tuple(near(asked), fc.option(place, { freq: 6 })).map(([action, where]) => ({
    action,
    ...(where !== null && placedActions.has(action) ? { place: where } : {}),
  }))
}

function grantNear(action: Action): fc.Arbitrary<RoleGrant> {
  return fc
    .record(
      {
        group: fc.constantFrom(...groups, '/cygno/a', '/cygno/a'),
        role: fc.constantFrom(...roles),
        isRoot: fc.boolean(),
        untilMs: fc.constantFrom(nowMs - 1, nowMs, nowMs + 1),
        capabilities: fc.array(capabilityNear(action), { maxLength: 3 }),
      },
      { requiredKeys: ['group', 'role', 'isRoot'] },
    )
    .map(({ group, isRoot, ...rest }) => ({
      experiment: group.split('/')[1]!,
      ...(isRoot ? {} : { group }),
      ...rest,
    }))
}

function limitsNear(action: Action): fc.Arbitrary<Limits> {
  return fc.record(
    {
      actions: fc.array(near(action), { maxLength: 4 }),
      prefix: fc
        .tuple(fc.constantFrom(...buckets), fc.constantFrom('', '/', '/x', '/x/', '/x/y'))
        .map((parts) => parts.join('')),
      experiment: fc.constantFrom(...experiments),
      capabilities: fc.array(capabilityNear(action), { maxLength: 4 }),
    },
    { requiredKeys: [] },
  )
}

function subjectNear(action: Action): fc.Arbitrary<Subject> {
  return fc
    .record({
      kind: fc.oneof(
        { weight: 6, arbitrary: fc.constant<Subject['kind']>('person') },
        fc.constantFrom<Subject['kind']>('client', 'session', 'job', 'anonymous'),
      ),
      siteAdmin: fc.nat(4).map((dice) => dice === 0),
      roles: fc.array(grantNear(action), { minLength: 1, maxLength: 3 }),
      limits: fc.option(limitsNear(action), { nil: undefined, freq: 1 }),
    })
    .map(({ limits, ...plain }) => ({ id: 'me', name: 'me', epoch: 1, ...plain, ...(limits && { limits }) }))
}

export const resource: fc.Arbitrary<Resource> = fc
  .record(
    {
      bucket: fc.constantFrom(...buckets),
      key: fc
        .array(fc.constantFrom(...names, ...names, ...names, '', '..'), { maxLength: 3 })
        .map((parts) => parts.join('/')),
      listing: fc.boolean(),
      purpose: fc.constantFrom('raw', 'work'),
      ownerId: fc.constantFrom('me', 'you'),
      ownerGroups: fc.subarray(groups, { maxLength: 2 }),
      group: fc.constantFrom(...groups),
      isSite: fc.boolean(),
    },
    { requiredKeys: ['bucket', 'isSite'] },
  )
  .chain(({ isSite, bucket, ...rest }) =>
    fc.nat(9).map((dice) => ({
      ...(isSite && dice < 3 ? {} : { experiment: dice === 9 ? 'demo' : 'cygno' }),
      ...(dice === 8 ? {} : { bucket }),
      ...rest,
    })),
  )

const me = { id: 'me', name: 'me', epoch: 1, kind: 'person', siteAdmin: false } as const
const objectKey = fc
  .array(fc.constantFrom(...names, ...names, ''), { minLength: 1, maxLength: 3 })
  .map((parts) => parts.join('/'))

/** A narrow credential of somebody who may do everything. */
const narrowed = fc.constantFrom<Action>(...placedActions).chain((action) =>
  fc.record({
    subject: limitsNear(action).map((limits): Subject => ({
      ...me,
      roles: [{ experiment: 'cygno', role: 'exp-admin' }],
      limits,
    })),
    action: fc.constant(action),
    resource: fc.record(
      {
        experiment: fc.constant('cygno'),
        bucket: fc.constantFrom('cygno-raw', 'cygno-work'),
        key: objectKey,
        listing: fc.boolean(),
        ownerId: fc.constant('me'),
      },
      { requiredKeys: ['experiment', 'bucket'] },
    ),
  }),
)

/** Somebody over people of a group. */
const overseer = fc
  .constantFrom<Action>('jobs.cancel', 'sessions.stop', 'people.manage', 'audit.read')
  .chain((action) =>
    fc.record({
      subject: fc
        .constantFrom(...groups)
        .map((group): Subject => ({ ...me, roles: [{ experiment: 'cygno', role: 'manager', group }] })),
      action: fc.constant(action),
      resource: fc.record(
        {
          experiment: fc.constant('cygno'),
          ownerId: fc.constantFrom('me', 'you'),
          ownerGroups: fc.subarray(groups, { maxLength: 2 }),
          group: fc.constantFrom(...groups),
        },
        { requiredKeys: ['experiment'] },
      ),
    }),
  )

/** Somebody who asks for something, with grants and limits that are mostly about just that. */
export const question: fc.Arbitrary<{ subject: Subject; action: Action; resource: Resource }> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc
      .constantFrom<Action>(...actions)
      .chain((action) => fc.record({ subject: subjectNear(action), action: fc.constant(action), resource })),
  },
  { weight: 2, arbitrary: narrowed },
  { weight: 1, arbitrary: overseer },
)

export const anyAction = fc.constantFrom<Action>(...actions)
export const grant = anyAction.chain(grantNear)
export const capability = anyAction.chain(capabilityNear)
export const limits = anyAction.chain(limitsNear)
