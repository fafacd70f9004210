/**
 * What each role gives: the matrix of the design, one row per action, one column per role. Data only; `decide` reads it,
 * and nothing else says who may do what. A blank is a refusal.
 *
 * `any`: everybody's things in the role's reach. `own`: only what the subject owns. `not-raw`: any bucket but those of
 * raw data. `named`: only if the grant's capabilities say it by name, which of machines their two owners declare.
 */
import type { Action } from '../../foundation/contract.ts'
import type { Role } from '../subject.ts'

export type Reach = 'any' | 'own' | 'not-raw' | 'named'
export type Rights = Readonly<Partial<Record<Action, Reach>>>

const columns = [
  'guest',
  'member',
  'operator',
  'data-manager',
  'manager',
  'exp-admin',
  'auditor',
  'client',
  'break-glass',
] as const satisfies readonly Role[]

const _ = undefined

// oxfmt-ignore
const rows: Readonly<Partial<Record<Action, readonly (Reach | undefined)[]>>> = {
  //                     guest   member     operator   data-mgr   manager    exp-admin  auditor client   break-glass
  'logbook.read':       ['any',  'any',     'any',     'any',     'any',     'any',     _,      'named', 'any'],
  'logbook.write':      [_,      'any',     'any',     'any',     'any',     'any',     _,      'named', _],
  'data.read':          ['any',  'any',     'any',     'any',     'any',     'any',     _,      'named', 'any'],
  'data.create':        [_,      'not-raw', 'any',     'any',     'not-raw', 'any',     _,      'any',   _],
  'data.modify':        [_,      'not-raw', 'not-raw', 'any',     'not-raw', 'any',     _,      _,       _],
  'data.archive':       [_,      _,         _,         'any',     _,         'any',     _,      'named', _],
  'tape.recall':        [_,      'any',     'any',     'any',     'any',     'any',     _,      'named', _],
  'share.create':       [_,      'own',     'own',     'any',     'own',     'any',     _,      _,       _],
  'runs.control':       [_,      _,         'any',     _,         'any',     'any',     _,      'named', _],
  'daq.write':          [_,      _,         'any',     _,         _,         'any',     _,      'any',   _],
  'reconstruction.run': [_,      'any',     'any',     'any',     'any',     'any',     _,      'named', _],
  'jobs.submit':        ['any',  'any',     'any',     'any',     'any',     'any',     _,      'named', _],
  'jobs.read':          ['any',  'any',     'any',     'any',     'any',     'any',     _,      'named', 'any'],
  'jobs.cancel':        ['own',  'own',     'own',     'own',     'any',     'any',     _,      'own',   _],
  'sessions.start':     ['any',  'any',     'any',     'any',     'any',     'any',     _,      _,       _],
  'sessions.stop':      ['own',  'own',     'own',     'own',     'any',     'any',     _,      _,       _],
  'audit.read':         ['own',  'own',     'own',     'own',     'any',     'any',     'any',  _,       _],
  'people.manage':      [_,      _,         _,         _,         'any',     'any',     _,      _,       _],
  'policy.edit':        [_,      _,         _,         _,         'any',     'any',     _,      _,       _],
  'experiment.admin':   [_,      _,         _,         _,         _,         'any',     _,      _,       _],
}

/** What a role gives inside its experiment, or inside its group. */
export const roleRights = Object.fromEntries(
  columns.map((role, column) => [
    role,
    Object.fromEntries(Object.entries(rows).flatMap(([action, row]) => (row[column] ? [[action, row[column]]] : []))),
  ]),
) as Readonly<Record<Role, Rights>>

/** What a site admin may do everywhere. No data, no logbook: those come from a role, or for an hour by breaking the glass. */
export const siteAdminRights: Rights = {
  'site.admin': 'any',
  'ops.read': 'any',
  'experiment.admin': 'any',
  'people.manage': 'any',
  'policy.edit': 'any',
  'audit.read': 'any',
  'jobs.read': 'any',
  'jobs.cancel': 'any',
  'sessions.stop': 'any',
}

/** What every person may do for himself, in no experiment. */
export const personRights: Rights = { 'credentials.create': 'any' }

/** Never in the hands of anything that is not a person at a keyboard. */
export const personOnlyActions: ReadonlySet<Action> = new Set<Action>([
  'site.admin',
  'ops.read',
  'experiment.admin',
  'people.manage',
  'policy.edit',
  'audit.read',
  'share.create',
  'credentials.create',
])

/**
 * What runs in a person's name (sessions, jobs) has his rights, cut by this column: raw data are made by the detector
 * and by people, and no program opens another door.
 */
export const workRights: Readonly<Partial<Record<Action, 'never' | 'not-raw'>>> = {
  'data.create': 'not-raw',
  'data.modify': 'not-raw',
  'data.archive': 'never',
  'runs.control': 'never',
  'daq.write': 'never',
  'sessions.start': 'never',
  'sessions.stop': 'never',
}

/** Asked about the site, not about an experiment. */
export const siteActions: ReadonlySet<Action> = new Set<Action>(['site.admin', 'ops.read', 'credentials.create'])

/** Roles of a whole experiment: held in a group below it they give nothing. */
export const experimentRoles: ReadonlySet<Role> = new Set<Role>(['exp-admin', 'client', 'break-glass'])

/** Rights over a group, its people and its policy: from a group they reach that group and those below it. */
export const groupActions: ReadonlySet<Action> = new Set<Action>(['people.manage', 'policy.edit', 'audit.read'])

/** Rights over what a person has started: from a group they reach people all of whose groups lie in it. */
export const overseeingActions: ReadonlySet<Action> = new Set<Action>(['jobs.cancel', 'sessions.stop'])
