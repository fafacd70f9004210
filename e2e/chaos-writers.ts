/** People who write objects while everything dies, and remember exactly what was acknowledged. */
import { createHash } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { generator } from './chaos-plan.ts'
import { isTemporary, type World } from './chaos-world.ts'

export const workBucket = 'demo-work'
const absent = 'absent'

/** What a key may hold: the last acknowledged version, or one of those sent later of which nobody heard the end. */
interface KeyState {
  acknowledged: string
  doubtful: Set<string>
}

export interface Writers {
  acknowledged(): number
  /** A single-part or a multipart upload now, for failpoints; its own writer. */
  write(kind: 'put' | 'multipart'): Promise<void>
  ended: Promise<void>
  /** Reads everything back: `lost` names keys whose bytes are none of those they may have. */
  check(): Promise<{ keys: number; lost: string[] }>
}

const sha256 = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
const partBytes = 5 * 1024 * 1024

export function startWriters(world: World, writers: number): Writers {
  const { s3 } = world
  const keys = new Map<string, KeyState>()
  let acknowledged = 0
  let version = 0

  async function attempt(key: string, content: string, send: () => Promise<number>): Promise<void> {
    const state = keys.get(key) ?? { acknowledged: absent, doubtful: new Set() }
    keys.set(key, state)
    state.doubtful.add(content)
    const status = await send().catch((error: unknown) => {
      world.record('unacknowledged', { key, content, error: error instanceof Error ? error.message : String(error) })
      return 0
    })
    if (status >= 200 && status < 300) {
      acknowledged++
      // One writer per key, one request at a time: what was under way before has died with its gateway.
      Object.assign(state, { acknowledged: content, doubtful: new Set() })
      world.record('acknowledged', { key, content })
    } else if (status !== 0 && !isTemporary(status)) world.violation(`a writer of ${key} was refused with ${status}`)
  }

  const bodyOf = (key: string, sizeBytes: number) => Buffer.alloc(sizeBytes, `${key}#${(version += 1)}|`)
  const put = async (key: string, sizeBytes: number) => {
    const body = bodyOf(key, sizeBytes)
    await attempt(key, sha256(body), async () => (await s3.send('PUT', `/${workBucket}/${key}`, { body })).status)
  }
  const remove = (key: string) =>
    attempt(key, absent, async () => (await s3.send('DELETE', `/${workBucket}/${key}`)).status)
  const multipart = async (key: string, tailBytes: number) => {
    const body = bodyOf(key, partBytes + tailBytes)
    await attempt(key, sha256(body), async () => {
      const path = `/${workBucket}/${key}`
      const created = await s3.send('POST', path, { query: { uploads: '' } })
      if (created.status !== 200) return created.status
      const uploadId = /<UploadId>([^<]+)</.exec(created.body.toString())![1]!
      let parts = ''
      for (const [index, part] of [body.subarray(0, partBytes), body.subarray(partBytes)].entries()) {
        const query = { partNumber: String(index + 1), uploadId }
        const answer = await s3.send('PUT', path, { query, body: part })
        if (answer.status !== 200) return answer.status
        parts += `<Part><PartNumber>${index + 1}</PartNumber><ETag>${answer.headers.get('etag')}</ETag></Part>`
      }
      const whole = Buffer.from(`<CompleteMultipartUpload>${parts}</CompleteMultipartUpload>`)
      const answer = await s3.send('POST', path, { query: { uploadId }, body: whole })
      // A completion may answer 200 and then say in the body that it failed.
      return answer.body.includes('<Error>') ? 500 : answer.status
    })
  }

  async function run(name: string, random: () => number): Promise<void> {
    while (!world.isOver) {
      await sleep(100 + random() * 300)
      const dice = random()
      const number = Math.floor(random() * 300)
      if (dice < 0.06) await multipart(`${name}/large/${number % 12}`, 1 + Math.floor(random() * 200_000))
      else if (dice < 0.25) await remove(`${name}/${number}`)
      else await put(`${name}/${number}`, Math.floor(random() * random() * 300_000))
      if (random() < 0.2) await readBack([...keys.keys()].filter((key) => key.startsWith(`${name}/`)).at(-1)!)
    }
  }

  /** A read in the middle of things: no answer is nothing, a wrong answer is a broken promise. */
  async function readBack(key: string): Promise<void> {
    const answer = await s3.send('GET', `/${workBucket}/${key}`).catch(() => undefined)
    if (answer === undefined || answer.status >= 500) return
    const wrong = wrongContent(keys.get(key)!, answer)
    if (wrong !== undefined) world.violation(`${key} read in between: ${wrong}`)
  }

  function wrongContent(state: KeyState, answer: { status: number; body: Buffer }): string | undefined {
    const found =
      answer.status === 404 ? absent : answer.status === 200 ? sha256(answer.body) : `status ${answer.status}`
    if (found === state.acknowledged || state.doubtful.has(found)) return undefined
    return `is ${found}, acknowledged was ${state.acknowledged}, sent since: ${[...state.doubtful].join(', ') || 'nothing'}`
  }

  const loops = Array.from({ length: writers }, (_, index) => run(`writer-${index}`, generator(world.seed + index)))
  let extra = 0
  return {
    acknowledged: () => acknowledged,
    async write(kind) {
      const key = `extra/${kind}/${(extra += 1) % 20}-${extra}`
      await (kind === 'put' ? put(key, 20_000) : multipart(key, 1_000))
      if (extra % 2 === 0 && kind === 'multipart') await remove(key)
    },
    ended: Promise.all(loops).then(() => undefined),
    async check() {
      const lost: string[] = []
      const listed = new Set(await listKeys(world))
      const names = [...keys.keys()]
      for (let index = 0; index < names.length; index += 4)
        await Promise.all(
          names.slice(index, index + 4).map(async (key) => {
            const answer = await s3.send('GET', `/${workBucket}/${key}`)
            const wrong = wrongContent(keys.get(key)!, answer)
            if (wrong !== undefined) lost.push(`${key} ${wrong}`)
            if ((answer.status === 200) !== listed.has(key)) lost.push(`${key}: the listing and the object disagree`)
          }),
        )
      for (const key of listed)
        if (/^(writer-|extra\/)/.test(key) && !keys.has(key)) lost.push(`${key} is there, and nobody wrote it`)
      return { keys: names.length, lost }
    },
  }
}

async function listKeys({ s3 }: World): Promise<string[]> {
  const keys: string[] = []
  let token: string | undefined
  do {
    const query = { 'list-type': '2', ...(token !== undefined && { 'continuation-token': token }) }
    const text = (await s3.send('GET', `/${workBucket}`, { query })).body.toString()
    keys.push(...[...text.matchAll(/<Key>([^<]*)<\/Key>/g)].map(([, key]) => key!))
    token = /<NextContinuationToken>([^<]+)</.exec(text)?.[1]
  } while (token !== undefined)
  return keys
}
