/**
 * How a machine is registered without anybody's token on it: it makes its key pair, asks with the public half, shows a code;
 * a person with the right to do so approves in the browser; the machine hears of it by polling.
 */
import { randomBytes, randomInt } from 'node:crypto'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import { experimentIssuer } from '../signer.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import type { Subject } from '../subject.ts'
import type { IdentityTables, IdentityTransaction } from '../tables.ts'
import { readMachineTerms } from './machine-terms.ts'
import { enrolMachine, possibleOwners, thumbprintOf, type MachinePublicKey } from './machines.ts'
import { formatCapabilitiesAsScope } from './narrowing.ts'

type Row = IdentityTables['identity_enrolment']

const lifetimeMs = 10 * 60_000
export const pollEveryMs = 2000
/** Nobody who only knows the address may fill the table. */
const mostWaiting = 500
/** Without vowels no words come out; without those that are read wrongly nobody errs. */
const letters = 'BCDFGHJKLMNPQRSTVWXZ'

export async function requestEnrolment(
  room: Room,
  snapshot: IdentitySnapshot,
  request: { experiment: string; name: string; publicKey: MachinePublicKey },
  from: { address: string; requestId: string },
) {
  const nowMs = room.clock.nowMs()
  if (!Object.hasOwn(snapshot.experiments ?? {}, request.experiment))
    throw identityFaults.noSuchRequest(`There is no experiment named '${request.experiment}' here.`)
  const { waiting } = await room.kysely
    .selectFrom('identity_enrolment')
    .select((each) => each.fn.countAll<number | string>().as('waiting'))
    .where('expires_at_ms', '>', nowMs)
    .executeTakeFirstOrThrow()
  if (Number(waiting) >= mostWaiting)
    throw identityFaults.tooManyAttempts('Too many machines ask at once.', { hint: 'Wait ten minutes.', retry: true })
  const deviceCode = randomBytes(32).toString('base64url')
  const userCode = Array.from({ length: 8 }, () => letters[randomInt(letters.length)]).join('')
  const row: Row = {
    id: uuid7(nowMs),
    device_code_hash: hashOf(deviceCode),
    user_code_hash: hashOf(userCode),
    experiment: request.experiment,
    name: request.name,
    jwk: JSON.stringify(request.publicKey),
    key_id: thumbprintOf(request.publicKey),
    address: from.address.slice(0, 100),
    state: 'waiting',
    client_id: null,
    created_at_ms: nowMs,
    expires_at_ms: nowMs + lifetimeMs,
  }
  await room.kysely.insertInto('identity_enrolment').values(row).execute()
  const origin = { actor: { id: 'anonymous', kind: 'anonymous', name: 'anonymous' }, ...from }
  await room.audit(room.kysely, origin, {
    action: 'enrolment-requested',
    target: row.id,
    experiment: row.experiment,
    detail: { name: row.name, keyId: row.key_id },
  })
  const shown = `${userCode.slice(0, 4)}-${userCode.slice(4)}`
  return {
    deviceCode,
    userCode: shown,
    verificationUri: `${room.publicUrl}/device?machine=${shown}`,
    expiresAtMs: row.expires_at_ms,
    intervalMs: pollEveryMs,
  }
}

/** @throws Fault identity.no_such_request when the code is unknown or over */
export async function pollEnrolment(room: Room, snapshot: IdentitySnapshot, deviceCode: string) {
  const row = await room.kysely
    .selectFrom('identity_enrolment')
    .selectAll()
    .where('device_code_hash', '=', hashOf(deviceCode))
    .where('expires_at_ms', '>', room.clock.nowMs())
    .executeTakeFirst()
  if (row === undefined) throw gone()
  if (row.state !== 'approved' || row.client_id === null) return { state: row.state, client: null }
  const terms = (await readMachineTerms(room.kysely)).get(row.client_id)
  return {
    state: row.state,
    client: {
      clientId: row.client_id,
      keyId: row.key_id,
      issuer: experimentIssuer(room.publicUrl, row.experiment),
      audience: snapshot.audience,
      scope: formatCapabilitiesAsScope(terms?.declared ?? [], row.experiment),
      expiresAtMs: terms?.untilMs ?? row.expires_at_ms,
    },
  }
}

export async function requireEnrolment(room: Room, userCode: string): Promise<Row> {
  const code = userCode.toUpperCase().replace(/[^A-Z]/g, '')
  const row = await room.kysely
    .selectFrom('identity_enrolment')
    .selectAll()
    .where('user_code_hash', '=', hashOf(code))
    .where('state', '=', 'waiting')
    .where('expires_at_ms', '>', room.clock.nowMs())
    .executeTakeFirst()
  if (row === undefined) throw gone()
  return row
}

export async function showEnrolment(room: Room, snapshot: IdentitySnapshot, userCode: string) {
  const row = await requireEnrolment(room, userCode)
  const known = await room.kysely
    .selectFrom('identity_subject')
    .select('id')
    .where('kind', '=', 'client')
    .where('name', '=', `${row.experiment}/${row.name}`)
    .executeTakeFirst()
  return {
    userCode: userCode.toUpperCase(),
    experiment: row.experiment,
    name: row.name,
    fingerprint: row.key_id,
    address: row.address,
    expiresAtMs: row.expires_at_ms,
    isKnown: known !== undefined,
    candidates: possibleOwners(snapshot, row.experiment, room.clock.nowMs()),
  }
}

/** The row decides who was first; the right to do it has been asked for. */
export async function decideEnrolment(
  room: Room,
  trx: IdentityTransaction,
  snapshot: IdentitySnapshot,
  row: Row,
  decision: {
    approve: boolean
    by: Subject
    owners?: readonly string[] | undefined
    capabilities?: readonly string[] | undefined
    lifetimeMs: number
  },
  origin: Origin,
): Promise<void> {
  const taken = await trx
    .updateTable('identity_enrolment')
    .set({ state: decision.approve ? 'approved' : 'denied' })
    .where('id', '=', row.id)
    .where('state', '=', 'waiting')
    .returning('id')
    .executeTakeFirst()
  if (taken === undefined) throw gone()
  const { experiment, name } = row
  if (!decision.approve) {
    await room.audit(trx, origin, { action: 'enrolment-denied', target: row.id, experiment, detail: { name } })
    return
  }
  const usual = possibleOwners(snapshot, experiment, room.clock.nowMs()).filter(({ id }) => id === decision.by.id)
  const clientId = await enrolMachine(
    room,
    trx,
    snapshot,
    {
      experiment,
      name,
      publicKey: JSON.parse(row.jwk) as MachinePublicKey,
      owners: decision.owners ?? usual.map(({ id }) => id),
      capabilities: decision.capabilities,
      lifetimeMs: decision.lifetimeMs,
    },
    origin,
  )
  await trx.updateTable('identity_enrolment').set({ client_id: clientId }).where('id', '=', row.id).execute()
}

function gone(): Error {
  return identityFaults.noSuchRequest('No machine is waiting with this code.', {
    hint: 'Check the code on its screen; it is valid for ten minutes and works once. Start again: cygnet daq enrol.',
  })
}
