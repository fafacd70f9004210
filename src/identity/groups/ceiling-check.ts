/** Is a document understood, and does it stay below the ceiling above? */
import { formatCapability, intersect } from '../decisions/capability.ts'
import { identityFaults } from '../errors.ts'
import type { Capability } from '../subject.ts'
import { capabilityOf, isIncluded, metCeiling, type Groups, type MetCeiling } from './grants.ts'
import { defaultPolicy, type Policy } from './policy.ts'

/** The ceiling that cuts the group's own: what is set above it. */
export function ceilingAbove(groups: Groups, group: string): MetCeiling {
  const known = groups.get(group)
  const open = known === undefined ? groups : new Map(groups).set(group, { ...known, policy: defaultPolicy })
  return metCeiling(open, group)
}

/** @throws Fault identity.invalid_policy for what no version of Cygnet understands */
export function requireUnderstood(group: string, policy: Policy): void {
  const texts = [...(policy.ceiling.capabilities ?? []), ...Object.values(policy.grants).flatMap((list) => list ?? [])]
  const wrong = [...new Set(texts)].filter((text) => capabilityOf(text, { group }).length === 0)
  if (wrong.length === 0) return
  throw identityFaults.invalidPolicy(`Not understood: ${wrong.slice(0, 5).join(', ')}.`, {
    hint: "A capability is 'sessions.start', or 'data.read:/bucket/folder/**'; parts of a place are names, *, ${user} or ${group}, and ** at the end.",
    extra: { wrong },
  })
}

/** Nothing new in it reaches beyond the ceiling above. What was there before, and is cut already, may stay. */
export function requireBelow(groups: Groups, group: string, before: Policy, after: Policy): void {
  const above = ceilingAbove(groups, group)
  const exceeds = [...ceilingExcess(above, group, before, after), ...grantExcess(above, group, before, after)]
  if (exceeds.length === 0) return
  throw identityFaults.beyondCeiling(
    `This reaches beyond the ceiling above ${group}: ${exceeds.slice(0, 5).join('; ')}.`,
    {
      hint: 'Stay below it, or ask who sets it.',
      extra: { exceeds },
    },
  )
}

function ceilingExcess(above: MetCeiling, group: string, before: Policy, after: Policy): string[] {
  const [was, is] = [before.ceiling, after.ceiling]
  const exceeds = newOf(was.capabilities, is.capabilities).filter((text) => isBeyond(text, group, above.capabilities))
  for (const [name, figure] of Object.entries(is.limits) as [keyof typeof is.limits, number | undefined][]) {
    const most = above.limits[name]
    if (figure !== undefined && most !== undefined && figure > most && was.limits[name] !== figure)
      exceeds.push(`${name} ${figure} (at most ${most})`)
  }
  for (const name of ['membershipMaxDays', 'endsAtMs'] as const) {
    const [figure, most] = [is[name], above[name]]
    if (figure !== undefined && most !== undefined && figure > most && was[name] !== figure)
      exceeds.push(`${name} ${figure} (at most ${most})`)
  }
  if (is.guestAllowed && !was.guestAllowed && !above.guestAllowed) exceeds.push('guestAllowed')
  const environments = newOf(was.environments, is.environments)
  exceeds.push(
    ...environments.filter((name) => above.environments?.includes(name) === false).map((name) => `environment ${name}`),
  )
  return exceeds
}

function grantExcess(above: MetCeiling, group: string, before: Policy, after: Policy): string[] {
  const own = after.ceiling.capabilities?.flatMap((text) => capabilityOf(text, { group }))
  const ceiling =
    own === undefined || above.capabilities === undefined
      ? (own ?? above.capabilities)
      : intersect(own, above.capabilities)
  return (Object.keys(after.grants) as (keyof Policy['grants'])[]).flatMap((role) =>
    newOf(before.grants[role], after.grants[role])
      .filter((text) => isBeyond(text, group, ceiling))
      .map((text) => `${text} for ${role}`),
  )
}

function newOf(before: readonly string[] | undefined, after: readonly string[] | undefined): string[] {
  return (after ?? []).filter((text) => before?.includes(text) !== true)
}

function isBeyond(text: string, group: string, ceiling: readonly Capability[] | undefined): boolean {
  return !capabilityOf(text, { group }).every((one) => isIncluded(one, ceiling))
}

export function ceilingText(ceiling: MetCeiling): Policy['ceiling'] {
  const { capabilities, ...rest } = ceiling
  return { ...rest, ...(capabilities === undefined ? {} : { capabilities: capabilities.map(formatCapability) }) }
}
