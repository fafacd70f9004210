/**
 * What import rules give. One function compares what somebody should have with what he has, and everything that may
 * change the answer calls it: sign-in, check, refusal, a rule or an issuer that comes or goes.
 */
import { Fault } from '../../foundation/errors.ts'
import type { Origin } from '../audit.ts'
import { membershipChange } from '../groups/memberships.ts'
import type { Room } from '../room.ts'
import { personRoles, type PersonRole } from '../subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import { fulfils, type KnownClaims } from './claims.ts'

export type RuleRow = IdentityTables['identity_import_rule']
type GrantRow = IdentityTables['identity_upstream_grant']
type Reading = IdentityKysely | IdentityTransaction

/** While an institute cannot be asked, what it said last counts for so many times its lag. */
export const silenceFactor = 24
/** A membership whose policy counts days is given anew when its holder signs in after so long. */
const renewMs = 30 * 86_400_000

/** Until when what was said counts, if the institute is not heard again. */
export function countsUntilMs(grant: Pick<GrantRow, 'checked_at_ms'>, recheckMinutes: number): number {
  return grant.checked_at_ms + recheckMinutes * 60_000 * silenceFactor
}

export function claimsOf(grant: Pick<GrantRow, 'claims'>): KnownClaims {
  return JSON.parse(grant.claims) as KnownClaims
}

/** Does the rule give its role to somebody of whom the institute said this? `undefined`: no; else until when (null: no end). */
export function ruleGives(
  rule: Pick<RuleRow, 'claim' | 'value' | 'lifetime_ms'>,
  claims: KnownClaims,
  signedInAtMs: number,
  nowMs: number,
): { untilMs: number | null } | undefined {
  if (!fulfils(claims, rule.claim, rule.value)) return undefined
  if (rule.lifetime_ms === null) return { untilMs: null }
  const untilMs = signedInAtMs + rule.lifetime_ms
  return untilMs > nowMs ? { untilMs } : undefined
}

/**
 * Gives and takes what the rules of all enabled issuers say about this person now. Faults of single rules (a group that
 * has been archived) are logged and leave the others alone.
 */
export async function applyRules(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
  { signedIn = false }: { signedIn?: boolean } = {},
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const wanted = await wantedBy(trx, personId, nowMs)
  const held = await trx
    .selectFrom('identity_membership')
    .selectAll()
    .where('person_id', '=', personId)
    .where('source', 'like', 'import:%')
    .execute()
  for (const row of held) {
    const wish = wanted.get(row.source)
    if (wish !== undefined && wish.rule.group_path === row.group_path && wish.rule.role === row.role) continue
    const change = { personId, group: row.group_path, role: null, source: row.source as `import:${string}` }
    await membershipChange(room, trx, change, origin)
  }
  for (const [source, { rule, untilMs }] of wanted) {
    const present = held.find(
      (row) => row.source === source && row.group_path === rule.group_path && row.role === rule.role,
    )
    const isOld = signedIn && present !== undefined && nowMs - present.granted_at_ms > renewMs
    if (present !== undefined && present.until_ms === untilMs && !isOld) continue
    const change = {
      personId,
      group: rule.group_path,
      role: rule.role as PersonRole,
      untilMs,
      source: source as `import:${string}`,
    }
    await membershipChange(room, trx, change, origin).catch((error: unknown) => {
      if (!(error instanceof Fault)) throw error
      room.log.warn({ rule: rule.id, personId, reason: error.message }, 'an import rule could not be applied')
    })
  }
}

async function wantedBy(
  trx: IdentityTransaction,
  personId: string,
  nowMs: number,
): Promise<Map<string, { rule: RuleRow; untilMs: number | null }>> {
  const wanted = new Map<string, { rule: RuleRow; untilMs: number | null }>()
  for (const grant of await grantsOf(trx, personId)) {
    if (countsUntilMs(grant, grant.recheck_minutes) <= nowMs) continue
    for (const rule of await rulesOf(trx, grant.issuer_id)) {
      const given = ruleGives(rule, claimsOf(grant), grant.signed_in_at_ms, nowMs)
      if (given === undefined || !isRole(rule.role)) continue
      const source = `import:${rule.id}`
      const before = wanted.get(source)
      // Two identities at one issuer: the longer one counts.
      if (before === undefined || before.untilMs === null) wanted.set(source, before ?? { rule, ...given })
      else wanted.set(source, { rule, untilMs: longer(before.untilMs, given.untilMs) })
    }
  }
  return wanted
}

export async function rulesOf(kysely: Reading, issuerId: string): Promise<RuleRow[]> {
  return await kysely
    .selectFrom('identity_import_rule')
    .selectAll()
    .where('issuer_id', '=', issuerId)
    .orderBy('id')
    .execute()
}

async function grantsOf(trx: IdentityTransaction, personId: string) {
  return await trx
    .selectFrom('identity_upstream_grant as grant')
    .innerJoin('identity_identity as identity', 'identity.id', 'grant.identity_id')
    .innerJoin('identity_issuer as issuer', 'issuer.id', 'grant.issuer_id')
    .select([
      'grant.issuer_id',
      'grant.claims',
      'grant.signed_in_at_ms',
      'grant.checked_at_ms',
      'issuer.recheck_minutes',
    ])
    .where('identity.person_id', '=', personId)
    .where('issuer.state', '=', 'enabled')
    .orderBy('identity.id')
    .execute()
}

/** Everybody who has an identity of this issuer. */
export async function peopleOf(trx: IdentityTransaction, issuer: string): Promise<string[]> {
  const rows = await trx
    .selectFrom('identity_identity')
    .select('person_id')
    .distinct()
    .where('issuer', '=', issuer)
    .execute()
  return rows.map((row) => row.person_id)
}

function longer(one: number, other: number | null): number | null {
  return other === null ? null : Math.max(one, other)
}

export function isRole(role: string): role is PersonRole {
  return (personRoles as readonly string[]).includes(role)
}
