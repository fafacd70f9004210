/**
 * Issuers whose access tokens are accepted here (mode C): what gateways get of them, with their public keys. Control
 * fetches the keys every six hours; two days after the last success they are no longer published (WLCG profile 4.3.1).
 */
import type { JWK } from 'jose'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTransaction } from '../tables.ts'
import { trustSchema, type TrustedIssuer } from './contract.ts'
import { isSigningKey } from './discovery.ts'
import { noteProblem } from './issuers.ts'
import { fetchDocument } from './upstream-fetch.ts'
import type { Upstream } from './upstream.ts'

const refreshMs = 6 * 3_600_000
const retryMs = 5 * 60_000
const longestMs = 48 * 3_600_000

export async function readTrustedIssuers(
  kysely: IdentityKysely | IdentityTransaction,
  nowMs: number,
): Promise<TrustedIssuer[]> {
  const rows = await kysely
    .selectFrom('identity_issuer')
    .select(['issuer', 'trust', 'keys'])
    .where('state', '=', 'enabled')
    .where('trust', 'is not', null)
    .where('keys_at_ms', '>', nowMs - longestMs)
    .orderBy('issuer')
    .execute()
  return rows.map(({ issuer, trust, keys }) => ({
    ...trustSchema.parse(JSON.parse(trust!)),
    issuer,
    keys: JSON.parse(keys!) as TrustedIssuer['keys'],
  }))
}

/** Fetches keys that are due. Published when it resolves. `tries`: when each issuer was asked last, by id. */
export async function refreshTrust(
  room: Room,
  upstream: Upstream,
  { tries, signal, force = false }: { tries: Map<string, number>; signal: AbortSignal; force?: boolean },
): Promise<void> {
  const nowMs = room.clock.nowMs()
  const rows = await room.kysely
    .selectFrom('identity_issuer')
    .selectAll()
    .where('state', '=', 'enabled')
    .where('trust', 'is not', null)
    .execute()
  for (const row of rows) {
    if (signal.aborted) return
    const ageMs = nowMs - (row.keys_at_ms ?? 0)
    if (!force && (ageMs < refreshMs || nowMs - (tries.get(row.id) ?? -Infinity) < retryMs)) continue
    tries.set(row.id, nowMs)
    try {
      upstream.forget(row.issuer)
      const { jwks_uri: address } = await upstream.metadataOf(row)
      const { keys } = await fetchDocument(address, signal)
      const usable = (Array.isArray(keys) ? keys : [])
        .filter(isSigningKey)
        .filter((key) => typeof key['kid'] === 'string')
      await room.change(async (trx) => {
        const kept = JSON.stringify(usable.map(publicPart))
        await trx
          .updateTable('identity_issuer')
          .set({ keys: kept, keys_at_ms: nowMs, problem: null })
          .where('id', '=', row.id)
          .execute()
        if (kept !== row.keys) await room.changed(trx, row.id, 'issuer-keys')
      })
    } catch (error) {
      if (signal.aborted) return
      room.log.warn({ issuer: row.issuer, error }, 'the keys of a trusted issuer could not be fetched')
      await noteProblem(room.kysely, row, error instanceof Error ? error.message : 'not reachable')
    }
  }
}

function publicPart(key: JWK): JWK {
  const { kty, kid, alg, crv, x, y, n, e } = key
  const part = { kty, kid, alg, crv, x, y, n, e }
  return Object.fromEntries(Object.entries(part).filter(([, value]) => typeof value === 'string')) as JWK
}
