import { describe, expect, test } from 'vitest'
import { actions, type Action } from '../../foundation/contract.ts'
import { decide, type Resource } from '../decide.ts'
import { anonymousSubject, roles, type Role, type RoleGrant, type Subject } from '../subject.ts'
import { placedActions } from './capability.ts'
import { roleRights } from './matrix.ts'
import { studyColumns, studyMatrix, type StudyColumn } from './test-study-matrix.ts'

const experiment = 'cygno'
const nobody: Subject = { ...anonymousSubject, kind: 'person', id: 'me', name: 'me' }

function holder(column: StudyColumn, grant: Partial<RoleGrant> = {}): Subject {
  if (column === 'site-admin') return { ...nobody, siteAdmin: true }
  // Everything that a person can hold in the experiment: what is left is the column of sessions and jobs.
  if (column === 'work') return { ...nobody, kind: 'job', roles: [{ experiment, role: 'exp-admin', ...grant }] }
  const kind = column === 'client' ? 'client' : 'person'
  return { ...nobody, kind, siteAdmin: column === 'break-glass', roles: [{ experiment, role: column, ...grant }] }
}

/** The cell, and for somebody with a broken glass what he is anyway. */
function expected(row: (typeof studyMatrix)[number], column: StudyColumn): boolean {
  return row.cells[column] === 'y' || (column === 'break-glass' && row.cells['site-admin'] === 'y')
}

function thing(row: (typeof studyMatrix)[number], raw: boolean, own: boolean): Resource | undefined {
  if ((row.raw ?? raw) !== raw || (row.own ?? own) !== own) return undefined
  const bucket = raw ? 'cygno-raw' : 'cygno-work'
  return { experiment, bucket, key: 'lime/run00012.mid', ownerId: own ? 'me' : 'you' }
}

describe('the matrix, every role by every action', () => {
  test.each(studyMatrix.map((row) => [`${row.thing}: ${row.action}`, row] as const))('%s', (_name, row) => {
    for (const column of studyColumns) {
      for (const raw of [true, false]) {
        for (const own of [true, false]) {
          const resource = thing(row, raw, own)
          if (resource === undefined) continue
          const which = `${column} ${row.action} ${raw ? 'raw' : 'work'} ${own ? 'own' : 'other'}`
          const decision = decide(holder(column), row.action, resource)
          expect([which, decision.allow]).toEqual([which, expected(row, column)])
          const elsewhere = decide(holder(column), row.action, { ...resource, experiment: 'demo', bucket: 'demo-raw' })
          const isSite = ['site.admin', 'ops.read', 'credentials.create'].includes(row.action)
          if (column !== 'site-admin' && column !== 'break-glass' && !isSite)
            expect([which, elsewhere.allow]).toEqual([which, false])
        }
      }
    }
  })

  test('a machine has by its declared capabilities what is marked so, and nothing more', () => {
    for (const row of studyMatrix) {
      const resource = thing(row, row.raw ?? false, row.own ?? true)!
      const declared = holder('client', { capabilities: [{ action: row.action }] })
      const may = row.cells.client !== 'n'
      expect([row.action, row.own, decide(declared, row.action, resource).allow]).toEqual([row.action, row.own, may])
      const other = holder('client', { capabilities: [{ action: 'data.create', place: 'cygno-raw/x/**' }] })
      expect([row.action, decide(other, row.action, resource).allow]).toEqual([row.action, false])
    }
  })

  test('every action and every role is in it', () => {
    expect(new Set(studyMatrix.map((row) => row.action))).toEqual(new Set(actions))
    expect(new Set<string>(studyColumns)).toEqual(new Set<string>([...roles, 'site-admin', 'work']))
  })

  test('an ended grant gives nothing, from its very last moment on', () => {
    for (const role of roles) {
      for (const action of Object.keys(roleRights[role]) as Action[]) {
        const subject = holder(role as StudyColumn, { untilMs: 1000, capabilities: [{ action }] })
        const resource = { experiment, bucket: 'cygno-work', key: 'x', ownerId: 'me', group: '/cygno' }
        const before = decide({ ...subject, siteAdmin: role === 'break-glass' }, action, resource, 999)
        expect([role, action, before.allow]).toEqual([role, action, true])
        const after = decide(
          role === 'break-glass' ? subject : { ...subject, siteAdmin: false },
          action,
          resource,
          1000,
        )
        if (role === 'break-glass' && action === 'jobs.read') continue
        expect([role, action, after]).toMatchObject([role, action, { allow: false, cut: 'ended' }])
      }
    }
  })
})

describe('in a group below the experiment', () => {
  const held = (role: Role, more: Partial<RoleGrant> = {}): Subject => ({
    ...nobody,
    roles: [{ experiment, role, group: '/cygno/students', ...more }],
  })
  const work = { experiment, bucket: 'cygno-work', key: 'students/plot.png' }
  const may = (who: Subject, action: Action, resource: Resource) => decide(who, action, resource).allow

  test('data are only where the policy names a place', () => {
    for (const action of placedActions) {
      expect(may(held('data-manager'), action, work)).toBe(false)
      expect(may(held('data-manager', { capabilities: [{ action }] }), action, work)).toBe(false)
      const placed = held('data-manager', { capabilities: [{ action, place: 'cygno-work/students/**' }] })
      expect(may(placed, action, work)).toBe(true)
      expect(may(placed, action, { ...work, key: 'studentsx/plot.png' })).toBe(false)
      expect(may(placed, action, { experiment })).toBe(false)
    }
  })

  test('a manager manages his group and those below it, and nobody beside or above', () => {
    for (const action of ['people.manage', 'policy.edit', 'audit.read'] as const) {
      const manager = held('manager')
      expect(may(manager, action, { experiment, group: '/cygno/students' })).toBe(true)
      expect(may(manager, action, { experiment, group: '/cygno/students/2026' })).toBe(true)
      expect(may(manager, action, { experiment, group: '/cygno/students2026' })).toBe(false)
      expect(may(manager, action, { experiment, group: '/cygno' })).toBe(false)
      expect(may(manager, action, { experiment })).toBe(false)
    }
  })

  test('a manager ends the work of people who are in nothing but his group', () => {
    const about = (ownerGroups?: string[]) => ({ experiment, ownerId: 'you', ownerGroups })
    for (const action of ['jobs.cancel', 'sessions.stop'] as const) {
      expect(may(held('manager'), action, about(['/cygno/students', '/cygno/students/a']))).toBe(true)
      expect(may(held('manager'), action, about(['/cygno/students', '/cygno']))).toBe(false)
      expect(may(held('manager'), action, about([]))).toBe(false)
      expect(may(held('manager'), action, about())).toBe(false)
    }
  })

  test('the admin of an experiment is that in the experiment only', () => {
    for (const action of actions.filter((each) => each !== 'credentials.create'))
      expect(may(held('exp-admin', { capabilities: [{ action, place: '**' }] }), action, work)).toBe(false)
  })

  test('whoever is in the root group is in the experiment', () => {
    const root = { ...nobody, roles: [{ experiment, role: 'member' as const, group: '/cygno' }] }
    expect(may(root, 'data.modify', work)).toBe(true)
  })
})

test('a broken glass is for its person alone: no key, no token of a session, no former admin', () => {
  const broken: Subject = { ...nobody, siteAdmin: true, roles: [{ experiment, role: 'break-glass' }] }
  const raw = { experiment, bucket: 'cygno-raw', key: 'x' }
  expect(decide(broken, 'data.read', raw).allow).toBe(true)
  expect(decide({ ...broken, limits: {} }, 'data.read', raw).allow).toBe(false)
  expect(decide({ ...broken, kind: 'session', siteAdmin: false }, 'data.read', raw).allow).toBe(false)
  expect(decide({ ...broken, siteAdmin: false }, 'data.read', raw).allow).toBe(false)
})
