/** By what a person can sign in without anybody's help; the last of it is never taken away by himself. */
import type { z } from 'zod'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import { hasUsableIdentity } from '../federation/linking.ts'
import type { IdentityTransaction } from '../tables.ts'
import { totpOf } from './authenticator.ts'
import type { personFactorsSchema } from './contract.ts'
import { aliasesOf } from './names.ts'
import { hasOwnWay } from './own-ways.ts'
import { listPasskeys } from './passkeys.ts'
import { hasSecondFactor } from './proof.ts'
import { recoveryCodesLeft } from './recovery-codes.ts'

export async function factorsOf(room: Room, personId: string): Promise<z.infer<typeof personFactorsSchema>> {
  const { kysely } = room
  const password = await kysely
    .selectFrom('identity_password')
    .selectAll()
    .where('person_id', '=', personId)
    .executeTakeFirst()
  const app = await totpOf(kysely, personId)
  return {
    passkeys: await listPasskeys(room, personId),
    password:
      password === undefined
        ? null
        : {
            setAtMs: password.set_at_ms,
            lastUsedAtMs: password.last_used_at_ms,
            codesGuessedAtMs: password.codes_guessed_at_ms,
          },
    authenticator: app?.confirmed_at_ms == null ? null : { sinceMs: app.confirmed_at_ms },
    recoveryCodes: (await recoveryCodesLeft(kysely, personId)) ?? null,
    aliases: await aliasesOf(kysely, personId),
    secondFactor: await hasSecondFactor(kysely, personId),
  }
}

/**
 * @throws Fault identity.last_factor when nothing would be left: no other passkey that is accepted, no password with its
 * app, no institute by which one can sign in
 */
export async function requireOtherWay(
  trx: IdentityTransaction,
  personId: string,
  without: { passkey?: string; password?: boolean },
): Promise<void> {
  if ((await hasOwnWay(trx, personId, without)) || (await hasUsableIdentity(trx, personId))) return
  throw identityFaults.lastFactor('This is the last way in which you can sign in.', {
    hint: 'Add another one first: a passkey, or a password with an authenticator app.',
  })
}
