/** Signed requests to a gateway of its own process, and that process. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { canonicalRequest, requestSignature, scopeText, signingKey } from '../s3/signature.ts'

export const gatewayKey = { id: 'CYGOWNER0000000000AA', secret: 'ownerownerownerownerownerownerownerowner' }

export interface Answer {
  status: number
  etag: string | undefined
  body: Buffer
}

export interface Gateway {
  /** Rejects when there was no whole answer: nobody knows what has happened then. */
  ask(
    method: string,
    path: string,
    options?: { headers?: Record<string, string>; body?: string | Buffer },
  ): Promise<Answer>
  kill(): Promise<void>
  isAlive(): boolean
}

/** Started on a data root; resolves when it answers. */
export async function startGateway(root: string): Promise<Gateway> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'gateway.ts'), root], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  if (value === undefined) throw new Error(`The gateway ended: ${complaint}`)
  const port = Number(value)
  const agent = new Agent({ keepAlive: true })
  return {
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async kill() {
      child.kill('SIGKILL')
      await ended
      agent.destroy()
    },
    ask: async (method, path, { headers = {}, body = '' } = {}) =>
      await new Promise((resolve, reject) => {
        const signed = signedHeaders(method, `http://127.0.0.1:${port}${path}`, headers, body)
        const outgoing = request({ host: '127.0.0.1', port, method, path, headers: signed, agent }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('aborted', () => reject(new Error('The answer was cut off.')))
          response.on('end', () =>
            resolve({
              status: response.statusCode!,
              etag: response.headers.etag?.replaceAll('"', ''),
              body: Buffer.concat(chunks),
            }),
          )
        })
        outgoing.on('error', reject)
        outgoing.end(body)
      }),
  }
}

function signedHeaders(
  method: string,
  url: string,
  headers: Record<string, string>,
  body: string | Buffer,
): Record<string, string> {
  const { host, pathname, searchParams } = new URL(url)
  const timestamp = new Date().toISOString().replace(/[-:]|\.\d{3}/g, '')
  const payloadHash = createHash('sha256').update(body).digest('hex')
  const all: Record<string, string> = {
    ...headers,
    host,
    'x-amz-date': timestamp,
    'x-amz-content-sha256': payloadHash,
    'content-length': `${Buffer.byteLength(body)}`,
  }
  const names = Object.keys(all)
    .filter((name) => name !== 'content-length')
    .toSorted()
  const scope = { date: timestamp.slice(0, 8), region: 'us-east-1' }
  const canonical = canonicalRequest({
    method,
    path: decodeURIComponent(pathname),
    query: [...searchParams],
    headers: names.map((name) => [name, all[name]!] as const),
    payloadHash,
  })
  const signature = requestSignature(signingKey(gatewayKey.secret, scope), timestamp, scope, canonical)
  return {
    ...all,
    authorization: `AWS4-HMAC-SHA256 Credential=${gatewayKey.id}/${scopeText(scope)}, SignedHeaders=${names.join(';')}, Signature=${signature}`,
  }
}
