/**
 * A small S3 client for uploads and checks: header signature version 4 (AWS, "Signature Calculations for the
 * Authorization Header"), the payload's SHA-256 always signed, so that the store refuses bytes that changed on the way.
 * Path-style addresses. Bodies are parts of bounded size. Errors are Faults of `errors.ts` with the store's words.
 */
import { createHash, createHmac } from 'node:crypto'
import { Agent as HttpAgent, request as httpRequest, type IncomingMessage } from 'node:http'
import { Agent as HttpsAgent, request as httpsRequest } from 'node:https'
import { ingestFaults } from '../errors.ts'

export interface S3ClientOptions {
  /** 'http://127.0.0.1:8411' */
  url: string
  region: string
  accessKeyId: string
  secretAccessKey: string
  /** The time requests are signed with, UTC; default: of this machine. A store refuses what is a quarter of an hour off. */
  nowMs?: () => number
  /** A request without any progress for so long has failed; default 60 s. */
  timeoutMs?: number
}

export interface StoredObject {
  sizeBytes: number
  etag: string
  /** The full-object SHA-256 in lower-case hex, when the store knows it. */
  sha256: string | undefined
}

export interface UploadedPart {
  number: number
  etag: string
}

export type S3Client = ReturnType<typeof createS3Client>

interface S3Request {
  method: 'GET' | 'PUT' | 'POST' | 'HEAD' | 'DELETE'
  bucket: string
  key: string
  query?: Record<string, string>
  headers?: Record<string, string>
  body?: Uint8Array
  /** Lower-case hex, when the caller has it already. */
  bodySha256?: string | undefined
  signal?: AbortSignal | undefined
}

export function createS3Client(options: S3ClientOptions) {
  const base = new URL(options.url)
  const secure = base.protocol === 'https:'
  // An agent of one's own asks a proxy only when it is told, unlike the global one (packaging/environment.sh).
  const proxy = process.env.NODE_USE_ENV_PROXY === '1' ? { proxyEnv: process.env } : {}
  const connections = { keepAlive: true, maxSockets: 8, ...proxy }
  const agent = secure ? new HttpsAgent(connections) : new HttpAgent(connections)

  async function send(given: S3Request): Promise<IncomingMessage> {
    const { method, bucket, key, query = {}, body = new Uint8Array(0), signal } = given
    const path = key === '' ? `/${encodePath(bucket)}` : `/${encodePath(bucket)}/${encodePath(key)}`
    const search = Object.keys(query)
      .toSorted()
      .map((name) => `${encodePart(name)}=${encodePart(query[name]!)}`)
      .join('&')
    const headers = signed({ ...given, path, search, body })
    return await new Promise<IncomingMessage>((resolve, reject) => {
      const request = (secure ? httpsRequest : httpRequest)(
        {
          method,
          agent,
          hostname: base.hostname,
          port: base.port,
          path: search === '' ? path : `${path}?${search}`,
          headers: { ...headers, 'content-length': body.length },
          ...(signal === undefined ? {} : { signal }),
        },
        resolve,
      )
      request.setTimeout(options.timeoutMs ?? 60_000, () => request.destroy(new Error('no progress')))
      request.on('error', (cause) => {
        if (signal?.aborted) reject(signal.reason as Error)
        else reject(unreachable(cause))
      })
      request.end(body)
    })
  }

  function unreachable(cause: Error) {
    return ingestFaults.storeUnreachable(`The store at ${options.url} cannot be reached (${cause.message}).`, {
      cause,
      hint: 'Check the network and that the platform is running. Nothing is lost: the file stays on disk and is sent again.',
    })
  }

  function signed(given: S3Request & { path: string; search: string; body: Uint8Array }): Record<string, string> {
    const now = new Date(options.nowMs?.() ?? Date.now()).toISOString().replace(/[-:]|\.\d{3}/g, '')
    const day = now.slice(0, 8)
    const bodyHash = given.bodySha256 ?? createHash('sha256').update(given.body).digest('hex')
    const headers: Record<string, string> = {
      ...given.headers,
      host: base.host,
      'x-amz-content-sha256': bodyHash,
      'x-amz-date': now,
    }
    const names = Object.keys(headers).toSorted()
    const canonicalHeaders = names.map((name) => `${name}:${headers[name]!.trim()}\n`).join('')
    const signedNames = names.join(';')
    const canonical = [given.method, given.path, given.search, canonicalHeaders, signedNames, bodyHash].join('\n')
    const scope = `${day}/${options.region}/s3/aws4_request`
    const text = ['AWS4-HMAC-SHA256', now, scope, createHash('sha256').update(canonical).digest('hex')].join('\n')
    const hmac = (secret: string | Buffer, value: string) => createHmac('sha256', secret).update(value).digest()
    const signingKey = [day, options.region, 's3', 'aws4_request'].reduce<string | Buffer>(
      (secret, value) => hmac(secret, value),
      `AWS4${options.secretAccessKey}`,
    )
    const signature = createHmac('sha256', signingKey).update(text).digest('hex')
    headers.authorization = `AWS4-HMAC-SHA256 Credential=${options.accessKeyId}/${scope}, SignedHeaders=${signedNames}, Signature=${signature}`
    return headers
  }

  /** Sends and gives the answer with its body, or throws the Fault that says what the store said. */
  async function ask(given: S3Request): Promise<{ headers: IncomingMessage['headers']; text: string }> {
    const answer = await send(given)
    const text = await readText(answer).catch((cause: Error) => {
      given.signal?.throwIfAborted()
      throw unreachable(cause)
    })
    // A multipart upload is completed with 200 even when it fails: then the body is an error document.
    if (answer.statusCode! < 300 && !/<Error[\s>]/.test(text)) return { headers: answer.headers, text }
    throw refusal(given, answer.statusCode!, text)
  }

  return {
    /** Creates a small object; Fault 409 'ingest.already_different' when the key is taken. */
    async putObject(bucket: string, key: string, body: Uint8Array, signal?: AbortSignal): Promise<{ etag: string }> {
      const { headers } = await ask({ method: 'PUT', bucket, key, body, signal, headers: { 'if-none-match': '*' } })
      return { etag: unquoted(headers.etag) }
    },
    async createMultipartUpload(bucket: string, key: string, signal?: AbortSignal): Promise<string> {
      const { text } = await ask({ method: 'POST', bucket, key, query: { uploads: '' }, signal })
      const uploadId = textOf(text, 'UploadId')
      if (uploadId === undefined) throw ingestFaults.storeFailed('The store began an upload without naming it.')
      return uploadId
    },
    /** Uploads of this key (the access key's own, if it may only create) that nobody has ended. */
    async listUploads(bucket: string, key: string, signal?: AbortSignal): Promise<string[]> {
      const { text } = await ask({ method: 'GET', bucket, key: '', query: { uploads: '', prefix: key }, signal })
      const found = [...text.matchAll(/<Upload>.*?<\/Upload>/gs)].map(([upload]) => upload)
      const ids = found.filter((upload) => textOf(upload, 'Key') === key).map((upload) => textOf(upload, 'UploadId'))
      return ids.filter((id) => id !== undefined)
    },
    async uploadPart(
      bucket: string,
      key: string,
      upload: { uploadId: string; number: number },
      body: Uint8Array,
      signal?: AbortSignal,
      bodySha256?: string,
    ): Promise<UploadedPart> {
      const query = { partNumber: String(upload.number), uploadId: upload.uploadId }
      const { headers } = await ask({ method: 'PUT', bucket, key, query, body, bodySha256, signal })
      return { number: upload.number, etag: unquoted(headers.etag) }
    },
    /** Fault 409 when the key is taken, 404 'ingest.upload_gone' when the upload is not known (any more). */
    async completeMultipartUpload(
      bucket: string,
      key: string,
      uploadId: string,
      parts: readonly UploadedPart[],
      signal?: AbortSignal,
    ): Promise<{ etag: string }> {
      const list = parts.map(
        (part) => `<Part><PartNumber>${part.number}</PartNumber><ETag>"${part.etag}"</ETag></Part>`,
      )
      const body = Buffer.from(`<CompleteMultipartUpload>${list.join('')}</CompleteMultipartUpload>`)
      const headers = { 'if-none-match': '*' }
      const { text } = await ask({ method: 'POST', bucket, key, query: { uploadId }, headers, body, signal })
      return { etag: unquoted(textOf(text, 'ETag')?.replaceAll('&quot;', '"').replaceAll('&#34;', '"')) }
    },
    async abortMultipartUpload(bucket: string, key: string, uploadId: string, signal?: AbortSignal): Promise<void> {
      await ask({ method: 'DELETE', bucket, key, query: { uploadId }, signal })
    },
    /** What the store holds; undefined when there is no such object. Fault 403 when this key may not look. */
    async headObject(bucket: string, key: string, signal?: AbortSignal): Promise<StoredObject | undefined> {
      const headers = { 'x-amz-checksum-mode': 'ENABLED' }
      const answer = await send({ method: 'HEAD', bucket, key, headers, signal })
      answer.resume()
      if (answer.statusCode === 404) return undefined
      if (answer.statusCode !== 200) throw refusal({ method: 'HEAD', bucket, key }, answer.statusCode!, '')
      const checksum = answer.headers['x-amz-checksum-sha256']
      const whole = typeof checksum === 'string' && !checksum.includes('-')
      return {
        sizeBytes: Number(answer.headers['content-length']),
        etag: unquoted(answer.headers.etag),
        sha256: whole ? Buffer.from(checksum, 'base64').toString('hex') : undefined,
      }
    },
    /** The bytes of an object as a stream. */
    async getObject(bucket: string, key: string, signal?: AbortSignal): Promise<IncomingMessage> {
      const answer = await send({ method: 'GET', bucket, key, signal })
      if (answer.statusCode === 200) return answer
      throw refusal({ method: 'GET', bucket, key }, answer.statusCode!, await readText(answer).catch(() => ''))
    },
    close(): void {
      agent.destroy()
    },
  }
}

/** The store's refusal in our words; `extra.s3Code` keeps its own. */
function refusal(given: Pick<S3Request, 'method' | 'bucket' | 'key'>, status: number, text: string) {
  const code = textOf(text, 'Code') ?? ''
  const message = textOf(text, 'Message') ?? ''
  const place = `${given.bucket}/${given.key}`
  const said = code === '' ? `status ${status}` : `${code}${message === '' ? '' : `: ${message}`}`
  const extra = { s3Code: code, s3Status: status }
  if (status === 507 || /Insufficient|StorageFull|QuotaExceeded|NoSpace|DiskFull/i.test(code)) {
    return ingestFaults.storeFull(`The store has no room for ${place} (${said}).`, {
      hint: 'Free space on the server or raise the quota. The file stays on the DAQ disk and is sent when there is room.',
      extra,
    })
  }
  if (code === 'NoSuchUpload')
    return ingestFaults.uploadGone(`The upload of ${place} is no longer known to the store.`, { extra })
  if (status === 412 || status === 409) {
    return ingestFaults.alreadyDifferent(`The store already holds an object ${place} (${said}).`, { extra })
  }
  if (status === 401 || status === 403) {
    return ingestFaults.storeRefused(`The store refuses ${given.method} of ${place} (${said}).`, {
      hint: 'Check the key file: right key, not revoked, made for this experiment; and the clock of this machine.',
      extra,
    })
  }
  const retry = status >= 500 || status === 408 || status === 429 || /Digest|Incomplete|Mismatch/.test(code)
  return ingestFaults.storeFailed(`The store answered ${given.method} of ${place} with ${said}.`, {
    hint: 'The file stays on disk and is sent again.',
    retry,
    extra,
  })
}

function textOf(xml: string, name: string): string | undefined {
  return new RegExp(`<${name}>([^<]*)</${name}>`).exec(xml)?.[1]
}

const unquoted = (etag: string | undefined): string => (etag ?? '').replaceAll('"', '')

async function readText(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  for await (const chunk of answer) {
    sizeBytes += (chunk as Buffer).length
    if (sizeBytes > 1 << 20) throw new Error('the answer is too long')
    chunks.push(chunk as Buffer)
  }
  return Buffer.concat(chunks).toString('utf8')
}

/** RFC 3986: everything but unreserved characters is encoded, as the signature wants it. */
function encodePart(text: string): string {
  return encodeURIComponent(text).replace(/[!'()*]/g, (sign) => `%${sign.charCodeAt(0).toString(16).toUpperCase()}`)
}

const encodePath = (text: string): string => text.split('/').map(encodePart).join('/')
