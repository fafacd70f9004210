/**
 * Machines and services that prove themselves by a key of their own: what they may do is declared, people answer for them,
 * and they end by themselves unless one of those people renews them.
 */
import { createHash } from 'node:crypto'
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { formatCapability } from '../decisions/capability.ts'
import { roleRights } from '../decisions/matrix.ts'
import { identityFaults } from '../errors.ts'
import { requireSubject } from '../people.ts'
import type { Room } from '../room.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import {
  longestCredentialMs,
  type machineKeySchema,
  type machinePublicKeySchema,
  type machineSchema,
} from './contract.ts'
import { declaredOf } from './machine-terms.ts'
import { readCapabilities } from './personal-tokens.ts'
import { revokeKeysOfSource } from './sources.ts'

export type Machine = z.infer<typeof machineSchema>
export type MachineKey = z.infer<typeof machineKeySchema>
export type MachinePublicKey = z.infer<typeof machinePublicKeySchema>
type KeyRow = IdentityTables['identity_machine_key']

const mostKeys = 5
const wantedOwners = 2

export function sourceOfMachineKey(keyId: string): string {
  return `machine-key:${keyId}`
}

/** RFC 7638: the same key has the same name everywhere; people compare it. */
export function thumbprintOf(key: MachinePublicKey): string {
  const members =
    key.kty === 'EC' ? { crv: key.crv, kty: key.kty, x: key.x, y: key.y } : { crv: key.crv, kty: key.kty, x: key.x }
  return createHash('sha256').update(JSON.stringify(members)).digest('base64url')
}

/** What a DAQ machine is for, unless something else is declared: new raw data, and reports of its runs. */
export function usualCapabilities(experiment: string): string[] {
  return [`data.create:/${experiment}-raw/**`, 'daq.write']
}

/** People who may answer for a machine: at home in the experiment, and not as guests. */
export function possibleOwners(
  snapshot: IdentitySnapshot,
  experiment: string,
  nowMs: number,
): { id: string; name: string; displayName: string }[] {
  return Object.values(snapshot.subjects)
    .filter(
      ({ kind, state, roles }) =>
        kind === 'person' &&
        state === 'active' &&
        roles.some(
          (grant) =>
            grant.experiment === experiment &&
            grant.role !== 'guest' &&
            grant.role !== 'auditor' &&
            grant.role !== 'break-glass' &&
            (grant.untilMs ?? Infinity) > nowMs,
        ),
    )
    .map(({ id, name, displayName }) => ({ id, name, displayName }))
    .sort((one, other) => (one.name < other.name ? -1 : 1))
}

/** Two, or everybody where there are fewer. @throws Fault identity.too_few_owners */
function requireOwners(
  snapshot: IdentitySnapshot,
  experiment: string,
  owners: readonly string[],
  nowMs: number,
): string[] {
  const possible = possibleOwners(snapshot, experiment, nowMs)
  const named = [...new Set(owners)]
  const stranger = named.find((id) => !possible.some((one) => one.id === id))
  if (stranger !== undefined)
    throw identityFaults.tooFewOwners(`One of these people is not at home in ${experiment}.`, {
      hint: 'An owner has a role there and is no guest.',
    })
  if (named.length < Math.min(wantedOwners, possible.length))
    throw identityFaults.tooFewOwners('A machine has two owners, so that one of them may leave.', {
      hint: 'Name a second person of the experiment.',
    })
  return named
}

/** @throws Fault identity.invalid_limits */
function requireCapabilities(experiment: string, texts: readonly string[]): string[] {
  return readCapabilities(texts).map((one) => {
    if (!Object.hasOwn(roleRights.client, one.action))
      throw identityFaults.invalidLimits(`A machine can never ${one.action}.`)
    if (one.place !== undefined && !one.place.startsWith(`${experiment}-`))
      throw identityFaults.invalidLimits(`'${one.place}' is not in a bucket of ${experiment}.`)
    return formatCapability(one)
  })
}

/** A new machine with its first key, or a further key for one that is there. */
export async function enrolMachine(
  room: Room,
  trx: IdentityTransaction,
  snapshot: IdentitySnapshot,
  request: {
    experiment: string
    name: string
    publicKey: MachinePublicKey
    owners: readonly string[]
    capabilities?: readonly string[] | undefined
    lifetimeMs: number
  },
  origin: Origin,
): Promise<string> {
  const nowMs = room.clock.nowMs()
  const { experiment, name } = request
  const known = await trx
    .selectFrom('identity_subject')
    .select(['id', 'state'])
    .where('kind', '=', 'client')
    .where('name', '=', `${experiment}/${name}`)
    .executeTakeFirst()
  if (known !== undefined && known.state !== 'active')
    throw identityFaults.nameTaken(`${experiment} had a machine named '${name}', which was revoked.`, {
      hint: 'Choose another name.',
    })
  const owners = requireOwners(snapshot, experiment, request.owners, nowMs)
  const declared = requireCapabilities(experiment, request.capabilities ?? usualCapabilities(experiment))
  const id = known?.id ?? uuid7(nowMs)
  if (known === undefined) {
    await trx
      .insertInto('identity_subject')
      .values({
        id,
        kind: 'client',
        name: `${experiment}/${name}`,
        display_name: name,
        state: 'active',
        epoch: 1,
        site_admin: 0,
        experiment,
        created_at_ms: nowMs,
        created_by: origin.actor.id,
      })
      .execute()
  }
  const terms = {
    capabilities: JSON.stringify(declared),
    expires_at_ms: nowMs + Math.min(request.lifetimeMs, longestCredentialMs),
  }
  await trx
    .insertInto('identity_machine')
    .values({ client_id: id, ...terms })
    .onConflict((conflict) => conflict.column('client_id').doUpdateSet(terms))
    .execute()
  await writeOwners(room, trx, id, owners, origin)
  const detail = { name, owners, capabilities: declared, expiresAtMs: terms.expires_at_ms }
  await room.audit(trx, origin, { action: 'machine-enrolled', target: id, experiment, detail })
  await addKey(room, trx, { clientId: id, experiment, publicKey: request.publicKey }, origin)
  await room.changed(trx, id, 'machine-enrolled')
  return id
}

async function writeOwners(
  room: Room,
  trx: IdentityTransaction,
  clientId: string,
  owners: readonly string[],
  origin: Origin,
): Promise<void> {
  await trx.deleteFrom('identity_machine_owner').where('client_id', '=', clientId).execute()
  const since = { since_ms: room.clock.nowMs(), added_by: origin.actor.id }
  if (owners.length > 0)
    await trx
      .insertInto('identity_machine_owner')
      .values(owners.map((personId) => ({ client_id: clientId, person_id: personId, ...since })))
      .execute()
}

/** @throws Fault identity.name_taken, identity.invalid_limits */
export async function addKey(
  room: Room,
  trx: IdentityTransaction,
  { clientId, experiment, publicKey }: { clientId: string; experiment: string; publicKey: MachinePublicKey },
  origin: Origin,
): Promise<MachineKey> {
  const present = await keysOf(trx, [clientId])
  if (present.length >= mostKeys)
    throw identityFaults.invalidLimits(`A machine has at most ${mostKeys} keys.`, { hint: 'Remove one first.' })
  const row: KeyRow = {
    key_id: thumbprintOf(publicKey),
    client_id: clientId,
    jwk: JSON.stringify(publicKey),
    algorithm: publicKey.kty === 'EC' ? 'ES256' : 'EdDSA',
    created_at_ms: room.clock.nowMs(),
    last_used_at_ms: null,
    revoked_at_ms: null,
  }
  const added = await trx
    .insertInto('identity_machine_key')
    .values(row)
    .onConflict((conflict) => conflict.column('key_id').doNothing())
    .returning('key_id')
    .executeTakeFirst()
  if (added === undefined)
    throw identityFaults.nameTaken('This key is, or was, registered already.', { hint: 'Make a new key pair.' })
  const detail = { keyId: row.key_id, algorithm: row.algorithm }
  await room.audit(trx, origin, { action: 'machine-key-added', target: clientId, experiment, detail })
  return keyOf(row)
}

/** @throws Fault identity.no_such_access_key */
export async function removeKey(
  room: Room,
  trx: IdentityTransaction,
  { clientId, experiment, keyId }: { clientId: string; experiment: string; keyId: string },
  origin: Origin,
): Promise<void> {
  const removed = await trx
    .updateTable('identity_machine_key')
    .set({ revoked_at_ms: room.clock.nowMs() })
    .where('key_id', '=', keyId)
    .where('client_id', '=', clientId)
    .where('revoked_at_ms', 'is', null)
    .returning('key_id')
    .executeTakeFirst()
  if (removed === undefined) throw identityFaults.noSuchAccessKey('The machine has no such key, or no longer.')
  await revokeKeysOfSource(room, trx, sourceOfMachineKey(keyId), origin)
  await room.audit(trx, origin, { action: 'machine-key-removed', target: clientId, experiment, detail: { keyId } })
  await room.changed(trx, clientId, 'machine-key-removed')
}

export async function setOwners(
  room: Room,
  trx: IdentityTransaction,
  snapshot: IdentitySnapshot,
  { clientId, owners }: { clientId: string; owners: readonly string[] },
  origin: Origin,
): Promise<void> {
  const { experiment } = await requireMachine(trx, clientId)
  const named = requireOwners(snapshot, experiment, owners, room.clock.nowMs())
  await writeOwners(room, trx, clientId, named, origin)
  await room.audit(trx, origin, {
    action: 'machine-owners-changed',
    target: clientId,
    experiment,
    detail: { owners: named },
  })
}

/** @throws Fault identity.too_few_owners when nobody answers for it any more */
export async function renewMachine(
  room: Room,
  trx: IdentityTransaction,
  { clientId, lifetimeMs }: { clientId: string; lifetimeMs: number },
  origin: Origin,
): Promise<void> {
  const { experiment } = await requireMachine(trx, clientId)
  const owners = await trx
    .selectFrom('identity_machine_owner')
    .select('person_id')
    .where('client_id', '=', clientId)
    .execute()
  if (owners.length === 0)
    throw identityFaults.tooFewOwners('Nobody answers for this machine any more.', {
      hint: 'An admin of the experiment names owners first.',
    })
  const expiresAtMs = room.clock.nowMs() + Math.min(lifetimeMs, longestCredentialMs)
  await trx
    .updateTable('identity_machine')
    .set({ expires_at_ms: expiresAtMs })
    .where('client_id', '=', clientId)
    .execute()
  await room.audit(trx, origin, { action: 'machine-renewed', target: clientId, experiment, detail: { expiresAtMs } })
  await room.changed(trx, clientId, 'machine-renewed')
}

/** A machine that has terms: key-bound. @throws Fault identity.no_such_client */
export async function requireMachine(
  kysely: IdentityKysely | IdentityTransaction,
  clientId: string,
): Promise<{ experiment: string; name: string }> {
  const client = await requireSubject(kysely, clientId, 'client')
  const terms = await kysely
    .selectFrom('identity_machine')
    .select('client_id')
    .where('client_id', '=', clientId)
    .executeTakeFirst()
  if (terms === undefined || client.experiment === null)
    throw identityFaults.noSuchClient('This machine has no key of its own.', {
      hint: 'On the machine: cygnet daq enrol.',
    })
  return { experiment: client.experiment, name: client.display_name }
}

export async function ownersOf(kysely: IdentityKysely | IdentityTransaction, clientId: string): Promise<string[]> {
  const rows = await kysely
    .selectFrom('identity_machine_owner')
    .select('person_id')
    .where('client_id', '=', clientId)
    .execute()
  return rows.map((row) => row.person_id)
}

async function keysOf(kysely: IdentityKysely | IdentityTransaction, clients: readonly string[]): Promise<KeyRow[]> {
  if (clients.length === 0) return []
  return await kysely
    .selectFrom('identity_machine_key')
    .selectAll()
    .where('client_id', 'in', clients)
    .where('revoked_at_ms', 'is', null)
    .orderBy('created_at_ms')
    .execute()
}

/** All machines of an experiment, those with only an access key too. */
export async function listMachines(
  room: Room,
  snapshot: IdentitySnapshot,
  { experiment, limit, cursor, id }: { experiment: string; limit: number; cursor?: string | undefined; id?: string },
): Promise<{ items: Machine[]; nextCursor: string | null }> {
  const { kysely } = room
  let query = kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where('kind', '=', 'client')
    .where('experiment', '=', experiment)
    .orderBy('display_name')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('display_name', '>', cursor)
  if (id !== undefined) query = query.where('id', '=', id)
  const rows = (await query.execute()).slice(0, limit + 1)
  const shown = rows.slice(0, limit)
  const ids = shown.map((row) => row.id)
  const [terms, owners, keys, accessKeys] = await Promise.all([
    ids.length === 0 ? [] : kysely.selectFrom('identity_machine').selectAll().where('client_id', 'in', ids).execute(),
    ids.length === 0
      ? []
      : kysely.selectFrom('identity_machine_owner').selectAll().where('client_id', 'in', ids).execute(),
    keysOf(kysely, ids),
    ids.length === 0
      ? []
      : kysely
          .selectFrom('identity_access_key')
          .select(['access_key_id', 'subject_id'])
          .where('subject_id', 'in', ids)
          .where('kind', '=', 'key')
          .where('revoked_at_ms', 'is', null)
          .execute(),
  ])
  const possible = possibleOwners(snapshot, experiment, room.clock.nowMs())
  const items = shown.map((row): Machine => {
    const own = terms.find((one) => one.client_id === row.id)
    const answering = owners.filter((one) => one.client_id === row.id).map((one) => one.person_id)
    return {
      id: row.id,
      name: row.display_name,
      experiment,
      state: row.state === 'active' ? 'active' : 'suspended',
      createdAtMs: row.created_at_ms,
      expiresAtMs: own?.expires_at_ms ?? null,
      owners: possible.filter((person) => answering.includes(person.id)),
      keys: keys.filter((key) => key.client_id === row.id).map(keyOf),
      accessKeyIds: accessKeys.filter((key) => key.subject_id === row.id).map((key) => key.access_key_id),
      capabilities: own === undefined ? usualCapabilities(experiment) : declaredOf(own.capabilities),
    }
  })
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.name : null }
}

function keyOf(row: KeyRow): MachineKey {
  return {
    keyId: row.key_id,
    algorithm: row.algorithm,
    createdAtMs: row.created_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
  }
}
