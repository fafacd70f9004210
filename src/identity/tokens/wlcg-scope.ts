/**
 * Scopes as the WLCG token profile writes them (2.2.1), and the capabilities they are here. Paths are relative to the
 * experiment whose issuer made the token: their first segment is the last part of a bucket's name, `/raw/lngs` of `cygno`
 * is everything below `lngs` in the bucket `cygno-raw`; `/` is every bucket of the experiment. Pure.
 */
import { actions, type Action } from '../../foundation/contract.ts'
import { placedActions } from '../decisions/capability.ts'
import { personOnlyActions } from '../decisions/matrix.ts'
import type { Capability } from '../subject.ts'

/** One name of a scope with its path, where it has one. */
export interface ScopeItem {
  name: string
  /** Absolute, normal, escaped as in the token. */
  path?: string
}

const storageActions: Readonly<Record<string, readonly Action[]>> = {
  'storage.read': ['data.read'],
  'storage.create': ['data.create'],
  'storage.modify': ['data.modify', 'data.create'],
  'storage.stage': ['tape.recall'],
  // Where a file lies is said by no route of its own here: allowed in a token, for others.
  'storage.poll': [],
}
const computeActions: Readonly<Record<string, readonly Action[]>> = {
  'compute.create': ['jobs.submit'],
  'compute.read': ['jobs.read'],
  'compute.cancel': ['jobs.cancel'],
  'compute.modify': [],
}
/** By their own names, without those that are for a person at a keyboard, or have a place (storage.*). */
const plainActions = new Set<string>(
  actions.filter(
    (action) => !personOnlyActions.has(action) && (!placedActions.has(action) || action === 'data.archive'),
  ),
)
/** Names that say nothing about rights. */
const silent = new Set(['openid', 'offline_access', 'wlcg.groups'])

const longestScope = 2000

/** The items of a scope; undefined if it is not wholly understood: such a token or request is refused, never cut. */
export function parseScope(scope: string): ScopeItem[] | undefined {
  if (scope.length > longestScope) return undefined
  const items = (scope === '' ? [] : scope.split(' ')).map(parseItem)
  return items.every((item) => item !== undefined) ? items : undefined
}

function parseItem(text: string): ScopeItem | undefined {
  const colon = text.indexOf(':')
  const name = colon === -1 ? text : text.slice(0, colon)
  const path = colon === -1 ? undefined : text.slice(colon + 1)
  if (Object.hasOwn(storageActions, name)) {
    return path !== undefined && segmentsOf(path) !== undefined ? { name, path } : undefined
  }
  if (name === 'wlcg.groups' && path !== undefined) return isGroupName(path) ? { name, path } : undefined
  const isKnown = Object.hasOwn(computeActions, name) || silent.has(name) || plainActions.has(name)
  return isKnown && path === undefined ? { name } : undefined
}

export function formatScope(items: readonly ScopeItem[]): string {
  return [...new Set(items.map(({ name, path }) => (path === undefined ? name : `${name}:${path}`)))].join(' ')
}

/** `group ::= '/' groupname | group '/' groupname` (profile 2.1.1). */
export function isGroupName(text: string): boolean {
  return text.length <= 255 && /^(?:\/[a-zA-Z0-9][a-zA-Z0-9_.-]*)+$/.test(text)
}

/** What an item gives in that experiment. */
export function capabilitiesOf({ name, path }: ScopeItem, experiment: string): Capability[] {
  if (name === 'wlcg.groups') return []
  const storage = Object.hasOwn(storageActions, name) ? storageActions[name]! : undefined
  if (storage === undefined) {
    const named = Object.hasOwn(computeActions, name) ? computeActions[name]! : actions.filter((one) => one === name)
    return named.map((action) => ({ action }))
  }
  const places = placesOf(path ?? '', experiment, name === 'storage.read')
  return storage.flatMap((action) => places.map((place) => ({ action, ...(place === '' ? {} : { place }) })))
}

/** '' is every place of the experiment. */
function placesOf(path: string, experiment: string, isReading: boolean): string[] {
  const segments = segmentsOf(path)
  if (segments === undefined) return []
  const [area, ...rest] = segments
  if (area === undefined) return ['']
  if (!/^[a-z0-9](?:[a-z0-9-]*[a-z0-9])?$/.test(area)) return []
  const root = [`${experiment}-${area}`, ...rest].join('/')
  // A directory, and not a file of that name: what lies below it, at any depth. Reading it includes listing it.
  return path.endsWith('/') && !isReading ? [`${root}/*/**`] : [`${root}/**`]
}

/** The scope that gives exactly that at a place; undefined where no scope can say it. */
export function pathOfPlace(place: string | undefined, experiment: string): string | undefined {
  if (place === undefined) return '/'
  const segments = place.split('/')
  const isDirectory = segments.at(-2) === '*' && segments.at(-1) === '**'
  if (segments.pop() !== '**') return undefined
  if (isDirectory) segments.pop()
  const [bucket = '', ...rest] = segments
  if (!bucket.startsWith(`${experiment}-`) || segments.includes('*')) return undefined
  const path = `/${[bucket.slice(experiment.length + 1), ...rest].map(escapeSegment).join('/')}${isDirectory ? '/' : ''}`
  return segmentsOf(path) === undefined ? undefined : path
}

/**
 * Absolute, without empty, `.` or `..` segments, each escaped in the one normal way (RFC 3986, 6.2.2); a last slash is kept
 * out. undefined: refused. A segment with `*` cannot be said, since it would be a pattern in a policy.
 */
function segmentsOf(path: string): string[] | undefined {
  if (!path.startsWith('/')) return undefined
  const inner = path.slice(1).replace(/\/$/, '')
  if (inner === '') return path === '/' ? [] : undefined
  const segments = inner.split('/').map(unescapeSegment)
  return segments.every((segment) => segment !== undefined) ? segments : undefined
}

function unescapeSegment(escaped: string): string | undefined {
  let segment: string
  try {
    segment = decodeURIComponent(escaped)
  } catch {
    return undefined
  }
  if (segment === '' || segment === '.' || segment === '..' || /[\p{Cc}/*]/u.test(segment)) return undefined
  return escapeSegment(segment) === escaped ? segment : undefined
}

/** Everything but what may stand in a segment of a path (RFC 3986 pchar). */
function escapeSegment(segment: string): string {
  return encodeURIComponent(segment).replace(/%(?:24|26|2B|2C|3B|3D|3A|40)/g, (escaped) => decodeURIComponent(escaped))
}
