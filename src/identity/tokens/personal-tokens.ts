/** Long-lived tokens of people for their own programs: opaque, hashed, with named capabilities and an end. */
import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { formatCapability, parseCapability } from '../decisions/capability.ts'
import { personOnlyActions } from '../decisions/matrix.ts'
import { limitsOf } from '../directory.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import { activeSubject, subjectOf, type IdentitySnapshot } from '../snapshot.ts'
import type { Capability, Subject } from '../subject.ts'
import type { IdentityTables, IdentityTransaction } from '../tables.ts'
import type { personalTokenSchema } from './contract.ts'
import { revokeKeysOfSource } from './sources.ts'
import { TokenRefusal } from './strict-jwt.ts'

type PersonalToken = z.infer<typeof personalTokenSchema>
type Row = IdentityTables['identity_personal_token']

/** So that it is recognised, by us and by those who search repositories for secrets. */
const prefix = 'cyp_'
const noteEveryMs = 60_000

export function isPersonalToken(token: string): boolean {
  return token.startsWith(prefix)
}

export function sourceOfPersonalToken(id: string): string {
  return `personal-token:${id}`
}

/** @throws Fault identity.invalid_limits */
export function readCapabilities(texts: readonly string[]): Capability[] {
  return texts.map((text) => {
    const capability = parseCapability(text)
    if (capability === undefined || text.includes('$'))
      throw identityFaults.invalidLimits(`'${text.slice(0, 100)}' is not a capability.`, {
        hint: 'For example: logbook.read, data.read, data.create:/demo-work/anna/**.',
      })
    if (personOnlyActions.has(capability.action))
      throw identityFaults.invalidLimits(`A token can never ${capability.action}.`)
    return capability
  })
}

export async function createPersonalToken(
  room: Room,
  trx: IdentityTransaction,
  request: {
    personId: string
    label: string
    capabilities: readonly string[]
    experiment?: string | undefined
    lifetimeMs: number
  },
  origin: Origin,
): Promise<PersonalToken & { token: string }> {
  const nowMs = room.clock.nowMs()
  const token = prefix + randomBytes(32).toString('base64url')
  const { label, experiment } = request
  const limits = {
    capabilities: readCapabilities(request.capabilities),
    ...(experiment === undefined ? {} : { experiment }),
  }
  const row: Row = {
    id: uuid7(nowMs),
    person_id: request.personId,
    token_hash: hashOf(token),
    label,
    limits: JSON.stringify(limits),
    created_at_ms: nowMs,
    expires_at_ms: nowMs + request.lifetimeMs,
    last_used_at_ms: null,
    revoked_at_ms: null,
  }
  await trx.insertInto('identity_personal_token').values(row).execute()
  const detail = { label, capabilities: request.capabilities, experiment, expiresAtMs: row.expires_at_ms }
  await room.audit(trx, origin, { action: 'personal-token-created', target: row.id, experiment, detail })
  return { ...shown(row), token }
}

export async function listPersonalTokens(
  room: Room,
  { personId, limit, cursor }: { personId: string; limit: number; cursor?: string | undefined },
): Promise<{ items: PersonalToken[]; nextCursor: string | null }> {
  let query = room.kysely
    .selectFrom('identity_personal_token')
    .selectAll()
    .where('person_id', '=', personId)
    .where('revoked_at_ms', 'is', null)
    .where('expires_at_ms', '>', room.clock.nowMs())
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('id', '<', cursor)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map(shown)
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null }
}

/** @throws Fault identity.no_such_token */
export async function revokePersonalToken(
  room: Room,
  trx: IdentityTransaction,
  { id, personId }: { id: string; personId: string },
  origin: Origin,
): Promise<void> {
  const revoked = await revokeWhere(room, trx, personId, id, origin)
  if (revoked === 0) throw identityFaults.noSuchToken('There is no such token, or it is already revoked.')
}

/** All of a person: on sign-out everywhere, and when somebody may no longer be here. */
export async function revokePersonalTokensOf(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  await revokeWhere(room, trx, personId, undefined, origin)
}

async function revokeWhere(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  id: string | undefined,
  origin: Origin,
): Promise<number> {
  let update = trx
    .updateTable('identity_personal_token')
    .set({ revoked_at_ms: room.clock.nowMs() })
    .where('person_id', '=', personId)
    .where('revoked_at_ms', 'is', null)
  if (id !== undefined) update = update.where('id', '=', id)
  const revoked = await update.returning('id').execute()
  for (const row of revoked) {
    await revokeKeysOfSource(room, trx, sourceOfPersonalToken(row.id), origin)
    await room.audit(trx, origin, { action: 'personal-token-revoked', target: row.id, detail: { personId } })
    await room.changed(trx, personId, 'personal-token-revoked')
  }
  return revoked.length
}

/** Who the token speaks for, now. @throws TokenRefusal */
export async function verifyPersonalToken(
  room: Room,
  snapshot: IdentitySnapshot,
  token: string,
): Promise<{ subject: Subject; id: string; expiresAtMs: number }> {
  const nowMs = room.clock.nowMs()
  const row = await room.kysely
    .selectFrom('identity_personal_token')
    .selectAll()
    .where('token_hash', '=', hashOf(token))
    .executeTakeFirst()
  if (row === undefined) throw new TokenRefusal('no such personal token')
  if (row.revoked_at_ms !== null) throw new TokenRefusal('revoked', 'denied')
  if (row.expires_at_ms <= nowMs) throw new TokenRefusal('expired', 'expired')
  const owner = activeSubject(snapshot, row.person_id)
  if (owner?.kind !== 'person') throw new TokenRefusal('unknown or suspended account', 'denied')
  if (nowMs - (row.last_used_at_ms ?? 0) > noteEveryMs)
    await room.kysely
      .updateTable('identity_personal_token')
      .set({ last_used_at_ms: nowMs })
      .where('id', '=', row.id)
      .execute()
  const subject = { ...subjectOf(owner), siteAdmin: false, limits: limitsOf(row.limits) }
  return { subject, id: row.id, expiresAtMs: row.expires_at_ms }
}

function shown(row: Row): PersonalToken {
  const { capabilities = [], experiment } = limitsOf(row.limits)
  return {
    id: row.id,
    label: row.label,
    capabilities: capabilities.map(formatCapability),
    experiment: experiment ?? null,
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
  }
}
