/**
 * How people are called. The name is plain for life (it becomes a path, a host label, a unix account). Aliases may hold
 * dots and capitals, as institutes write them; they count for signing in and searching, never in a path.
 */
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'

type PersonRow = IdentityTables['identity_subject']
const mostAliases = 10

/** One spelling for all that mean the same: NFKC, small letters, no blanks around. `undefined`: nobody is called so. */
export function foldedName(typed: string): string | undefined {
  const folded = typed.normalize('NFKC').trim().toLowerCase()
  return /^[a-z0-9._-]{1,64}$/.test(folded) ? folded : undefined
}

/** What cannot be told apart on a screen is one: signs between, `rn` and `m`, `0` and `o`, `1`, `l` and `i`. */
export function lookOf(folded: string): string {
  return folded
    .replace(/[._-]/g, '')
    .replaceAll('rn', 'm')
    .replaceAll('vv', 'w')
    .replaceAll('0', 'o')
    .replace(/[1i]/g, 'l')
    .replaceAll('5', 's')
}

/** By name, then by alias. */
export async function personNamed(
  kysely: IdentityKysely | IdentityTransaction,
  typed: string,
): Promise<PersonRow | undefined> {
  const folded = foldedName(typed)
  if (folded === undefined) return undefined
  const people = kysely.selectFrom('identity_subject').selectAll().where('kind', '=', 'person')
  const byName = await people.where('name', '=', folded).executeTakeFirst()
  const aliases = kysely
    .selectFrom('identity_person_alias')
    .select('person_id')
    .where('alias_key', '=', folded)
    .where('removed_at_ms', 'is', null)
  return byName ?? (await people.where('id', 'in', aliases).executeTakeFirst())
}

export async function aliasesOf(kysely: IdentityKysely | IdentityTransaction, personId: string): Promise<string[]> {
  const rows = await kysely
    .selectFrom('identity_person_alias')
    .select('alias')
    .where('person_id', '=', personId)
    .where('removed_at_ms', 'is', null)
    .orderBy('alias_key')
    .execute()
  return rows.map(({ alias }) => alias)
}

/**
 * A new name is nobody's alias, nor looks like one.
 * @throws Fault identity.name_taken
 */
export async function requireNoAlias(trx: IdentityTransaction, name: string): Promise<void> {
  const taken = await trx
    .selectFrom('identity_person_alias')
    .select('person_id')
    .where('look', '=', lookOf(name))
    .executeTakeFirst()
  if (taken !== undefined)
    throw identityFaults.nameTaken(`'${name}' is, or looks like, another name of somebody.`, {
      hint: 'Choose another name.',
    })
}

/** @throws Fault identity.name_taken if it is, or looks like, a name or alias of somebody else, now or ever */
export async function addAlias(
  room: Room,
  trx: IdentityTransaction,
  { personId, alias }: { personId: string; alias: string },
  origin: Origin,
): Promise<void> {
  const key = foldedName(alias)!
  const look = lookOf(key)
  const people = await trx.selectFrom('identity_subject').select(['id', 'name']).where('kind', '=', 'person').execute()
  const looking = await trx.selectFrom('identity_person_alias').selectAll().where('look', '=', look).execute()
  const other =
    people.some(({ id, name }) => id !== personId && lookOf(name) === look) ||
    looking.some((row) => row.person_id !== personId)
  if (other)
    throw identityFaults.nameTaken(`'${alias}' is, or looks like, the name of somebody else.`, {
      hint: 'Choose one that cannot be mistaken.',
    })
  const held = await aliasesOf(trx, personId)
  if (held.length >= mostAliases && !held.includes(alias))
    throw identityFaults.invalidLimits(`A person has at most ${mostAliases} aliases.`, { hint: 'Remove one first.' })
  await trx
    .insertInto('identity_person_alias')
    .values({
      alias_key: key,
      look,
      alias,
      person_id: personId,
      created_at_ms: room.clock.nowMs(),
      removed_at_ms: null,
    })
    .onConflict((conflict) => conflict.column('alias_key').doUpdateSet({ alias, removed_at_ms: null }))
    .execute()
  await room.audit(trx, origin, { action: 'alias-added', target: personId, detail: { alias } })
  await room.changed(trx, personId, 'aliases-changed')
}

export async function removeAlias(
  room: Room,
  trx: IdentityTransaction,
  { personId, alias }: { personId: string; alias: string },
  origin: Origin,
): Promise<void> {
  const removed = await trx
    .updateTable('identity_person_alias')
    .set({ removed_at_ms: room.clock.nowMs() })
    .where('alias_key', '=', foldedName(alias) ?? '')
    .where('person_id', '=', personId)
    .where('removed_at_ms', 'is', null)
    .returning('alias')
    .executeTakeFirst()
  if (removed === undefined) throw identityFaults.noSuchPerson(`This person has no alias '${alias}'.`)
  await room.audit(trx, origin, { action: 'alias-removed', target: personId, detail: { alias: removed.alias } })
  await room.changed(trx, personId, 'aliases-changed')
}
