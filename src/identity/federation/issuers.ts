/** Identity providers as the site admin keeps them. The address never changes: another address is another issuer. */
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import type { Origin } from '../audit.ts'
import { bumpEpoch } from '../people.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'
import {
  callbackPath,
  trustSchema,
  upstreamLogoutPath,
  type federationRoutes,
  type issuerCheckSchema,
  type issuerSchema,
} from './contract.ts'
import { discover } from './discovery.ts'
import { applyRules, peopleOf } from './imports.ts'
import type { IssuerRow, LoginIssuer } from './upstream.ts'

type Reading = IdentityKysely | IdentityTransaction
export type Issuer = z.infer<typeof issuerSchema>
type NewIssuer = z.output<(typeof federationRoutes)['addIssuer']['body']>
type IssuerChange = z.output<(typeof federationRoutes)['changeIssuer']['body']>

export async function requireIssuer(kysely: Reading, id: string): Promise<IssuerRow> {
  const row = await kysely.selectFrom('identity_issuer').selectAll().where('id', '=', id).executeTakeFirst()
  if (row !== undefined) return row
  throw identityFaults.noSuchIssuer(`There is no identity provider with the id '${id}'.`, {
    hint: 'List them: cygnet issuers list.',
  })
}

/** The enabled one at which people sign in. Every way in asks here. @throws Fault identity.institute_disabled */
export async function requireLoginIssuer(kysely: Reading, id: string): Promise<LoginIssuer> {
  const row = await kysely.selectFrom('identity_issuer').selectAll().where('id', '=', id).executeTakeFirst()
  if (row !== undefined && isLoginIssuer(row)) return row
  throw identityFaults.instituteDisabled('Nobody signs in by this institute now.', {
    hint: 'Choose another way on the sign-in page, or ask the person who runs this platform.',
  })
}

export function isLoginIssuer(row: IssuerRow): row is LoginIssuer {
  return row.state === 'enabled' && row.client_id !== null
}

export async function findIssuerByUrl(kysely: Reading, issuer: string): Promise<IssuerRow | undefined> {
  const row = await kysely.selectFrom('identity_issuer').selectAll().where('issuer', '=', issuer).executeTakeFirst()
  return row?.issuer === issuer ? row : undefined
}

export async function listLoginIssuers(kysely: Reading): Promise<LoginIssuer[]> {
  const rows = await kysely.selectFrom('identity_issuer').selectAll().orderBy('label').orderBy('id').execute()
  return rows.filter(isLoginIssuer)
}

/** What is wrong with an issuer, in words; never throws for what the issuer does. */
export async function checkIssuer(
  publicUrl: string,
  { issuer, scopes = 'openid' }: { issuer: string; scopes?: string | undefined },
): Promise<z.infer<typeof issuerCheckSchema>> {
  const { findings } = await discover(issuer, { scopes, login: true }).catch((error: Error) => ({
    findings: [{ level: 'bad' as const, text: error.message, hint: 'Can this machine reach it?' }],
  }))
  return {
    ok: findings.every(({ level }) => level !== 'bad'),
    redirectUri: `${publicUrl}${callbackPath}`,
    logoutUri: `${publicUrl}${upstreamLogoutPath}`,
    afterLogoutUri: `${publicUrl}/sign-in`,
    findings,
  }
}

/** Asks it first, outside of any transaction. @throws Fault identity.invalid_issuer */
export async function requireUsable(issuer: string, scopes: string, login: boolean): Promise<void> {
  const { metadata, findings } = await discover(issuer, { scopes, login })
  if (metadata !== undefined) return
  const wrong = findings.filter(({ level }) => level === 'bad')
  throw identityFaults.invalidIssuer(wrong.map(({ text }) => text).join(' '), {
    hint: wrong.find(({ hint }) => hint !== undefined)?.hint ?? 'Ask the people who run the institute.',
  })
}

export async function addIssuer(
  room: Room,
  trx: IdentityTransaction,
  input: NewIssuer,
  origin: Origin,
): Promise<string> {
  const nowMs = room.clock.nowMs()
  const id = uuid7(nowMs)
  requireSome(input.clientId, input.trust)
  const added = await trx
    .insertInto('identity_issuer')
    .values({
      id,
      issuer: input.issuer,
      label: input.label,
      vouches: input.vouches,
      client_id: input.clientId,
      sealed_secret: input.clientSecret === undefined ? null : room.seal.close(input.clientSecret, `issuer.${id}`),
      scopes: input.scopes,
      groups_claim: input.groupsClaim,
      recheck_minutes: input.recheckMinutes,
      trust: input.trust === null ? null : JSON.stringify(input.trust),
      state: 'enabled',
      keys: null,
      keys_at_ms: null,
      problem: null,
      created_at_ms: nowMs,
      created_by: origin.actor.id,
    })
    .onConflict((conflict) => conflict.column('issuer').doNothing())
    .returning('id')
    .executeTakeFirst()
  if (added === undefined) throw identityFaults.nameTaken(`${input.issuer} is there already.`)
  const { clientSecret: _secret, ...detail } = input
  await room.audit(trx, origin, { action: 'issuer-added', target: id, detail })
  await room.changed(trx, id, 'issuer-added')
  return id
}

export async function changeIssuer(
  room: Room,
  trx: IdentityTransaction,
  id: string,
  change: IssuerChange,
  origin: Origin,
): Promise<void> {
  const row = await requireIssuer(trx, id)
  const { clientSecret, trust, ...plain } = change
  const clientId = change.clientId === undefined ? row.client_id : change.clientId
  const nextTrust = trust === undefined ? row.trust : trust === null ? null : JSON.stringify(trust)
  requireSome(clientId, nextTrust)
  await trx
    .updateTable('identity_issuer')
    .set({
      label: change.label ?? row.label,
      vouches: change.vouches ?? row.vouches,
      client_id: clientId,
      scopes: change.scopes ?? row.scopes,
      groups_claim: change.groupsClaim ?? row.groups_claim,
      recheck_minutes: change.recheckMinutes ?? row.recheck_minutes,
      trust: nextTrust,
      ...(clientSecret !== undefined && {
        sealed_secret: clientSecret === null ? null : room.seal.close(clientSecret, `issuer.${id}`),
      }),
    })
    .where('id', '=', id)
    .execute()
  const detail = { ...plain, ...(trust !== undefined && { trust }), secretChanged: clientSecret !== undefined }
  await room.audit(trx, origin, { action: 'issuer-changed', target: id, detail })
  await room.changed(trx, id, 'issuer-changed')
}

/**
 * Disabled is disabled everywhere: nobody signs in or links by it, its sessions here end, what its groups gave ends, its
 * tokens are refused. Enabled again, what it said last counts again, if that is not too old.
 */
export async function setIssuerState(
  room: Room,
  trx: IdentityTransaction,
  id: string,
  state: 'enabled' | 'disabled',
  origin: Origin,
): Promise<void> {
  const row = await requireIssuer(trx, id)
  if (row.state === state) return
  await trx.updateTable('identity_issuer').set({ state }).where('id', '=', id).execute()
  const action = state === 'enabled' ? 'issuer-enabled' : 'issuer-disabled'
  await room.audit(trx, origin, { action, target: id, detail: { issuer: row.issuer, label: row.label } })
  if (state === 'disabled') {
    await trx.deleteFrom('identity_login_attempt').where('issuer_id', '=', id).execute()
    const identities = trx.selectFrom('identity_identity').select('id').where('issuer', '=', row.issuer)
    const ended = await trx
      .deleteFrom('identity_browser_session')
      .where('identity_id', 'in', identities)
      .returning('person_id')
      .execute()
    for (const personId of new Set(ended.map((session) => session.person_id)))
      await bumpEpoch(room, trx, personId, 'issuer-disabled')
  }
  for (const personId of await peopleOf(trx, row.issuer)) await applyRules(room, trx, personId, origin)
  await room.changed(trx, id, action)
}

export async function listIssuers(kysely: Reading): Promise<Issuer[]> {
  const rows = await kysely.selectFrom('identity_issuer').selectAll().orderBy('label').orderBy('id').execute()
  return await Promise.all(rows.map((row) => showIssuer(kysely, row)))
}

export async function showIssuer(kysely: Reading, row: IssuerRow): Promise<Issuer> {
  const count = async (table: 'identity_import_rule' | 'identity_upstream_grant') =>
    Number(
      (
        await kysely
          .selectFrom(table)
          .select((query) => query.fn.countAll().as('count'))
          .where('issuer_id', '=', row.id)
          .executeTakeFirstOrThrow()
      ).count,
    )
  const { identities } = await kysely
    .selectFrom('identity_identity')
    .select((query) => query.fn.countAll().as('identities'))
    .where('issuer', '=', row.issuer)
    .executeTakeFirstOrThrow()
  const { oldest, newest } = await kysely
    .selectFrom('identity_upstream_grant')
    .select((query) => [query.fn.min('checked_at_ms').as('oldest'), query.fn.max('checked_at_ms').as('newest')])
    .where('issuer_id', '=', row.id)
    .where('sealed_refresh', 'is not', null)
    .executeTakeFirstOrThrow()
  return {
    id: row.id,
    issuer: row.issuer,
    label: row.label,
    vouches: row.vouches,
    clientId: row.client_id,
    hasSecret: row.sealed_secret !== null,
    scopes: row.scopes,
    groupsClaim: row.groups_claim,
    recheckMinutes: row.recheck_minutes,
    trust: row.trust === null ? null : trustSchema.parse(JSON.parse(row.trust)),
    state: row.state,
    createdAtMs: row.created_at_ms,
    identities: Number(identities),
    rules: await count('identity_import_rule'),
    oldestCheckAtMs: oldest === null ? null : Number(oldest),
    lastCheckAtMs: newest === null ? null : Number(newest),
    problem: row.problem,
    keysAtMs: row.keys_at_ms,
  }
}

/** Written where the site admin looks; null: reached again. */
export async function noteProblem(kysely: Reading, row: IssuerRow, problem: string | null): Promise<void> {
  if (row.problem === problem) return
  await kysely
    .updateTable('identity_issuer')
    .set({ problem: problem?.slice(0, 300) ?? null })
    .where('id', '=', row.id)
    .execute()
}

function requireSome(clientId: string | null, trust: unknown): void {
  if (clientId !== null || trust !== null) return
  throw identityFaults.invalidIssuer('An identity provider is for signing in, for access tokens, or for both.', {
    hint: 'Give the client id that it gave to this platform, or say which of its access tokens are trusted.',
  })
}
