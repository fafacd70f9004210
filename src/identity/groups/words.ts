/** What is different between two policies, in words. Pure; runs in browsers. */
import { personRoles } from '../subject.ts'
import type { Ceiling, Policy, PolicyLimits } from './policy.ts'

const limitWords: Record<keyof PolicyLimits, (figure: number) => string> = {
  cores: (figure) => `${figure} cores`,
  memoryBytes: (figure) => `${bytes(figure)} of memory`,
  walltimeMs: (figure) => `${hours(figure)} hours of run time`,
  sessions: (figure) => `${figure} sessions at once`,
  gpus: (figure) => `${figure} GPUs`,
  storageBytes: (figure) => `${bytes(figure)} of storage`,
}

/** One line for each thing; none if they say the same. */
export function differencesOf(before: Policy, after: Policy): string[] {
  return [
    ...capabilityWords('Ceiling', before.ceiling.capabilities, after.ceiling.capabilities, 'everything above it'),
    ...limitDifferences(before.ceiling.limits, after.ceiling.limits),
    ...ceilingDifferences(before.ceiling, after.ceiling),
    ...personRoles.flatMap((role) =>
      capabilityWords(`Role ${role}`, before.grants[role], after.grants[role], 'all of the role below the ceiling'),
    ),
    ...listWords('Sponsors', before.sponsors, after.sponsors),
    ...figureWords('Guests of one sponsor', before.sponsorLimit, after.sponsorLimit, String),
    ...(before.approval === after.approval
      ? []
      : [`Who lets people in: ${approval[after.approval]} (was: ${approval[before.approval]})`]),
  ]
}

const approval = { none: 'nobody has to', manager: 'a manager', 'exp-admin': 'the experiment admin' }

export function limitDifferences(before: PolicyLimits, after: PolicyLimits): string[] {
  return (Object.keys(limitWords) as (keyof PolicyLimits)[]).flatMap((name) => {
    const [was, is] = [before[name], after[name]]
    if (was === is) return []
    const words = limitWords[name]
    if (is === undefined) return [`No limit any more, was at most ${words(was!)}`]
    return [`At most ${words(is)}${was === undefined ? '' : ` (was ${words(was)})`}`]
  })
}

function ceilingDifferences(before: Ceiling, after: Ceiling): string[] {
  return [
    ...figureWords('Days of membership', before.membershipMaxDays, after.membershipMaxDays, String),
    ...(before.guestAllowed === after.guestAllowed
      ? []
      : [after.guestAllowed ? 'Guests are let in' : 'Guests are not let in']),
    ...(same(before.environments, after.environments)
      ? []
      : [`Environments: ${after.environments?.join(', ') || (after.environments ? 'none' : 'all')}`]),
    ...figureWords('Read-only from', before.endsAtMs, after.endsAtMs, (atMs) => new Date(atMs).toISOString()),
  ]
}

function capabilityWords(
  what: string,
  before: readonly string[] | undefined,
  after: readonly string[] | undefined,
  whole: string,
): string[] {
  if (same(before, after)) return []
  if (after === undefined) return [`${what}: ${whole} (was a list)`]
  if (before === undefined) return [`${what}: only ${after.join(', ') || 'nothing'} (was ${whole})`]
  const [more, less] = [after.filter((one) => !before.includes(one)), before.filter((one) => !after.includes(one))]
  return [
    ...(more.length === 0 ? [] : [`${what} gets ${more.join(', ')}`]),
    ...(less.length === 0 ? [] : [`${what} loses ${less.join(', ')}`]),
  ]
}

function listWords(what: string, before: readonly string[], after: readonly string[]): string[] {
  return same(before, after) ? [] : [`${what}: ${after.join(', ') || 'nobody'} (was: ${before.join(', ') || 'nobody'})`]
}

function figureWords(
  what: string,
  before: number | undefined,
  after: number | undefined,
  words: (figure: number) => string,
): string[] {
  if (before === after) return []
  const say = (figure: number | undefined) => (figure === undefined ? 'not limited' : words(figure))
  return [`${what}: ${say(after)} (was: ${say(before)})`]
}

/** The order in a list says nothing. */
function same(one: readonly string[] | undefined, other: readonly string[] | undefined): boolean {
  if (one === undefined || other === undefined) return one === other
  return one.length === other.length && [...one].sort().every((item, index) => item === [...other].sort()[index])
}

function bytes(figure: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB']
  let [value, unit] = [figure, 0]
  for (; value >= 1000 && unit < units.length - 1; unit++) value /= 1000
  return `${Math.round(value * 100) / 100} ${units[unit]}`
}

function hours(ms: number): number {
  return Math.round(ms / 36_000) / 100
}
