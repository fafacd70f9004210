/** Import rules: kept by the site admin, previewed before they are made, gone with everything they gave. */
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { groupRoles, lineOf } from '../groups/policy.ts'
import { readGroups } from '../groups/store.ts'
import type { Room } from '../room.ts'
import type { PersonRole } from '../subject.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'
import { mayBeRuleClaim } from './claims.ts'
import type { federationRoutes, importRuleSchema, rulePreviewSchema } from './contract.ts'
import { applyRules, claimsOf, countsUntilMs, peopleOf, ruleGives, type RuleRow } from './imports.ts'
import { requireIssuer } from './issuers.ts'

type Reading = IdentityKysely | IdentityTransaction
export type ImportRule = z.infer<typeof importRuleSchema>
export type NewRule = z.output<(typeof federationRoutes)['addImportRule']['body']>

const mostShownValues = 50

/** @throws Fault identity.invalid_rule, no_such_issuer */
async function requirePossible(kysely: Reading, { issuer, claim, group, role }: NewRule): Promise<void> {
  await requireIssuer(kysely, issuer)
  if (!mayBeRuleClaim(claim)) {
    throw identityFaults.invalidRule(`No rule looks at '${claim}'.`, {
      hint: 'Names and e-mail addresses say nothing about groups, and people can change them. Use a claim with groups or entitlements.',
    })
  }
  const known = await readGroups(kysely)
  const line = lineOf(group)
  const missing = line.find((path) => !known.has(path))
  if (missing !== undefined || line.some((path) => known.get(path)!.archived)) {
    throw identityFaults.invalidRule(`There is no group ${missing ?? group}.`, {
      hint: 'Make the experiment and its groups first.',
    })
  }
  if (line.length > 1 && !(groupRoles as readonly PersonRole[]).includes(role)) {
    throw identityFaults.invalidRule(`${role} is a role of a whole experiment, not of ${group}.`, {
      hint: `Roles of a group: ${groupRoles.join(', ')}.`,
    })
  }
}

export async function addRule(room: Room, trx: IdentityTransaction, input: NewRule, origin: Origin): Promise<RuleRow> {
  await requirePossible(trx, input)
  const nowMs = room.clock.nowMs()
  const row = {
    id: uuid7(nowMs),
    issuer_id: input.issuer,
    claim: input.claim,
    value: input.value,
    group_path: input.group,
    role: input.role,
    lifetime_ms: input.lifetimeMs,
    created_at_ms: nowMs,
    created_by: origin.actor.id,
  }
  const added = await trx
    .insertInto('identity_import_rule')
    .values(row)
    .onConflict((conflict) => conflict.columns(['issuer_id', 'claim', 'value', 'group_path', 'role']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (added === undefined) throw identityFaults.nameTaken('This rule is there already.')
  const { issuer, label } = await requireIssuer(trx, input.issuer)
  await room.audit(trx, origin, { action: 'import-rule-added', target: row.id, detail: { ...input, issuer, label } })
  for (const personId of await peopleOf(trx, issuer)) await applyRules(room, trx, personId, origin)
  return row
}

/** @returns how many memberships ended */
export async function removeRule(room: Room, trx: IdentityTransaction, id: string, origin: Origin): Promise<number> {
  const row = await trx.deleteFrom('identity_import_rule').where('id', '=', id).returningAll().executeTakeFirst()
  if (row === undefined) {
    throw identityFaults.noSuchRule(`There is no import rule with the id '${id}'.`, {
      hint: 'List them: cygnet import-rules list.',
    })
  }
  const holders = await holdersOf(trx, id)
  const { claim, value, group_path: group, role } = row
  await room.audit(trx, origin, { action: 'import-rule-removed', target: id, detail: { claim, value, group, role } })
  for (const personId of holders) await applyRules(room, trx, personId, origin)
  return holders.length
}

async function holdersOf(kysely: Reading, ruleId: string): Promise<string[]> {
  const rows = await kysely
    .selectFrom('identity_membership')
    .select('person_id')
    .distinct()
    .where('source', '=', `import:${ruleId}`)
    .execute()
  return rows.map((row) => row.person_id)
}

export async function listRules(kysely: Reading): Promise<ImportRule[]> {
  const rows = await kysely
    .selectFrom('identity_import_rule as rule')
    .innerJoin('identity_issuer as issuer', 'issuer.id', 'rule.issuer_id')
    .selectAll('rule')
    .select('issuer.label')
    .orderBy('issuer.label')
    .orderBy('rule.id')
    .execute()
  return await Promise.all(rows.map((row) => shown(kysely, row, row.label)))
}

export async function showRule(kysely: Reading, row: RuleRow): Promise<ImportRule> {
  return await shown(kysely, row, (await requireIssuer(kysely, row.issuer_id)).label)
}

async function shown(kysely: Reading, row: RuleRow, issuerLabel: string): Promise<ImportRule> {
  return {
    id: row.id,
    issuerId: row.issuer_id,
    issuerLabel,
    claim: row.claim,
    value: row.value,
    group: row.group_path,
    role: row.role,
    lifetimeMs: row.lifetime_ms,
    createdAtMs: row.created_at_ms,
    holders: (await holdersOf(kysely, row.id)).length,
  }
}

/** Who would get what, by what the institute said last about those who are known here. Changes nothing. */
export async function previewRule(room: Room, input: NewRule): Promise<z.infer<typeof rulePreviewSchema>> {
  const { kysely, clock } = room
  await requirePossible(kysely, input)
  const { issuer, recheck_minutes: recheckMinutes } = await requireIssuer(kysely, input.issuer)
  const rows = await kysely
    .selectFrom('identity_identity as identity')
    .innerJoin('identity_subject as person', 'person.id', 'identity.person_id')
    .leftJoin('identity_upstream_grant as grant', 'grant.identity_id', 'identity.id')
    .select(['identity.person_id', 'identity.label', 'person.name', 'person.display_name'])
    .select(['grant.claims', 'grant.checked_at_ms', 'grant.signed_in_at_ms'])
    .where('identity.issuer', '=', issuer)
    .orderBy('person.name')
    .execute()
  const members = await kysely
    .selectFrom('identity_membership')
    .select('person_id')
    .where('group_path', '=', input.group)
    .where('role', '=', input.role)
    .execute()
  const held = new Set(members.map((row) => row.person_id))
  const rule = { claim: input.claim, value: input.value, lifetime_ms: input.lifetimeMs }
  const gain = new Map<string, z.infer<typeof rulePreviewSchema>['gain'][number]>()
  const keep: typeof gain = new Map()
  const seen = new Map<string, Set<string>>()
  let unseen = 0
  for (const row of rows) {
    const { claims, checked_at_ms, signed_in_at_ms } = row
    if (claims === null || checked_at_ms === null || signed_in_at_ms === null) {
      unseen++
      continue
    }
    const known = claimsOf({ claims })
    for (const value of Object.hasOwn(known, input.claim) ? known[input.claim]! : [])
      seen.set(value, (seen.get(value) ?? new Set()).add(row.person_id))
    const nowMs = clock.nowMs()
    if (countsUntilMs({ checked_at_ms }, recheckMinutes) <= nowMs) continue
    if (ruleGives(rule, known, signed_in_at_ms, nowMs) === undefined) continue
    const person = { personId: row.person_id, name: row.name, displayName: row.display_name, label: row.label }
    const list = held.has(row.person_id) ? keep : gain
    list.set(row.person_id, person)
  }
  return {
    gain: [...gain.values()],
    keep: [...keep.values()],
    known: rows.length,
    unseen,
    seenValues: [...seen]
      .map(([value, people]) => ({ value, people: people.size }))
      .sort((one, other) => other.people - one.people || one.value.localeCompare(other.value))
      .slice(0, mostShownValues),
  }
}
