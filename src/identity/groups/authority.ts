/** Who may do what with a group. The tree bounds everything: a manager acts in his subtree, below the ceiling set above. */
import { decide, grantableRoles } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { notAllowed } from '../gate.ts'
import type { PersonRole, Subject } from '../subject.ts'
import { experimentOf, groupRoles, parentOf, rootRoles, type Policy } from './policy.ts'

interface GroupMay {
  give: PersonRole[]
  seeMembers: boolean
  editGrants: boolean
  editCeiling: boolean
  administer: boolean
}

export function mayDo(subject: Subject, group: string, nowMs: number): GroupMay {
  const experiment = experimentOf(group)
  const administer = decide(subject, 'experiment.admin', { experiment }, nowMs).allow
  const isRoot = parentOf(group) === undefined
  return {
    give: rolesToGive(subject, group, nowMs),
    seeMembers:
      isInGroup(subject, group, nowMs) || decide(subject, 'people.manage', { experiment, group }, nowMs).allow,
    editGrants: decide(subject, 'policy.edit', { experiment, group }, nowMs).allow,
    // The ceiling of an experiment is set one level up: by the site.
    editCeiling: isRoot ? decide(subject, 'site.admin', {}, nowMs).allow : administer,
    administer,
  }
}

/** Roles that he may give and take in that group. */
export function rolesToGive(subject: Subject, group: string, nowMs: number): PersonRole[] {
  const possible: readonly PersonRole[] = parentOf(group) === undefined ? rootRoles : groupRoles
  const grantable = grantableRoles(subject, experimentOf(group), group, nowMs)
  return possible.filter((role) => grantable.includes(role))
}

/**
 * To change a membership one must be able to give every role that comes or goes.
 * @throws Fault identity.beyond_ceiling
 */
export function requireGiveable(subject: Subject, group: string, concerned: readonly string[], nowMs: number): void {
  const give: readonly string[] = rolesToGive(subject, group, nowMs)
  const beyond = concerned.find((role) => !give.includes(role))
  if (beyond === undefined) return
  throw identityFaults.beyondCeiling(`You may not give or take the role ${beyond} in ${group}.`, {
    hint: give.length === 0 ? 'Ask a manager of the group.' : `You may give and take: ${give.join(', ')}.`,
  })
}

/** Somebody of the experiment, in any of its groups, or who administers the site. */
export function isOfExperiment(subject: Subject, experiment: string, nowMs: number): boolean {
  return (
    subject.siteAdmin ||
    subject.roles.some((grant) => grant.experiment === experiment && (grant.untilMs ?? Infinity) > nowMs)
  )
}

function isInGroup(subject: Subject, group: string, nowMs: number): boolean {
  return subject.roles.some(
    (grant) => (grant.group ?? `/${grant.experiment}`) === group && (grant.untilMs ?? Infinity) > nowMs,
  )
}

/** Roles whose grants a manager may edit: those he may give. */
const managersEdit: ReadonlySet<string> = new Set(['operator', 'member', 'guest'])

/** @throws Fault identity.not_allowed, naming what he may not touch */
export function requireMayEdit(subject: Subject, group: string, before: Policy, after: Policy, nowMs: number): void {
  const experiment = experimentOf(group)
  const { editGrants, editCeiling, administer } = mayDo(subject, group, nowMs)
  if (!editGrants) throw notAllowed('policy.edit', experiment, `you do not manage ${group}`)
  const touched = sectionsOf(before, after)
  const refused = touched.find((section) => {
    if (section === 'ceiling') return !editCeiling
    return !administer && !managersEdit.has(section)
  })
  if (refused === undefined) return
  const what = ['ceiling', 'rules'].includes(refused) ? `the ${refused}` : `what the role ${refused} hands out`
  throw notAllowed('policy.edit', experiment, `${what} of ${group} is not yours to change`)
}

/** What is different: 'ceiling', 'rules' (who sponsors and approves), or roles. */
function sectionsOf(before: Policy, after: Policy): string[] {
  const { ceiling, grants, ...rules } = before
  const { ceiling: nextCeiling, grants: nextGrants, ...nextRules } = after
  const differs = (one: unknown, other: unknown) => canonical(one) !== canonical(other)
  return [
    ...(differs(ceiling, nextCeiling) ? ['ceiling'] : []),
    ...(differs(rules, nextRules) ? ['rules'] : []),
    ...rootRoles.filter((role) => differs(grants[role], nextGrants[role])),
  ]
}

function canonical(value: unknown): string {
  return (
    JSON.stringify(value, (_, part: unknown) => {
      if (Array.isArray(part)) return part.every((item) => typeof item === 'string') ? [...part].sort() : part
      if (part === null || typeof part !== 'object') return part
      return Object.fromEntries(Object.entries(part).sort(([one], [other]) => (one < other ? -1 : 1)))
    }) ?? ''
  )
}
