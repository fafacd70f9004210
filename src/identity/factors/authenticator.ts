/** Codes of an authenticator app (TOTP, RFC 6238: SHA-1, 30 s, six digits), one step early or late, each taken once. */
import { Secret, TOTP } from 'otpauth'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'

const stepMs = 30_000
/** The secret is shown, and in force only when a code of it was given. */
const pendingLifetimeMs = 15 * 60_000
const sealPurpose = (personId: string): string => `totp.${personId}`

/** @returns the secret in Base32 and the `otpauth:` address for the QR code; the only time it is shown */
export async function startAuthenticator(
  room: Room,
  trx: IdentityTransaction,
  { personId, name }: { personId: string; name: string },
): Promise<{ secret: string; uri: string; expiresAtMs: number }> {
  const secret = new Secret({ size: 20 })
  const expiresAtMs = room.clock.nowMs() + pendingLifetimeMs
  const pending = {
    pending_sealed_secret: room.seal.close(secret.base32, sealPurpose(personId)),
    pending_until_ms: expiresAtMs,
  }
  await trx
    .insertInto('identity_totp')
    .values({ person_id: personId, sealed_secret: null, confirmed_at_ms: null, last_step: 0, ...pending })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(pending))
    .execute()
  const issuer = `Cygnet ${new URL(room.publicUrl).host.replace(':', ' ')}`
  return { secret: secret.base32, uri: new TOTP({ issuer, label: name, secret }).toString(), expiresAtMs }
}

/** @throws Fault identity.wrong_code */
export async function confirmAuthenticator(
  room: Room,
  trx: IdentityTransaction,
  { personId, code }: { personId: string; code: string },
  origin: Origin,
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const row = await trx.selectFrom('identity_totp').selectAll().where('person_id', '=', personId).executeTakeFirst()
  const sealed = row?.pending_sealed_secret ?? null
  if (sealed === null || (row?.pending_until_ms ?? 0) <= nowMs)
    throw identityFaults.wrongCode('No authenticator app is waiting to be confirmed.', {
      hint: 'Start again: a new secret is shown for 15 minutes.',
    })
  const step = stepOf(room, { personId, sealed, code })
  if (step === undefined)
    throw identityFaults.wrongCode('This code is not the one that the app should show now.', {
      hint: 'Wait for the next code. If it stays so, the clock of your phone may be wrong: set it to automatic.',
    })
  await trx
    .updateTable('identity_totp')
    .set({
      sealed_secret: sealed,
      confirmed_at_ms: nowMs,
      last_step: step,
      pending_sealed_secret: null,
      pending_until_ms: null,
    })
    .where('person_id', '=', personId)
    .execute()
  await room.audit(trx, origin, { action: 'authenticator-confirmed', target: personId })
  await room.changed(trx, personId, 'factors-changed')
}

/** The number of the 30 s step whose code this is, if it is right now and was not used; changes nothing. */
export async function checkCode(room: Room, personId: string, code: string): Promise<number | undefined> {
  const row = await totpOf(room.kysely, personId)
  if (row?.sealed_secret == null || row.confirmed_at_ms === null) return undefined
  const step = stepOf(room, { personId, sealed: row.sealed_secret, code })
  return step !== undefined && step > row.last_step ? step : undefined
}

/** Uses the code up; false if somebody was faster with it. */
export async function takeStep(trx: IdentityTransaction, personId: string, step: number): Promise<boolean> {
  const used = await trx
    .updateTable('identity_totp')
    .set({ last_step: step })
    .where('person_id', '=', personId)
    .where('last_step', '<', step)
    .returning('person_id')
    .executeTakeFirst()
  return used !== undefined
}

export async function totpOf(kysely: IdentityKysely | IdentityTransaction, personId: string) {
  return await kysely.selectFrom('identity_totp').selectAll().where('person_id', '=', personId).executeTakeFirst()
}

function stepOf(
  room: Room,
  { personId, sealed, code }: { personId: string; sealed: string; code: string },
): number | undefined {
  const token = code.replace(/\s/g, '')
  if (!/^\d{6}$/.test(token)) return undefined
  const nowMs = room.clock.nowMs()
  const secret = Secret.fromBase32(room.seal.open(sealed, sealPurpose(personId)))
  const delta = new TOTP({ secret }).validate({ token, timestamp: nowMs, window: 1 })
  return delta === null ? undefined : Math.floor(nowMs / stepMs) + delta
}
