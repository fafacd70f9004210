/** How fresh and how strong a proof of who somebody is still is. */
import { sql } from 'kysely'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'

export interface Proof {
  /** When it was asked, by the clock of this room. */
  askedAtMs: number
  /** When the person last proved it in this session, by whatever means. */
  provedAtMs: number
  /** The same by two factors: a passkey with user verification, or password and code. */
  twoFactorsAtMs: number | null
  /** Has a passkey, or a password with an authenticator app: can be asked for it. */
  secondFactor: boolean
  /** Came by a recovery link: may only make a new factor. */
  recovering: boolean
}

type Session = Pick<
  IdentityTables['identity_browser_session'],
  'person_id' | 'proved_at_ms' | 'two_factors_at_ms' | 'method'
>

export async function proofOf(room: Room, session: Session): Promise<Proof> {
  return {
    askedAtMs: room.clock.nowMs(),
    provedAtMs: session.proved_at_ms,
    twoFactorsAtMs: session.two_factors_at_ms,
    secondFactor: await hasSecondFactor(room.kysely, session.person_id),
    recovering: session.method === 'recovery',
  }
}

/** Of a person's own token: the freshest proof that a living session of his lends to the command line. */
export async function lentProof(room: Room, personId: string): Promise<Proof> {
  const nowMs = room.clock.nowMs()
  const session = await room.kysely
    .selectFrom('identity_browser_session')
    .select(['person_id', 'proved_at_ms', 'two_factors_at_ms', 'method'])
    .where('person_id', '=', personId)
    .where('expires_at_ms', '>', nowMs)
    .where('lends_proof_until_ms', '>', nowMs)
    .orderBy('proved_at_ms', 'desc')
    .executeTakeFirst()
  return await proofOf(
    room,
    session ?? { person_id: personId, proved_at_ms: 0, two_factors_at_ms: null, method: 'link' },
  )
}

/** @throws Fault identity.fresh_proof_needed */
export function requireProof(
  credential: { by: string; proof?: Proof },
  wanted: { withinMs: number; twoFactors?: boolean },
): void {
  if (credential.proof !== undefined && isFresh(credential.proof, wanted)) return
  throw identityFaults.freshProofNeeded('This needs a new proof that it is you.', {
    hint:
      credential.by === 'access-token'
        ? 'Open the page Me in the browser, press "Prove it for the command line", and repeat the command within 15 minutes.'
        : 'Confirm with your passkey, or with password and code.',
    extra: { twoFactors: wanted.twoFactors === true },
  })
}

function isFresh(
  { askedAtMs, provedAtMs, twoFactorsAtMs, secondFactor }: Proof,
  { withinMs, twoFactors = false }: { withinMs: number; twoFactors?: boolean },
): boolean {
  if (!secondFactor) return true
  const atMs = twoFactors ? twoFactorsAtMs : provedAtMs
  return atMs !== null && atMs > askedAtMs - withinMs
}

/** One that was copied still counts: it must not become easier to act because somebody cloned the only passkey. */
export async function hasSecondFactor(
  kysely: IdentityKysely | IdentityTransaction,
  personId: string,
): Promise<boolean> {
  const found = await sql`
    select 1 from identity_passkey where person_id = ${personId}
    union all
    select 1 from identity_totp app join identity_password word on word.person_id = app.person_id
    where app.person_id = ${personId} and app.confirmed_at_ms is not null
    limit 1`.execute(kysely)
  return found.rows.length > 0
}
