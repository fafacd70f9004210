/** Two gateways, several clients, kill -9 in between: each key behaves as if there were one copy and one clock. */
import { createHash } from 'node:crypto'
import { existsSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { isLinearizable, type Call, type Request, type Response } from './linearizability.ts'
import { campaignSeed, isLong, randomOf, type Random } from './random.ts'
import { startGateway, type Answer, type Gateway } from './s3-requests.ts'

const seed = campaignSeed()
const histories = isLong ? 10_000 : 50

const md5 = (text: string) => createHash('md5').update(text).digest('hex')
const call = (request: Request, response: Response, calledAt: number, answeredAt: number): Call => ({
  request,
  response,
  calledAt,
  answeredAt,
})
const done: Response = { kind: 'done' }
const read = (etag: string | null): Response => ({ kind: 'read', etag })

test('the checker accepts what is possible and nothing else', () => {
  const put = (etag: string, calledAt: number, answeredAt: number) =>
    call({ kind: 'put', etag }, done, calledAt, answeredAt)
  const get = (etag: string | null, calledAt: number, answeredAt: number) =>
    call({ kind: 'read' }, read(etag), calledAt, answeredAt)
  const lost = call({ kind: 'put', etag: 'b' }, { kind: 'unknown' }, 3, Infinity)
  expect(isLinearizable([put('a', 1, 4), get(null, 2, 3), get('a', 5, 6)])).toBe(true)
  expect(isLinearizable([put('a', 1, 4), get('a', 2, 3), get(null, 5, 6)])).toBe(false)
  expect(isLinearizable([put('a', 1, 2), put('b', 3, 4), get('a', 5, 6)])).toBe(false)
  expect(isLinearizable([put('a', 1, 2), lost, get('a', 4, 5), get('b', 6, 7)])).toBe(true)
  expect(isLinearizable([put('a', 1, 2), lost, get('b', 4, 5), get('a', 6, 7)])).toBe(false)
  const created = (from: number, to: number, response: Response) =>
    call({ kind: 'put if absent', etag: `c${from}` }, response, from, to)
  expect(isLinearizable([created(1, 5, done), created(2, 6, { kind: 'precondition failed' })])).toBe(true)
  expect(isLinearizable([created(1, 5, done), created(2, 6, done)])).toBe(false)
})

interface Place {
  root: string
  gateways: Gateway[]
}

/** Up to five clients with up to forty operations on up to twelve keys of their own folder. */
async function history(place: Place, number: number, random: Random): Promise<Map<string, Call[]>> {
  const keys = Array.from({ length: 1 + random.below(random.oneIn(3) ? 12 : 3) }, (_, index) => `h${number}/k${index}`)
  const calls = new Map<string, Call[]>(keys.map((key) => [key, []]))
  const clients = 2 + random.below(4)
  const each = 2 + random.below(Math.floor(40 / clients) - 1)
  const killAt = random.oneIn(8) ? random.below(clients * each) : -1
  let clock = 0
  let counter = 0
  let killing: Promise<void> | undefined
  const known: string[] = []

  async function one(client: number): Promise<void> {
    const gateway = place.gateways[random.oneIn(4) ? random.below(2) : client % 2]!
    const key = random.pick(keys)
    const body = `${number}.${(counter += 1)}`
    const etag = md5(body)
    if (counter - 1 === killAt) killing = replace(place, random.below(2))
    const kind = random.below(11)
    const calledAt = (clock += 1)
    if (kind === 10) return await list(gateway, calledAt)
    const wanted =
      known.length > 0 && !random.oneIn(4) ? known.at(-1 - random.below(Math.min(3, known.length)))! : md5('?')
    const request: Request =
      kind < 3
        ? { kind: 'put', etag }
        : kind === 3
          ? { kind: 'put if absent', etag }
          : kind === 4
            ? { kind: 'put if match', etag, wanted }
            : kind === 5
              ? { kind: 'delete' }
              : { kind: 'read' }
    const response = await answerOf(gateway, key, request, body)
    if (request.kind !== 'read' && request.kind !== 'delete' && response.kind === 'done') known.push(etag)
    calls.get(key)!.push(call(request, response, calledAt, response.kind === 'unknown' ? Infinity : (clock += 1)))
  }

  async function list(gateway: Gateway, calledAt: number): Promise<void> {
    const answer = await gateway.ask('GET', `/demo-work?list-type=2&prefix=h${number}/`).catch(() => undefined)
    if (answer?.status !== 200) return
    const found = new Map(
      [...answer.body.toString().matchAll(/<Key>([^<]+)<\/Key>.*?<ETag>(?:&quot;|")?([0-9a-f]+)/gs)].map((match) => [
        match[1]!,
        match[2]!,
      ]),
    )
    const answeredAt = (clock += 1)
    for (const key of keys)
      calls.get(key)!.push(call({ kind: 'read' }, read(found.get(key) ?? null), calledAt, answeredAt))
  }

  await Promise.all(
    Array.from({ length: clients }, async (_, client) => {
      for (let step = 0; step < each; step += 1) await one(client)
    }),
  )
  await killing
  return calls
}

async function answerOf(gateway: Gateway, key: string, request: Request, body: string): Promise<Response> {
  const path = `/demo-work/${key}`
  const ask = async (): Promise<Answer> => {
    if (request.kind === 'read') return await gateway.ask('GET', path)
    if (request.kind === 'delete') return await gateway.ask('DELETE', path)
    const headers: Record<string, string> =
      request.kind === 'put if absent'
        ? { 'if-none-match': '*' }
        : request.kind === 'put if match'
          ? { 'if-match': `"${request.wanted}"` }
          : {}
    return await gateway.ask('PUT', path, { headers, body })
  }
  const answer = await ask().catch(() => undefined)
  if (answer === undefined || answer.status >= 500 || answer.status === 409) return { kind: 'unknown' }
  if (request.kind === 'read') {
    if (answer.status === 404) return read(null)
    expect(answer.etag).toBe(md5(answer.body.toString()))
    return read(answer.etag!)
  }
  if (answer.status === 412) return { kind: 'precondition failed' }
  if (answer.status === 404) return { kind: 'not found' }
  expect([200, 204]).toContain(answer.status)
  return done
}

async function replace(place: Place, index: number): Promise<void> {
  await place.gateways[index]!.kill()
  place.gateways[index] = await startGateway(place.root)
}

test('short histories of two gateways are linearizable', { timeout: 75 * 60_000 }, async () => {
  // A kill -9 leaves the file system alone: memory serves as well, and faster.
  const folder = mkdtempSync(join(existsSync('/dev/shm') ? '/dev/shm' : tmpdir(), 'cygnet-consistency-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const root = join(folder, 'data')
  const place: Place = { root, gateways: [await startGateway(root), await startGateway(root)] }
  onTestFinished(async () => {
    for (const gateway of place.gateways) await gateway.kill()
  })
  let operations = 0
  let unknown = 0
  const broken: string[] = []
  for (let number = 0; number < histories; number += 1) {
    const calls = await history(place, number, randomOf(seed + number))
    for (const [key, ofKey] of calls) {
      operations += ofKey.length
      unknown += ofKey.filter(({ response }) => response.kind === 'unknown').length
      if (!isLinearizable(ofKey)) broken.push(`seed ${seed + number}, ${key}: ${JSON.stringify(ofKey)}`)
    }
  }
  console.log(
    `campaign consistency seed=${seed} histories=${histories} operations=${operations} faults=${unknown} lost=${broken.length}`,
  )
  expect(broken).toEqual([])
  expect(unknown).toBeGreaterThan(0)
})
