/** Public keys of issuers. An unknown key id makes us ask once, and not again within a minute: nobody drives us. */
import { importJWK, type CryptoKey, type JWK } from 'jose'
import { monotonicMsOf, type Clock } from '../../foundation/time.ts'
import { isSigningKey } from './discovery.ts'
import { fetchDocument } from './upstream-fetch.ts'

const freshMs = 10 * 60_000
const askAgainMs = 60_000

export interface UpstreamKeys {
  /** The key with this id of this issuer; undefined if it has none. @throws Fault identity.institute_unreachable */
  find(
    issuer: string,
    jwksUri: string,
    header: { kid: string | undefined; alg: string },
  ): Promise<CryptoKey | undefined>
  forget(issuer: string): void
}

interface Kept {
  keys: (JWK & { kty: string })[]
  atMs: number
}

export function openUpstreamKeys(clock: Clock, stop: AbortSignal): UpstreamKeys {
  const kept = new Map<string, Kept>()
  const asking = new Map<string, Promise<Kept>>()
  /** When an unknown key id made us ask. */
  const asked = new Map<string, number>()

  /** Many sign-ins at the moment of a rotation are one question. */
  async function ask(issuer: string, jwksUri: string): Promise<Kept> {
    const running = asking.get(issuer)
    if (running !== undefined) return await running
    const question = fetchDocument(jwksUri, stop)
      .then(({ keys }) => {
        const fresh = { keys: (Array.isArray(keys) ? keys : []).filter(isSigningKey), atMs: monotonicMsOf(clock) }
        kept.set(issuer, fresh)
        return fresh
      })
      .finally(() => asking.delete(issuer))
    asking.set(issuer, question)
    return await question
  }

  return {
    async find(issuer, jwksUri, { kid, alg }) {
      const nowMs = monotonicMsOf(clock)
      let set = kept.get(issuer)
      const isStale = set === undefined || nowMs - set.atMs > freshMs
      if (isStale) set = await ask(issuer, jwksUri)
      let key = select(set!, kid, alg)
      if (key === undefined && !isStale && nowMs - (asked.get(issuer) ?? -Infinity) > askAgainMs) {
        asked.set(issuer, nowMs)
        key = select(await ask(issuer, jwksUri), kid, alg)
      }
      return key === undefined ? undefined : ((await importJWK(key, alg)) as CryptoKey)
    },
    forget(issuer) {
      kept.delete(issuer)
      asked.delete(issuer)
    },
  }
}

const kinds: Record<string, string> = { RS: 'RSA', PS: 'RSA', ES: 'EC', Ed: 'OKP' }

/** By id; without an id only if there is one single candidate. */
function select({ keys }: Kept, kid: string | undefined, alg: string): JWK | undefined {
  const fitting = keys.filter(
    (key) => key.kty === kinds[alg.slice(0, 2)] && (key['alg'] === undefined || key['alg'] === alg),
  )
  if (kid !== undefined) {
    const named = fitting.filter((key) => key['kid'] === kid)
    return named.length === 1 ? named[0] : undefined
  }
  return fitting.length === 1 ? fitting[0] : undefined
}
