/**
 * For tests: the same rules a second time, as policies and entities of Cedar, whose evaluator is formally specified and
 * not ours. The rows come from the study's table, places become entities in a tree of folders, limits become `forbid`.
 * Nothing here calls the evaluator that it judges.
 */
import { isAuthorized, type EntityJson } from '@cedar-policy/cedar-wasm/nodejs'
import type { Action } from '../../foundation/contract.ts'
import type { Resource } from '../decide.ts'
import type { Capability, RoleGrant, Subject } from '../subject.ts'
import { studyMatrix, type StudyColumn, type StudyRow } from './test-study-matrix.ts'

export interface Question {
  subject: Subject
  action: Action
  resource: Resource
  nowMs: number
  /** Every group there is. */
  groups: readonly string[]
}

/** Said of data in a place, in the words of the study: these are about objects. */
const objectThings = new Set(['raw data', 'analysis', 'share link', 'tape'])
/** A person's own business: done in a browser, by nobody else. */
const browserThings = new Set([
  'share link',
  'people of a group',
  'policy',
  'machine, bucket',
  'audit',
  'site',
  'own keys',
])

export function cedarAllows(question: Question): boolean {
  const answer = isAuthorized({
    principal: { type: 'Account', id: question.subject.id },
    action: { type: 'Action', id: question.action },
    resource: { type: 'Thing', id: 'it' },
    context: { now: question.nowMs },
    policies: { staticPolicies: policiesFor(question).join('\n') },
    entities: entitiesOf(question),
  })
  if (answer.type === 'failure') throw new Error(answer.errors.map(({ message }) => message).join('; '))
  const { diagnostics, decision } = answer.response
  if (diagnostics.errors.length > 0) throw new Error(JSON.stringify(diagnostics.errors))
  return decision === 'allow'
}

function policiesFor({ subject, action, groups }: Question): string[] {
  // What is about other actions can neither permit nor forbid this one.
  const matrix = studyMatrix.filter((row) => row.action === action)
  const rows = (column: StudyColumn) => matrix.filter((row) => row.cells[column] !== 'n')
  const policies: string[] = []
  if (subject.kind === 'person') policies.push(permit(rowsOfPerson(), []))
  if (subject.siteAdmin)
    policies.push(
      ...rows('site-admin')
        .filter(notOfPerson)
        .map((row) => permit([row], whenRow(row))),
    )
  for (const grant of subject.roles) {
    if ((grant.role === 'client') !== (subject.kind === 'client')) continue
    if (grant.role === 'break-glass' && !(subject.kind === 'person' && subject.siteAdmin && !subject.limits)) continue
    for (const row of rows(grant.role as StudyColumn).filter(notOfPerson))
      policies.push(permit([row], [...whenRow(row), ...whenGrant(grant, row, groups)]))
  }
  if (subject.kind === 'anonymous') policies.push('forbid(principal, action, resource);')
  if (subject.kind !== 'person') {
    for (const row of matrix.filter(({ thing }) => browserThings.has(thing))) policies.push(forbid([row], whenRow(row)))
  }
  if (subject.kind === 'session' || subject.kind === 'job') {
    // What the column of sessions and jobs refuses, and does not hand out anywhere else.
    for (const row of matrix.filter(({ cells }) => cells.work === 'n')) policies.push(forbid([row], whenRow(row)))
  }
  policies.push(...forbidBeyond(subject))
  return policies
}

function rowsOfPerson(): StudyRow[] {
  return studyMatrix.filter(({ thing }) => thing === 'own keys')
}

function notOfPerson({ thing }: StudyRow): boolean {
  return thing !== 'own keys'
}

function whenRow({ raw, own }: StudyRow): string[] {
  return [
    ...(raw === undefined ? [] : [raw ? 'resource.raw' : '!resource.raw']),
    ...(own === undefined ? [] : [`${own ? '' : '!'}(resource has owner && resource.owner == principal)`]),
  ]
}

function whenGrant(
  { experiment, group, untilMs, capabilities, role }: RoleGrant,
  row: StudyRow,
  groups: readonly string[],
) {
  const conditions = [`resource has experiment && resource.experiment == ${JSON.stringify(experiment)}`]
  if (untilMs !== undefined) conditions.push(`context.now < ${untilMs}`)
  const isBelow = group !== undefined && group.split('/').length > 2
  if (row.cells[role as StudyColumn] === 'c')
    conditions.push(capabilities === undefined ? 'false' : anyOf(capabilities))
  else if (capabilities !== undefined) conditions.push(anyOf(capabilities))
  if (group !== undefined && group.split('/')[1] !== experiment) return ['false']
  if (!isBelow) return conditions
  if (role === 'exp-admin' || role === 'client' || role === 'break-glass') return ['false']
  const tree = entity('Group', group)
  if (objectThings.has(row.thing))
    conditions.push(anyOf((capabilities ?? []).filter(({ place }) => place !== undefined)))
  if (['people of a group', 'policy'].includes(row.thing) || (row.thing === 'audit' && row.own === false))
    conditions.push(`resource has group && resource.group in ${tree}`)
  if ((row.thing === 'notebook' || row.thing === 'job') && row.own === false)
    conditions.push(
      '!resource.ownerGroups.isEmpty()',
      ...groups.map(
        (one) => `(!resource.ownerGroups.contains(${entity('Group', one)}) || ${entity('Group', one)} in ${tree})`,
      ),
    )
  return conditions
}

/** What a credential is for cuts everything, whoever holds it. */
function forbidBeyond({ limits = {} }: Subject): string[] {
  const { actions, prefix, experiment, capabilities } = limits
  const beyond: string[] = []
  if (actions !== undefined) beyond.push(`forbid(principal, action, resource) unless { ${actionIn(actions)} };`)
  if (experiment !== undefined) {
    const here = `resource has experiment && resource.experiment == ${JSON.stringify(experiment)}`
    beyond.push(`forbid(principal, action, resource) unless { ${here} };`)
  }
  if (capabilities !== undefined) beyond.push(`forbid(principal, action, resource) unless { ${anyOf(capabilities)} };`)
  if (prefix !== undefined) {
    const placed = [...new Set(studyMatrix.filter(({ thing }) => objectThings.has(thing)).map(({ action }) => action))]
    const inside = `resource.named && resource.folder in ${entity('Place', prefix.replace(/\/$/, ''))}`
    beyond.push(`forbid(principal, action, resource) when { ${actionIn(placed)} } unless { ${inside} };`)
  }
  return beyond
}

function anyOf(capabilities: readonly Capability[]): string {
  return capabilities.length === 0 ? 'false' : `(${capabilities.map((one) => `(${covered(one)})`).join(' || ')})`
}

function covered({ action, place }: Capability): string {
  const isIt = actionIn([action])
  if (place === undefined) return isIt
  const segments = place.split('/')
  const isTree = segments.at(-1) === '**'
  if (isTree) segments.pop()
  const folder =
    isTree && !segments.includes('*')
      ? `resource.named && resource.folder in ${entity('Place', segments.join('/'))}`
      : undefined
  if (folder !== undefined && segments.length > 0) return `${isIt} && ${folder}`
  const each = segments.map((segment, index) =>
    segment === '*' ? `resource.path.s${index} != ""` : `resource.path.s${index} == ${JSON.stringify(segment)}`,
  )
  const depth = isTree
    ? `resource.depth >= ${segments.length}`
    : `resource.depth == ${segments.length} && !resource.listing`
  return [isIt, 'resource.named', depth, ...each].join(' && ')
}

function permit(rows: readonly StudyRow[], conditions: readonly string[]): string {
  return clause('permit', rows, conditions)
}

function forbid(rows: readonly StudyRow[], conditions: readonly string[]): string {
  return clause('forbid', rows, conditions)
}

function clause(effect: string, rows: readonly StudyRow[], conditions: readonly string[]): string {
  const which = rows.map(({ action }) => entity('Action', action)).join(', ')
  const when = conditions.length === 0 ? '' : ` when { ${conditions.map((one) => `(${one})`).join(' && ')} }`
  return `${effect}(principal, action in [${which}], resource)${when};`
}

function actionIn(actions: readonly string[]): string {
  return actions.length === 0 ? 'false' : `[${actions.map((one) => entity('Action', one)).join(', ')}].contains(action)`
}

function entity(type: string, id: string): string {
  return `${type}::${JSON.stringify(id)}`
}

function entitiesOf({ subject, resource, groups }: Question): EntityJson[] {
  const { bucket, key = '', listing = false, purpose, experiment, ownerId, ownerGroups = [], group } = resource
  const segments = bucket === undefined ? [] : [bucket, ...(key === '' ? [] : key.split('/'))]
  const named = bucket !== undefined && !segments.some((one) => one === '.' || one === '..')
  // Of the beginning of names only the folder is sure.
  const sure = listing && key !== '' ? segments.slice(0, -1) : segments
  const place = (all: readonly string[]) => ({ type: 'Place', id: all.join('/') })
  const raw = purpose === 'raw' || bucket?.endsWith('-raw') === true || (purpose ?? bucket) === undefined
  const path = Object.fromEntries(Array.from({ length: 8 }, (_, index) => [`s${index}`, sure[index] ?? '']))
  return [
    { uid: { type: 'Account', id: subject.id }, attrs: {}, parents: [] },
    ...groups.map((one) => ({
      uid: { type: 'Group', id: one },
      attrs: {},
      parents: one.split('/').length > 2 ? [{ type: 'Group', id: one.slice(0, one.lastIndexOf('/')) }] : [],
    })),
    ...segments.map((_, index) => ({
      uid: place(segments.slice(0, index + 1)),
      attrs: {},
      parents: index === 0 ? [] : [place(segments.slice(0, index))],
    })),
    {
      uid: { type: 'Thing', id: 'it' },
      attrs: {
        raw,
        named,
        listing,
        depth: sure.length,
        path,
        folder: { __entity: place(sure) },
        ownerGroups: ownerGroups.map((one) => ({ __entity: { type: 'Group', id: one } })),
        ...(experiment === undefined ? {} : { experiment }),
        ...(ownerId === undefined ? {} : { owner: { __entity: { type: 'Account', id: ownerId } } }),
        ...(group === undefined ? {} : { group: { __entity: { type: 'Group', id: group } } }),
      },
      parents: segments.length === 0 ? [] : [place(segments)],
    },
  ]
}
