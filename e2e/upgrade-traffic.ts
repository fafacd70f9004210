/**
 * Requests without end, each on a connection of its own: whatever is not answered, or answered with an error, is
 * remembered with the moment it happened. Only a connection that was reset before one byte came back is counted by
 * itself and opened again, as browsers and S3 clients do: a listener that closes resets what the kernel was about to
 * hand to it.
 */
import { createHash, createHmac, randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Scenario } from './scenario.ts'

export interface Traffic {
  failures: string[]
  /** Connections reset before they carried anything back. */
  resets: number
  /** Answered well, by kind of request. */
  answered: Record<string, number>
  /** Longest time without a good answer, by kind of request. */
  longestGapMs: Record<string, number>
  /** Forgets the gaps so far: from now on is measured. */
  measure(): void
  /** SHA-256 of each object whose PUT was acknowledged. */
  objects: Map<string, string>
  /** Labels of keys whose creation was acknowledged. */
  labels: string[]
  stop(): Promise<void>
}

export interface Answer {
  status: number
  body: Buffer
}

export function startTraffic(scenario: Scenario, prefix: string): Traffic {
  const { platform, key, token } = scenario
  const bucket = 'demo-work'
  const lastGood: Record<string, number> = {}
  let going = true
  let count = 0
  const traffic: Traffic = {
    failures: [],
    resets: 0,
    answered: {},
    longestGapMs: {},
    objects: new Map(),
    labels: [],
    measure() {
      for (const kind of Object.keys(traffic.longestGapMs)) traffic.longestGapMs[kind] = 0
    },
    async stop() {
      going = false
      await Promise.all(loops)
    },
  }

  async function loop(kind: string, pauseMs: number, once: () => Promise<Answer>, good: (answer: Answer) => boolean) {
    lastGood[kind] = performance.now()
    traffic.longestGapMs[kind] = 0
    traffic.answered[kind] = 0
    while (going) {
      try {
        const answer = await once().catch((error: unknown) => {
          if (!(error instanceof Reset)) throw error
          traffic.resets++
          return once()
        })
        if (!good(answer)) throw new Error(`${answer.status} ${answer.body.toString().slice(0, 200)}`)
        traffic.answered[kind]! += 1
        const now = performance.now()
        traffic.longestGapMs[kind] = Math.max(traffic.longestGapMs[kind]!, now - lastGood[kind]!)
        lastGood[kind] = now
      } catch (error) {
        traffic.failures.push(`${new Date().toISOString()} ${kind}: ${(error as Error).message}`)
      }
      await sleep(pauseMs)
    }
  }

  const authorization = `Bearer ${token}`
  const api = (method: string, path: string, body?: object) =>
    send(new URL(path, platform.platformUrl), method, {
      headers: { authorization, 'content-type': 'application/json' },
      ...(body && { body: Buffer.from(JSON.stringify(body)) }),
    })
  const s3 = (method: string, name: string, body?: Buffer) =>
    s3Request(platform.s3Url, key, method, `/${bucket}/${name}`, body)
  const is200 = ({ status }: Answer) => status === 200
  const loops = [
    loop('health', 50, () => api('GET', '/api/health'), is200),
    loop('page', 100, () => api('GET', '/'), is200),
    loop('read', 100, () => api('GET', '/api/experiments/demo/buckets'), is200),
    loop(
      'change',
      250,
      async () => {
        const label = `${prefix}-${count++}`
        const answer = await api('POST', '/api/identity/access-keys', { label })
        if (is200(answer)) traffic.labels.push(label)
        return answer
      },
      is200,
    ),
    loop(
      's3 put',
      120,
      async () => {
        const name = `upgrade/${prefix}-${count++}`
        const body = randomBytes(100_000)
        const answer = await s3('PUT', name, body)
        if (is200(answer)) traffic.objects.set(name, sha256(body))
        return answer
      },
      is200,
    ),
    loop(
      's3 get',
      120,
      async () => {
        const [name] = [...traffic.objects.keys()].slice(-1)
        return name === undefined ? { status: 200, body: Buffer.alloc(0) } : await s3('GET', name)
      },
      is200,
    ),
  ]
  return traffic
}

/** A PUT that takes `seconds`: its body arrives piece by piece. */
export async function slowPut(scenario: Scenario, name: string, sizeBytes: number, seconds: number) {
  const body = randomBytes(sizeBytes)
  const answer = await s3Request(scenario.platform.s3Url, scenario.key, 'PUT', `/demo-work/${name}`, body, seconds)
  return { answer, sha256: sha256(body) }
}

export async function getObject(scenario: Scenario, name: string): Promise<Answer> {
  return await s3Request(scenario.platform.s3Url, scenario.key, 'GET', `/demo-work/${name}`)
}

export const sha256 = (bytes: Buffer | string) => createHash('sha256').update(bytes).digest('hex')
const hmac = (key: Buffer | string, text: string) => createHmac('sha256', key).update(text).digest()

async function s3Request(
  s3Url: string,
  { accessKeyId, secretAccessKey }: Scenario['key'],
  method: string,
  path: string,
  body?: Buffer,
  seconds?: number,
): Promise<Answer> {
  const stamp = new Date().toISOString().replace(/[-:]|\.\d+/g, '')
  const day = stamp.slice(0, 8)
  const url = new URL(path, s3Url)
  const payload = sha256(body ?? '')
  const names = 'host;x-amz-content-sha256;x-amz-date'
  const signed = `host:${url.host}\nx-amz-content-sha256:${payload}\nx-amz-date:${stamp}\n`
  const canonical = [method, url.pathname, '', signed, names, payload].join('\n')
  const scope = `${day}/cygnet/s3/aws4_request`
  const dated = hmac(hmac(`AWS4${secretAccessKey}`, day), 'cygnet')
  const secret = hmac(hmac(dated, 's3'), 'aws4_request')
  const signature = hmac(secret, `AWS4-HMAC-SHA256\n${stamp}\n${scope}\n${sha256(canonical)}`).toString('hex')
  const headers = {
    'x-amz-content-sha256': payload,
    'x-amz-date': stamp,
    authorization: `AWS4-HMAC-SHA256 Credential=${accessKeyId}/${scope}, SignedHeaders=${names}, Signature=${signature}`,
  }
  return await send(url, method, { headers, ...(body && { body }), ...(seconds !== undefined && { seconds }) })
}

interface Sending {
  headers: Record<string, string>
  body?: Buffer
  /** Spread over so long. */
  seconds?: number
}

class Reset extends Error {}

/** A connection of its own, no second try. */
function send(url: URL, method: string, { headers, body, seconds = 0 }: Sending): Promise<Answer> {
  return new Promise((done, failed) => {
    const length = body ? { 'content-length': String(body.length) } : {}
    const request = httpRequest(url, { method, headers: { ...headers, ...length }, agent: false, timeout: 60_000 })
    request.on('timeout', () => request.destroy(new Error('no answer for a minute')))
    request.on('error', (error: NodeJS.ErrnoException) => {
      const isReset = error.code === 'ECONNRESET' || error.code === 'EPIPE'
      failed(isReset && request.socket?.bytesRead === 0 ? new Reset(error.message) : error)
    })
    request.on('response', (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => done({ status: response.statusCode!, body: Buffer.concat(chunks) }))
      response.on('error', failed)
    })
    if (!body || seconds === 0) return void request.end(body)
    void trickle(request, body, seconds)
  })
}

async function trickle(request: NodeJS.WritableStream, body: Buffer, seconds: number): Promise<void> {
  const pieces = seconds * 10
  const step = Math.ceil(body.length / pieces)
  for (let at = 0; at < body.length; at += step) {
    request.write(body.subarray(at, at + step))
    await sleep(100)
  }
  request.end()
}
