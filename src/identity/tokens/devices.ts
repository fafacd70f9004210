/** Command lines and applications that a person let in: each its own row, so that each can be sent away alone. */
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { IdentityTables, IdentityTransaction } from '../tables.ts'
import type { deviceSchema } from './contract.ts'
import { revokeKeysOfSource } from './sources.ts'

type Device = z.infer<typeof deviceSchema>
type Row = IdentityTables['identity_device']

const applicationNames: Readonly<Record<string, string>> = { cli: 'Cygnet command line' }
/** Last use is written down at most so often. */
const noteEveryMs = 60_000

export function sourceOfDevice(id: string): string {
  return `device:${id}`
}

/** Beside each grant of the provider. */
export async function recordDevice(
  room: Room,
  {
    grantId,
    personId,
    clientId,
    scope,
    address,
  }: { grantId: string; personId: string; clientId: string; scope: string; address: string },
): Promise<Row> {
  const nowMs = room.clock.nowMs()
  const row: Row = {
    id: uuid7(nowMs),
    grant_hash: hashOf(grantId),
    person_id: personId,
    client_id: clientId,
    scope,
    address: address.slice(0, 100),
    created_at_ms: nowMs,
    last_used_at_ms: nowMs,
    revoked_at_ms: null,
  }
  await room.kysely
    .insertInto('identity_device')
    .values(row)
    .onConflict((conflict) => conflict.column('grant_hash').doNothing())
    .execute()
  return row
}

/** The device behind a grant that gets a token now; `undefined` if it was sent away. Older grants get their row here. */
export async function useDevice(
  room: Room,
  grant: { grantId: string; personId: string; clientId: string; scope: string; address: string },
): Promise<Row | undefined> {
  const nowMs = room.clock.nowMs()
  const found = await room.kysely
    .selectFrom('identity_device')
    .selectAll()
    .where('grant_hash', '=', hashOf(grant.grantId))
    .executeTakeFirst()
  if (found === undefined) return await recordDevice(room, grant)
  if (found.revoked_at_ms !== null) return undefined
  if (nowMs - found.last_used_at_ms > noteEveryMs)
    await room.kysely
      .updateTable('identity_device')
      .set({ last_used_at_ms: nowMs })
      .where('id', '=', found.id)
      .execute()
  return found
}

/** Only those that could still get a token: their grant is there. */
export async function listDevices(
  room: Room,
  { personId, limit, cursor }: { personId: string; limit: number; cursor?: string | undefined },
): Promise<{ items: Device[]; nextCursor: string | null }> {
  let query = room.kysely
    .selectFrom('identity_device')
    .selectAll('identity_device')
    .innerJoin('identity_oidc', 'identity_oidc.id_hash', 'identity_device.grant_hash')
    .where('identity_oidc.model', '=', 'Grant')
    .where('identity_device.person_id', '=', personId)
    .where('identity_device.revoked_at_ms', 'is', null)
    .orderBy('identity_device.id', 'desc')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('identity_device.id', '<', cursor)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map((row) => ({
    id: row.id,
    application: applicationNames[row.client_id] ?? row.client_id,
    scopes: row.scope.split(' ').filter((name) => name !== 'openid' && name !== 'offline_access'),
    address: row.address,
    createdAtMs: row.created_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
  }))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null }
}

/** @throws Fault identity.no_such_device */
export async function revokeDevice(
  room: Room,
  trx: IdentityTransaction,
  { id, personId }: { id: string; personId: string },
  origin: Origin,
): Promise<void> {
  const row = await trx
    .updateTable('identity_device')
    .set({ revoked_at_ms: room.clock.nowMs() })
    .where('id', '=', id)
    .where('person_id', '=', personId)
    .where('revoked_at_ms', 'is', null)
    .returning('grant_hash')
    .executeTakeFirst()
  if (row === undefined)
    throw identityFaults.noSuchDevice('There is no such command line or application, or it is signed out already.')
  await trx
    .deleteFrom('identity_oidc')
    .where((each) => each.or([each('grant_hash', '=', row.grant_hash), each('id_hash', '=', row.grant_hash)]))
    .execute()
  await ended(room, trx, { id, person_id: personId }, origin)
}

/** The provider has revoked the grant itself: it was signed out, or its refresh token was used twice. */
export async function deviceEnded(room: Room, grantId: string, origin: Origin): Promise<void> {
  await room.change(async (trx) => {
    const row = await trx
      .updateTable('identity_device')
      .set({ revoked_at_ms: room.clock.nowMs() })
      .where('grant_hash', '=', hashOf(grantId))
      .where('revoked_at_ms', 'is', null)
      .returning(['id', 'person_id'])
      .executeTakeFirst()
    if (row !== undefined) await ended(room, trx, row, origin)
  })
}

async function ended(
  room: Room,
  trx: IdentityTransaction,
  { id, person_id }: Pick<Row, 'id' | 'person_id'>,
  origin: Origin,
): Promise<void> {
  await revokeKeysOfSource(room, trx, sourceOfDevice(id), origin)
  await room.audit(trx, origin, { action: 'device-revoked', target: id, detail: { personId: person_id } })
  await room.changed(trx, person_id, 'device-revoked')
}
