import { describe, expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { policyWith, startGroups } from '../groups/testing.ts'
import { groupsOf, type Group, type Membership } from '../groups/grants.ts'
import type { Policy } from '../groups/policy.ts'
import { workLimitsOf } from './work-limits.ts'

const nowMs = 1_000_000
const group = (path: string, ceiling: Partial<Policy['ceiling']> = {}): Group => ({
  group: path,
  archived: false,
  optional: false,
  title: '',
  gid: null,
  version: 1,
  policy: policyWith({ ceiling }),
})
const member = (path: string, more: Partial<Membership> = {}): Membership => ({
  personId: 'a',
  group: path,
  role: 'member',
  untilMs: null,
  grantedAtMs: 0,
  ...more,
})

describe('figures of work', () => {
  const groups = groupsOf([
    group('/cygno', { limits: { cores: 16, walltimeMs: 1000 } }),
    group('/cygno/students', { limits: { cores: 4, memoryBytes: 8, sessions: 1 }, environments: ['notebook'] }),
    group('/cygno/students/small', { limits: { cores: 8, memoryBytes: 2 }, environments: ['notebook', 'root'] }),
    group('/cygno/staff', { limits: { cores: 32 } }),
    group('/cygno/old', {}),
    group('/demo'),
  ])
  const limits = (...memberships: Membership[]) => workLimitsOf(groups, memberships, nowMs)

  test('are the lowest from the experiment down, with the group that set each', () => {
    expect(limits(member('/cygno/students/small'))).toEqual({
      cygno: {
        cores: 4,
        memoryBytes: 2,
        walltimeMs: 1000,
        sessions: 1,
        environments: ['notebook'],
        by: {
          cores: '/cygno/students',
          memoryBytes: '/cygno/students/small',
          walltimeMs: '/cygno',
          sessions: '/cygno/students',
          environments: '/cygno/students',
        },
      },
    })
  })

  test('nobody loses by a further group, for each figure by itself', () => {
    expect(limits(member('/cygno/students'), member('/cygno/staff'))).toEqual({
      cygno: { cores: 16, walltimeMs: 1000, by: { cores: '/cygno', walltimeMs: '/cygno' } },
    })
  })

  test('a group that is over, unknown or limits nothing', () => {
    expect(limits(member('/cygno/students', { untilMs: nowMs }), member('/demo'))).toEqual({})
    expect(limits(member('/cygno/unknown'))).toEqual({})
    expect(limits()).toEqual({})
  })
})

forEachDatabase('figures of work, published', (open) => {
  test('a new policy is in force when it is answered, and says whose it is', async () => {
    const { head, join, identity } = await startGroups(open)
    const anna = await join('anna', '/cygno/analysis', 'member')
    expect(identity.limitsOf(anna.id, 'cygno')).toEqual({})
    const { version, policy } = await head.browser.api.showPolicy({ query: { group: '/cygno/analysis' } })
    const next = { ...policy, ceiling: { ...policy.ceiling, limits: { cores: 2, sessions: 1 } } }
    await head.browser.api.applyPolicy({ body: { group: '/cygno/analysis', policy: next, ifVersion: version } })
    expect(identity.limitsOf(anna.id, 'cygno')).toMatchObject({
      cores: 2,
      sessions: 1,
      by: { cores: '/cygno/analysis' },
    })
    expect(identity.limitsOf(anna.id, 'demo')).toEqual({})
    expect(identity.limitsOf('constructor', 'toString')).toEqual({})
  })
})
