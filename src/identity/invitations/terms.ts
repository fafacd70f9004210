/** The rules of the site: what everybody agrees to, in which version, and who has not yet. */
import { createHash } from 'node:crypto'
import { currentTermsText } from './site-rules.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'

export interface Terms {
  /** 0: nobody has published any; the text that comes with the program holds. */
  version: number
  text: string
  publishedAtMs: number | null
}

export async function currentTerms(kysely: IdentityKysely | IdentityTransaction, language = 'en'): Promise<Terms> {
  const row = await kysely
    .selectFrom('identity_terms')
    .selectAll()
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (row === undefined) return { version: 0, text: currentTermsText(language), publishedAtMs: null }
  return { version: row.version, text: row.text, publishedAtMs: row.published_at_ms }
}

/** From now on nobody starts anything new before he has agreed; what runs goes on. */
export async function publishTerms(room: Room, trx: IdentityTransaction, text: string, origin: Origin): Promise<Terms> {
  const { version } = await currentTerms(trx)
  const next = { version: version + 1, text, publishedAtMs: room.clock.nowMs() }
  const textHash = hashOfText(text)
  await trx
    .insertInto('identity_terms')
    .values({
      version: next.version,
      text,
      text_hash: textHash,
      published_at_ms: next.publishedAtMs,
      published_by: origin.actor.id,
    })
    .execute()
  await room.audit(trx, origin, { action: 'terms-published', target: String(next.version), detail: { textHash } })
  await room.changed(trx, origin.actor.id, 'terms-published')
  return next
}

/** @throws Fault identity.terms_changed unless it is the present version that is agreed to */
export async function acceptTerms(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  version: number,
  origin: Origin,
  /** In which it was read. */
  language = 'en',
): Promise<void> {
  const terms = await requireCurrent(trx, version, language)
  const textHash = hashOfText(terms.text)
  const added = await trx
    .insertInto('identity_terms_acceptance')
    .values({
      person_id: personId,
      version,
      text_hash: textHash,
      accepted_at_ms: room.clock.nowMs(),
      address: origin.address.slice(0, 100),
    })
    .onConflict((conflict) => conflict.columns(['person_id', 'version']).doNothing())
    .returning('version')
    .executeTakeFirst()
  if (added === undefined) return
  await room.audit(trx, origin, { action: 'terms-accepted', target: personId, detail: { version, textHash } })
  await room.changed(trx, personId, 'terms-accepted')
}

export async function requireCurrent(trx: IdentityTransaction, version: number, language = 'en'): Promise<Terms> {
  const terms = await currentTerms(trx, language)
  if (terms.version === version) return terms
  throw identityFaults.termsChanged('The rules of this site have changed meanwhile.', {
    hint: 'Read them again and agree to the new version.',
  })
}

/** The newest version this person has agreed to; null: none. */
export async function acceptedVersion(kysely: IdentityKysely, personId: string): Promise<number | null> {
  const row = await kysely
    .selectFrom('identity_terms_acceptance')
    .select('version')
    .where('person_id', '=', personId)
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  return row?.version ?? null
}

/** People who have agreed to the version that holds; undefined while none was published, for then nothing is due. */
export async function agreedPeople(kysely: IdentityKysely): Promise<Set<string> | undefined> {
  const newest = await kysely
    .selectFrom('identity_terms')
    .select('version')
    .orderBy('version', 'desc')
    .limit(1)
    .executeTakeFirst()
  if (newest === undefined) return undefined
  const rows = await kysely
    .selectFrom('identity_terms_acceptance')
    .select('person_id')
    .where('version', '=', newest.version)
    .execute()
  return new Set(rows.map((row) => row.person_id))
}

function hashOfText(text: string): string {
  return createHash('sha256').update(text).digest('hex')
}
