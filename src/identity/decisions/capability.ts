/**
 * Capabilities: one action, everywhere or at a place. Policies, path scopes of tokens and session policies of STS are
 * lists of them. Places have literal segments, `*` for exactly one and a last `**` for the place and all below it; no
 * other pattern, and never a regular expression. Pure; runs in browsers.
 */
import { actions, type Action } from '../../foundation/contract.ts'
import type { Capability } from '../subject.ts'

/** Actions that are about objects; only their capabilities can have a place. */
export const placedActions: ReadonlySet<Action> = new Set<Action>([
  'data.read',
  'data.create',
  'data.modify',
  'data.archive',
  'tape.recall',
  'share.create',
])

const longestPlace = 1024

/** `data.read` or `data.read:/cygno-work/analysis/**`; undefined for anything else. */
export function parseCapability(text: string): Capability | undefined {
  const colon = text.indexOf(':')
  const action = actions.find((one) => one === (colon === -1 ? text : text.slice(0, colon)))
  if (action === undefined) return undefined
  if (colon === -1) return { action }
  const place = text.slice(colon + 2)
  if (text[colon + 1] !== '/' || !placedActions.has(action) || !isPlace(place)) return undefined
  return { action, place }
}

export function formatCapability({ action, place }: Capability): string {
  return place === undefined ? action : `${action}:/${place}`
}

/** A place as it may stand in a capability: no empty, `.` or `..` segment, `*` and `**` only as whole segments. */
export function isPlace(place: string): boolean {
  const segments = place.split('/')
  return (
    place.length <= longestPlace &&
    segments.every(
      (segment, index) =>
        segment === '*' ||
        (segment === '**' && index === segments.length - 1) ||
        (isName(segment) && !segment.includes('*')),
    )
  )
}

/** The grammar of WLCG group names; what replaces `${user}` and `${group}` holds nothing else. */
export function isSegmentName(name: string): boolean {
  return /^[A-Za-z0-9][A-Za-z0-9_.-]{0,254}$/.test(name)
}

/**
 * `${user}` and `${group}` of a place replaced, each only as a whole segment; undefined when a name is not one that may
 * stand there or another `${` is left. `group` is its path in the experiment and may be several segments.
 */
export function substitute(capability: Capability, names: { user?: string; group?: string }): Capability | undefined {
  const { action, place } = capability
  if (place === undefined || !place.includes('$')) return capability
  const segments: string[] = []
  for (const segment of place.split('/')) {
    if (segment === '${user}' && names.user !== undefined) segments.push(names.user)
    else if (segment === '${group}' && names.group !== undefined)
      segments.push(...names.group.split('/').filter((part) => part !== ''))
    else if (segment.includes('$')) return undefined
    else {
      segments.push(segment)
      continue
    }
  }
  const named = place.includes('${user}') ? [names.user!] : []
  const grouped = place.includes('${group}') ? (names.group ?? '').split('/').filter((part) => part !== '') : []
  if (![...named, ...grouped].every(isSegmentName) || (place.includes('${group}') && grouped.length === 0))
    return undefined
  const result = segments.join('/')
  return isPlace(result) ? { action, place: result } : undefined
}

/** A listing names no object but the beginning of names: what stands behind its last slash is no whole segment. */
export interface Reached {
  bucket?: string | undefined
  key?: string | undefined
  listing?: boolean | undefined
}

/** Does the capability give the action there? Without a bucket only a capability without a place does. */
export function covers(capability: Capability, action: Action, { bucket, key, listing }: Reached = {}): boolean {
  if (capability.action !== action) return false
  if (capability.place === undefined) return true
  return bucket !== undefined && placeCovers(capability.place, bucket, key, listing === true)
}

export function placeCovers(place: string, bucket: string, key: string | undefined, listing = false): boolean {
  const given = [bucket, ...(key === undefined || key === '' ? [] : key.split('/'))]
  if (given.includes('.') || given.includes('..')) return false
  const wanted = place.split('/')
  const isTree = wanted.at(-1) === '**'
  if (isTree) wanted.pop()
  // A listing of a whole bucket has no beginning of a name at all.
  const whole = listing && key !== undefined && key !== '' ? given.slice(0, -1) : given
  if (isTree ? wanted.length > whole.length : listing || wanted.length !== given.length) return false
  return wanted.every((segment, index) => (segment === '*' ? whole[index] !== '' : segment === whole[index]))
}

/** Is everything that `narrow` gives given by `wide` too? */
export function includes(wide: Capability, narrow: Capability): boolean {
  if (wide.action !== narrow.action) return false
  if (wide.place === undefined) return true
  if (narrow.place === undefined) return false
  return meetOfPlaces(wide.place, narrow.place) === narrow.place
}

/**
 * What both lists give, and nothing else: the meet. In one order and without repetition, so that equal rights are equal
 * lists. `undefined` stands for no limit at all, as in grants and limits.
 */
export function intersect(one: readonly Capability[], other: readonly Capability[]): Capability[] {
  const both: Capability[] = []
  for (const left of one) {
    for (const right of other) {
      const met = meet(left, right)
      if (met !== undefined) both.push(met)
    }
  }
  return reduced(both)
}

/** The same rights in the fewest capabilities, in the order of their text. */
export function reduced(capabilities: readonly Capability[]): Capability[] {
  const distinct = [...new Map(capabilities.map((one) => [formatCapability(one), one]))]
  return distinct
    .filter(([text, one]) => !distinct.some(([other, wider]) => other !== text && includes(wider, one)))
    .sort(([one], [other]) => (one < other ? -1 : 1))
    .map(([, one]) => one)
}

function meet(one: Capability, other: Capability): Capability | undefined {
  if (one.action !== other.action) return undefined
  if (one.place === undefined) return other
  if (other.place === undefined) return one
  const place = meetOfPlaces(one.place, other.place)
  return place === undefined ? undefined : { action: one.action, place }
}

/** Two places are met segment by segment; the shorter must be a tree to reach the longer at all. */
function meetOfPlaces(one: string, other: string): string | undefined {
  const [left, right] = [pattern(one), pattern(other)]
  const [short, long] = left.segments.length <= right.segments.length ? [left, right] : [right, left]
  if (short.segments.length < long.segments.length && !short.isTree) return undefined
  const met: string[] = []
  for (const [index, segment] of long.segments.entries()) {
    const against = short.segments[index] ?? '*'
    // Beyond the end of a tree anything goes.
    if (index >= short.segments.length || against === '*' || against === segment) met.push(segment)
    else if (segment === '*') met.push(against)
    else return undefined
  }
  const isTree = left.segments.length === right.segments.length ? left.isTree && right.isTree : long.isTree
  return [...met, ...(isTree ? ['**'] : [])].join('/')
}

function pattern(place: string): { segments: string[]; isTree: boolean } {
  const segments = place.split('/')
  const isTree = segments.at(-1) === '**'
  return { segments: isTree ? segments.slice(0, -1) : segments, isTree }
}

function isName(segment: string): boolean {
  return segment !== '' && segment !== '.' && segment !== '..' && !segment.includes('\0')
}
