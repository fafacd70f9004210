/**
 * Name, password and code, always together. An unknown name, a wrong password and a wrong code are answered with the same
 * words after the same work, so that nobody finds out who has an account, or which part was right.
 */
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityTables, IdentityTransaction } from '../tables.ts'
import type { SignInAttempts } from './attempts.ts'
import { checkCode, takeStep } from './authenticator.ts'
import type { PasswordHasher } from './password-hash.ts'
import { hasRecoveryCode, isRecoveryCode, takeRecoveryCode } from './recovery-codes.ts'

type PersonRow = IdentityTables['identity_subject']

/** What was right, and what is used up by using it. */
export interface CheckedPassword {
  person: PersonRow
  /** False: a recovery code alone, of somebody who has no password. It lets in only to make a new factor. */
  twoFactors: boolean
  uses: { step: number } | { recoveryCode: string }
}

export interface PasswordParts {
  room: Room
  hasher: PasswordHasher
  attempts: SignInAttempts
}

/** @throws Fault identity.wrong_factors */
export async function checkPassword(
  { room, hasher, attempts }: PasswordParts,
  given: { person: PersonRow | undefined; password: string; code: string; address: string },
): Promise<CheckedPassword> {
  const { person, password, code, address } = given
  // For nobody the same questions are asked about somebody who does not exist.
  const personId = person?.id ?? uuid7(room.clock.nowMs())
  const kept = await room.kysely
    .selectFrom('identity_password')
    .select('hash')
    .where('person_id', '=', personId)
    .executeTakeFirst()
  const passwordRight = await hasher.matches(password, kept?.hash)
  if (passwordRight) attempts.takeCode(personId, address)
  const step = await checkCode(room, personId, code)
  const recovery = isRecoveryCode(code) && (await hasRecoveryCode(room, personId, code))
  const passwordServes = passwordRight || (kept === undefined && recovery)
  if (person === undefined || !passwordServes || (step === undefined && !recovery)) {
    if (passwordRight && person !== undefined && attempts.isGuessing(person.id))
      await tellOfGuessing(room, person, address)
    throw wrongFactors()
  }
  if (passwordRight) attempts.giveCodeBack(personId, address)
  return {
    person,
    twoFactors: passwordRight,
    uses: step === undefined ? { recoveryCode: code } : { step },
  }
}

/** Uses up what can be used once, in the transaction of what it is used for. @throws Fault identity.wrong_factors */
export async function spendPassword(
  room: Room,
  trx: IdentityTransaction,
  { person, uses, twoFactors }: CheckedPassword,
  origin: Origin,
): Promise<void> {
  const used =
    'step' in uses
      ? await takeStep(trx, person.id, uses.step)
      : await takeRecoveryCode(room, trx, { personId: person.id, typed: uses.recoveryCode }, origin)
  if (!used) throw wrongFactors()
  if (!twoFactors) return
  await trx
    .updateTable('identity_password')
    .set({ last_used_at_ms: room.clock.nowMs() })
    .where('person_id', '=', person.id)
    .execute()
}

export function wrongFactors(): Error {
  return identityFaults.wrongFactors('Name, password or code is not right.', {
    hint: 'The code is the one that your authenticator app shows now; each is taken once. A recovery code does as well.',
  })
}

/** Somebody knows the password: its owner reads it on his page; each refusal is in the audit anyway. */
async function tellOfGuessing(room: Room, person: PersonRow, address: string): Promise<void> {
  const nowMs = room.clock.nowMs()
  room.log.warn({ person: person.id, address }, 'the right password came with wrong codes again and again')
  await room.kysely
    .updateTable('identity_password')
    .set({ codes_guessed_at_ms: nowMs })
    .where('person_id', '=', person.id)
    .execute()
}
