/** Keys of tests, and requests signed with them. Knows nothing of the test runner: processes of tests use it too. */
import { createHash } from 'node:crypto'
import { canonicalRequest, requestSignature, scopeText, signingKey } from './s3/signature.ts'

export interface TestKey {
  id: string
  secret: string
}

export const testKeys = {
  owner: { id: 'CYGOWNER0000000000AA', secret: 'ownerownerownerownerownerownerownerowner' },
  daq: { id: 'CYGDAQ000000000000AA', secret: 'daqdaqdaqdaqdaqdaqdaqdaqdaqdaqdaqdaqdaqd' },
  reader: { id: 'CYGREADER000000000AA', secret: 'readerreaderreaderreaderreaderreaderread' },
} satisfies Record<string, TestKey>

export interface SignOptions {
  key?: TestKey
  headers?: Record<string, string>
  body?: string | Uint8Array
  /** Instead of the hash of the body. */
  payloadHash?: string
  atMs?: number
}

/** Headers of a request signed by header, made independently of what the server does to check it (but for the pure canonical form). */
export function signedHeaders(method: string, url: string, options: SignOptions = {}): Record<string, string> {
  const { key = testKeys.owner, headers = {}, body = '', atMs = Date.now() } = options
  const { host, pathname, searchParams } = new URL(url)
  const timestamp = new Date(atMs).toISOString().replace(/[-:]|\.\d{3}/g, '')
  const payloadHash = options.payloadHash ?? createHash('sha256').update(body).digest('hex')
  const all = Object.fromEntries(
    Object.entries({ ...headers, host, 'x-amz-date': timestamp, 'x-amz-content-sha256': payloadHash }).map(
      ([name, value]) => [name.toLowerCase(), value],
    ),
  )
  const names = Object.keys(all).sort()
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1' }
  const canonical = canonicalRequest({
    method,
    path: decodeURIComponent(pathname),
    query: [...searchParams],
    headers: names.map((name) => [name, all[name]!] as const),
    payloadHash,
  })
  const signature = requestSignature(signingKey(key.secret, scope), timestamp, scope, canonical)
  return {
    ...all,
    authorization: `AWS4-HMAC-SHA256 Credential=${key.id}/${scopeText(scope)}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}
