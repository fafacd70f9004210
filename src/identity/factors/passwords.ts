/** The password of a person: kept as an Argon2id hash, worth nothing without the authenticator app beside it. */
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityTransaction } from '../tables.ts'
import { longestPassword, passwordFault, shortestPassword } from './password-rules.ts'

/** @throws Fault identity.weak_password */
export async function requireGoodPassword(room: Room, personId: string, password: string): Promise<void> {
  const fault = passwordFault(password, await wordsAbout(room, personId))
  if (fault === undefined) return
  throw {
    short: () => identityFaults.weakPassword(`A password has at least ${shortestPassword} characters.`),
    long: () => identityFaults.weakPassword(`A password has at most ${longestPassword} characters.`),
    foreseeable: () =>
      identityFaults.weakPassword('This password is made of what everybody would try first.', {
        hint: 'Common words, names, years and rows of keys hardly count. Four words that have nothing to do with each other do.',
      }),
  }[fault]()
}

export async function setPassword(
  room: Room,
  trx: IdentityTransaction,
  { personId, hash }: { personId: string; hash: string },
  origin: Origin,
): Promise<void> {
  const fresh = { hash, set_at_ms: room.clock.nowMs(), last_used_at_ms: null, codes_guessed_at_ms: null }
  await trx
    .insertInto('identity_password')
    .values({ person_id: personId, ...fresh })
    .onConflict((conflict) => conflict.column('person_id').doUpdateSet(fresh))
    .execute()
  await room.audit(trx, origin, { action: 'password-set', target: personId })
  await room.changed(trx, personId, 'factors-changed')
}

/** With its authenticator app, which is nothing without it. The caller asks `requireOtherWay` first. */
export async function removePassword(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  origin: Origin,
): Promise<void> {
  const password = await trx.deleteFrom('identity_password').where('person_id', '=', personId).executeTakeFirst()
  const app = await trx.deleteFrom('identity_totp').where('person_id', '=', personId).executeTakeFirst()
  if (password.numDeletedRows + app.numDeletedRows === 0n)
    throw identityFaults.noSuchFactor('You have no password here.')
  await room.audit(trx, origin, { action: 'password-removed', target: personId })
  await room.changed(trx, personId, 'factors-changed')
}

/** What somebody who knows the person would try: names of the person, the experiments, the platform. */
async function wordsAbout(room: Room, personId: string): Promise<string[]> {
  const person = await room.kysely
    .selectFrom('identity_subject')
    .select(['name', 'display_name'])
    .where('id', '=', personId)
    .executeTakeFirst()
  const aliases = await room.kysely
    .selectFrom('identity_person_alias')
    .select('alias')
    .where('person_id', '=', personId)
    .execute()
  const experiments = await room.kysely.selectFrom('identity_experiment_gid').select('experiment').execute()
  return [
    person?.name ?? '',
    person?.display_name ?? '',
    ...aliases.map(({ alias }) => alias),
    ...experiments.map(({ experiment }) => experiment),
    new URL(room.publicUrl).hostname,
  ]
}
