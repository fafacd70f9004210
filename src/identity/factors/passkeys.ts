/**
 * Passkeys (WebAuthn Level 3): made and used only on the platform's own host, always with user verification, so that one
 * counts as two factors. What is wrong with an answer is logged and never told: all refusals read the same.
 */
import {
  generateAuthenticationOptions,
  generateRegistrationOptions,
  verifyAuthenticationResponse,
  verifyRegistrationResponse,
  type AuthenticationResponseJSON,
  type RegistrationResponseJSON,
} from '@simplewebauthn/server'
import type { z } from 'zod'
import { randomToken, uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityTransaction } from '../tables.ts'
import { challengeLifetimeMs, issueChallenge, takeChallenge, type ChallengePurpose } from './challenges.ts'
import type { passkeyAnswerSchema, passkeyMadeSchema, passkeySchema } from './contract.ts'
import { requireRelyingParty, type RelyingParty } from './relying-party.ts'
import type { FactorTables } from './tables.ts'

export type Passkey = z.infer<typeof passkeySchema>
export type PasskeyAnswer = z.infer<typeof passkeyAnswerSchema>
export type PasskeyMade = z.infer<typeof passkeyMadeSchema>
type PasskeyRow = FactorTables['identity_passkey']
type Options = { options: Record<string, unknown> }

/** More than anybody has; a stolen session cannot fill the table. */
const mostPasskeys = 20
/** EdDSA, ES256, RS256 (RFC 9053, RFC 8812): what authenticators have. */
const supportedAlgorithmIDs = [-8, -7, -257]

/** For signing in: the browser shows whatever passkeys it has for this host, no name is asked. */
export async function passkeyQuestion(
  room: Room,
  bound: { purpose: ChallengePurpose; boundTo: string },
  only: { personId?: string } = {},
): Promise<Options> {
  const party = requireRelyingParty(room.publicUrl)
  const own = only.personId === undefined ? [] : await passkeyRowsOf(room, only.personId)
  const options = await generateAuthenticationOptions({
    rpID: party.id,
    challenge: bytesOf(await issueChallenge(room, bound)),
    timeout: challengeLifetimeMs,
    userVerification: 'required',
    ...(only.personId !== undefined && { allowCredentials: own.map(describe) }),
  })
  return { options: options as unknown as Record<string, unknown> }
}

/** For making one; those that a device already holds for this person are not made there again. */
export async function newPasskeyQuestion(
  room: Room,
  { boundTo, personId, name, displayName }: { boundTo: string; personId?: string; name: string; displayName: string },
): Promise<Options> {
  const party = requireRelyingParty(room.publicUrl)
  const own = personId === undefined ? [] : await passkeyRowsOf(room, personId)
  if (own.length >= mostPasskeys)
    throw identityFaults.invalidLimits(`You have ${own.length} passkeys.`, { hint: 'Remove one first.' })
  const userHandle = own[0]?.user_handle ?? randomToken(32)
  const options = await generateRegistrationOptions({
    rpName: party.name,
    rpID: party.id,
    userID: bytesOf(userHandle),
    supportedAlgorithmIDs,
    userName: name,
    userDisplayName: displayName,
    challenge: bytesOf(await issueChallenge(room, { purpose: 'new-passkey', boundTo, userHandle })),
    timeout: challengeLifetimeMs,
    attestationType: 'none',
    excludeCredentials: own.map(describe),
    authenticatorSelection: { residentKey: 'required', userVerification: 'required' },
  })
  return { options: options as unknown as Record<string, unknown> }
}

export type NewPasskey = Omit<PasskeyRow, 'id' | 'person_id' | 'label' | 'created_at_ms'>

/** @throws Fault identity.passkey_refused */
export async function verifyNewPasskey(room: Room, made: PasskeyMade, boundTo: string): Promise<NewPasskey> {
  const party = requireRelyingParty(room.publicUrl)
  const { challenge, taken } = await takenChallenge(room, made, { purpose: 'new-passkey', boundTo })
  const response = {
    ...made,
    response: { ...made.response, transports: made.response.transports ?? [] },
    clientExtensionResults: {},
  } as RegistrationResponseJSON
  const { registrationInfo } = await verifyRegistrationResponse({
    response,
    expectedChallenge: challenge,
    expectedOrigin: party.origin,
    expectedRPID: party.id,
    requireUserVerification: true,
    supportedAlgorithmIDs,
  }).catch((cause: unknown) => refuse(room, cause))
  if (registrationInfo === undefined || taken.userHandle === null) return refuse(room, 'not verified')
  const { credential, credentialBackedUp } = registrationInfo
  return {
    credential_id: credential.id,
    public_key: Buffer.from(credential.publicKey).toString('base64url'),
    user_handle: taken.userHandle,
    counter: credential.counter,
    transports: JSON.stringify(credential.transports ?? []),
    backed_up: credentialBackedUp ? 1 : 0,
    last_used_at_ms: null,
    suspect_at_ms: null,
  }
}

export async function addPasskey(
  room: Room,
  trx: IdentityTransaction,
  { personId, label, passkey }: { personId: string; label: string; passkey: NewPasskey },
  origin: Origin,
): Promise<Passkey> {
  const nowMs = room.clock.nowMs()
  const row = await trx
    .insertInto('identity_passkey')
    .values({ ...passkey, id: uuid7(nowMs), person_id: personId, label, created_at_ms: nowMs })
    .onConflict((conflict) => conflict.column('credential_id').doNothing())
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) return refuse(room, 'this credential is known already')
  await room.audit(trx, origin, { action: 'passkey-added', target: personId, detail: { passkey: row.id, label } })
  await room.changed(trx, personId, 'factors-changed')
  return passkeyOf(row)
}

export interface VerifiedPasskey {
  passkey: PasskeyRow
  counter: number
  backedUp: boolean
}

/**
 * Whose passkey answered, and that it did: challenge, origin, host, user verification, signature, handle. Nothing is
 * written but the challenge, which is used up.
 * @throws Fault identity.passkey_refused
 */
export async function verifyPasskey(
  room: Room,
  answer: PasskeyAnswer,
  bound: { purpose: ChallengePurpose; boundTo: string },
): Promise<VerifiedPasskey> {
  const party = requireRelyingParty(room.publicUrl)
  const { challenge } = await takenChallenge(room, answer, bound)
  const passkey = await room.kysely
    .selectFrom('identity_passkey')
    .selectAll()
    .where('credential_id', '=', answer.id)
    .executeTakeFirst()
  if (passkey === undefined) return refuse(room, 'unknown credential')
  const { userHandle } = answer.response
  // Without a name only the handle says whose it is; an authenticator that was told which credential may leave it out.
  if (userHandle === undefined ? bound.purpose === 'sign-in' : userHandle !== passkey.user_handle)
    return refuse(room, 'wrong user handle')
  const { authenticationInfo } = await verifySignature(room, party, { answer, challenge, passkey })
  return { passkey, counter: authenticationInfo.newCounter, backedUp: authenticationInfo.credentialBackedUp }
}

async function verifySignature(
  room: Room,
  party: RelyingParty,
  { answer, challenge, passkey }: { answer: PasskeyAnswer; challenge: string; passkey: PasskeyRow },
) {
  const result = await verifyAuthenticationResponse({
    response: { ...answer, clientExtensionResults: {} } as AuthenticationResponseJSON,
    expectedChallenge: challenge,
    expectedOrigin: party.origin,
    expectedRPID: party.id,
    requireUserVerification: true,
    // Counters are compared by `markPasskeyUsed`, after the signature: only who holds the key can make a passkey suspect.
    credential: { id: passkey.credential_id, publicKey: bytesOf(passkey.public_key), counter: 0 },
  }).catch((cause: unknown) => refuse(room, cause))
  return result.verified ? result : refuse(room, 'wrong signature')
}

/**
 * Marks a verified passkey used. A counter that does not grow tells of a copy (WebAuthn Level 3, 6.1.1): from then on the
 * passkey is refused, and its owner sees why. The caller commits in both cases, and refuses if this is false.
 */
export async function markPasskeyUsed(
  room: Room,
  trx: IdentityTransaction,
  { passkey, counter, backedUp }: VerifiedPasskey,
  origin: Origin,
): Promise<boolean> {
  const nowMs = room.clock.nowMs()
  const used = await trx
    .updateTable('identity_passkey')
    .set({ counter, backed_up: backedUp ? 1 : 0, last_used_at_ms: nowMs })
    .where('id', '=', passkey.id)
    .where('suspect_at_ms', 'is', null)
    .where('counter', counter === 0 ? '=' : '<', counter)
    .returning('id')
    .executeTakeFirst()
  if (used !== undefined) return true
  const suspect = await trx
    .updateTable('identity_passkey')
    .set({ suspect_at_ms: nowMs })
    .where('id', '=', passkey.id)
    .where('suspect_at_ms', 'is', null)
    .returning('label')
    .executeTakeFirst()
  if (suspect !== undefined) {
    room.log.warn({ passkey: passkey.id, person: passkey.person_id }, 'a passkey was copied: its counter went back')
    const detail = { passkey: passkey.id, label: suspect.label }
    await room.audit(trx, origin, { action: 'passkey-suspect', target: passkey.person_id, detail })
    await room.changed(trx, passkey.person_id, 'factors-changed')
  }
  return false
}

export async function renamePasskey(
  room: Room,
  trx: IdentityTransaction,
  { personId, passkeyId, label }: { personId: string; passkeyId: string; label: string },
  origin: Origin,
): Promise<Passkey> {
  const row = await trx
    .updateTable('identity_passkey')
    .set({ label })
    .where('id', '=', passkeyId)
    .where('person_id', '=', personId)
    .returningAll()
    .executeTakeFirst()
  if (row === undefined) throw noSuchPasskey()
  await room.audit(trx, origin, { action: 'passkey-renamed', target: personId, detail: { passkey: passkeyId, label } })
  await room.changed(trx, personId, 'factors-changed')
  return passkeyOf(row)
}

/** The caller asks `requireOtherWay` first. @returns its label */
export async function removePasskey(
  room: Room,
  trx: IdentityTransaction,
  { personId, passkeyId }: { personId: string; passkeyId: string },
  origin: Origin,
): Promise<string> {
  const row = await trx
    .deleteFrom('identity_passkey')
    .where('id', '=', passkeyId)
    .where('person_id', '=', personId)
    .returning('label')
    .executeTakeFirst()
  if (row === undefined) throw noSuchPasskey()
  const detail = { passkey: passkeyId, label: row.label }
  await room.audit(trx, origin, { action: 'passkey-removed', target: personId, detail })
  await room.changed(trx, personId, 'factors-changed')
  return row.label
}

/** Oldest first. */
export async function listPasskeys(room: Room, personId: string): Promise<Passkey[]> {
  return (await passkeyRowsOf(room, personId)).map(passkeyOf)
}

async function passkeyRowsOf(room: Room, personId: string): Promise<PasskeyRow[]> {
  return await room.kysely
    .selectFrom('identity_passkey')
    .selectAll()
    .where('person_id', '=', personId)
    .orderBy('id')
    .execute()
}

function passkeyOf(row: PasskeyRow): Passkey {
  return {
    id: row.id,
    label: row.label,
    createdAtMs: row.created_at_ms,
    lastUsedAtMs: row.last_used_at_ms,
    backedUp: row.backed_up === 1,
    suspectAtMs: row.suspect_at_ms,
  }
}

function describe(row: PasskeyRow): { id: string; transports: string[] } {
  return { id: row.credential_id, transports: JSON.parse(row.transports) as string[] }
}

/** The challenge that was signed, used up; and that the page stood in no frame of another site. */
async function takenChallenge(
  room: Room,
  { response: { clientDataJSON } }: PasskeyAnswer | PasskeyMade,
  bound: { purpose: ChallengePurpose; boundTo: string },
): Promise<{ challenge: string; taken: { userHandle: string | null } }> {
  const said = parsed(Buffer.from(clientDataJSON, 'base64url').toString())
  const challenge = typeof said.challenge === 'string' ? said.challenge : ''
  const taken = await takeChallenge(room, { challenge, ...bound })
  if (taken === undefined) return refuse(room, 'challenge unknown, used, over, or of another browser')
  if (said.crossOrigin === true || said.topOrigin !== undefined) return refuse(room, 'asked in a frame of another site')
  return { challenge, taken }
}

function parsed(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text)
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {}
  } catch {
    return {}
  }
}

function bytesOf(base64url: string): Uint8Array<ArrayBuffer> {
  return new Uint8Array(Buffer.from(base64url, 'base64url'))
}

function noSuchPasskey(): Error {
  return identityFaults.noSuchFactor('You have no such passkey, or it is already removed.')
}

function refuse(room: Room, reason: unknown): never {
  // What was sent may stand in it: cut, so that nobody fills the log.
  const words = (reason instanceof Error ? reason.message : String(reason)).slice(0, 200)
  room.log.info({ reason: words }, 'a passkey was refused')
  throw identityFaults.passkeyRefused('This passkey was not accepted.', {
    hint: 'Try again; if it stays so, use another passkey, or password and code.',
    cause: reason,
  })
}
