/** A small S3 client with Signature Version 4, for writers that must know exactly what was acknowledged. */
import { createHash, createHmac } from 'node:crypto'

export interface S3Client {
  /** Answers the response with its body read. Throws when there was no whole answer. */
  send(
    method: string,
    path: string,
    options?: { query?: Record<string, string>; body?: Buffer; timeoutMs?: number },
  ): Promise<{ status: number; headers: Headers; body: Buffer }>
}

const region = 'cygnet'
const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
const hmac = (key: Buffer | string, text: string): Buffer => createHmac('sha256', key).update(text).digest()

export function s3Client(
  url: () => string,
  { accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string },
): S3Client {
  return {
    async send(method, path, { query = {}, body, timeoutMs = 60_000 } = {}) {
      const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
      const day = stamp.slice(0, 8)
      const { host } = new URL(url())
      const payload = sha256(body ?? '')
      const encoded = path.split('/').map(encodeURIComponent).join('/')
      const search = Object.keys(query)
        .toSorted()
        .map((name) => `${encodeURIComponent(name)}=${encodeURIComponent(query[name]!)}`)
        .join('&')
      const signed = `host:${host}\nx-amz-content-sha256:${payload}\nx-amz-date:${stamp}\n`
      const names = 'host;x-amz-content-sha256;x-amz-date'
      const canonical = [method, encoded, search, signed, names, payload].join('\n')
      const scope = `${day}/${region}/s3/aws4_request`
      const dated = hmac(hmac(`AWS4${secretAccessKey}`, day), region)
      const key = hmac(hmac(dated, 's3'), 'aws4_request')
      const signature = hmac(key, `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${sha256(canonical)}`).toString('hex')
      const response = await fetch(`${url()}${encoded}${search === '' ? '' : `?${search}`}`, {
        method,
        headers: {
          'x-amz-content-sha256': payload,
          'x-amz-date': stamp,
          authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
        },
        signal: AbortSignal.timeout(timeoutMs),
        ...(body !== undefined && { body: new Uint8Array(body) }),
      })
      return { status: response.status, headers: response.headers, body: Buffer.from(await response.arrayBuffer()) }
    },
  }
}
