/** The disk is full at one byte after the other: said as such, nothing lost, and all is well once there is room again. */
import { execFileSync, spawnSync } from 'node:child_process'
import { mkdtempSync, mkdirSync, readdirSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { campaignSeed, isLong, noise, randomOf, sha256 } from './random.ts'
import { startGateway, type Answer, type Gateway } from './s3-requests.ts'

const canMount = process.getuid?.() === 0 && spawnSync('mount', ['--version']).status === 0
const told = canMount ? '' : ' (skipped: needs root to mount a tmpfs)'
const seed = campaignSeed()
const partBytes = 5 * 1024 * 1024

function smallDisk(options: string): string {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-full-'))
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'tmpfs', folder])
  onTestFinished(() => {
    execFileSync('umount', ['-l', folder])
    rmSync(folder, { recursive: true, force: true })
  })
  return folder
}

/** Fills the disk until so many bytes are left; returns what makes room again. */
function fill(disk: string, bytesLeft: number): () => void {
  const filler = join(disk, 'filler')
  const { bavail, bsize } = statfsSync(disk)
  writeFileSync(filler, Buffer.alloc(Math.max(0, bavail * bsize - bytesLeft)))
  return () => rmSync(filler, { force: true })
}

/** Leaves so many inodes. */
function fillInodes(disk: string, left: number): () => void {
  const folder = join(disk, 'fillers')
  mkdirSync(folder)
  for (let free = statfsSync(disk).ffree; free > left; free -= 1) writeFileSync(join(folder, `${free}`), '')
  return () => rmSync(folder, { recursive: true, force: true })
}

async function becomesTrue(look: () => Promise<boolean>): Promise<boolean> {
  for (let attempt = 0; attempt < 100; attempt += 1) {
    if (await look()) return true
    await sleep(50)
  }
  return false
}

interface Held {
  content: Map<string, string | null>
  acknowledged: number
  refused: number
  wrong: string[]
}

/** What a round does while the disk is nearly full; what is refused must be refused as 507 and change nothing. */
async function round(gateway: Gateway, held: Held, number: number): Promise<void> {
  const random = randomOf(seed + number)
  const known = async (status: number, key: string, after: string | null, good: number) => {
    if (status === good) {
      held.content.set(key, after)
      held.acknowledged += 1
    } else if (status === 507) held.refused += 1
    else held.wrong.push(`round ${number}: ${key} answered ${status}`)
  }
  for (let step = 0; step < 6; step += 1) {
    const key = `k${random.below(6)}`
    const kind = random.below(8)
    const content = noise(`${number}.${step}`, random.below(kind < 3 ? 4000 : 300_000))
    if (kind === 7) {
      const { status } = await gateway.ask('DELETE', `/demo-work/${key}`)
      // The file goes before the index is written: a refused deletion may have happened.
      if (status === 507) held.content.delete(key)
      await known(status, key, null, 204)
    } else {
      const path = kind === 6 ? `d${number}/${step}/${key}` : key
      const { status } = await gateway.ask('PUT', `/demo-work/${path}`, { body: content })
      await known(status, path, sha256(content), 200)
    }
  }
}

async function check(gateway: Gateway, held: Held, when: string): Promise<void> {
  for (const [key, content] of held.content) {
    const { status, body } = await gateway.ask('GET', `/demo-work/${key}`)
    const found = status === 404 ? null : status === 200 ? sha256(body) : `${status}`
    if (found !== content) held.wrong.push(`${when}: ${key} is ${found}, not ${content}`)
  }
  const { status, body } = await gateway.ask('GET', '/demo-work?list-type=2&max-keys=1000')
  const listed = new Set([...body.toString().matchAll(/<Key>([^<]*)<\/Key>/g)].map((match) => match[1]))
  for (const [key, content] of held.content)
    if (listed.has(key) !== (content !== null))
      held.wrong.push(`${when}: the listing (${status}) is wrong about ${key}`)
}

async function campaign(disk: string, budgets: readonly number[], filled: typeof fill) {
  const root = join(disk, 'data')
  const gateway = await startGateway(root)
  onTestFinished(async () => await gateway.kill())
  const held: Held = { content: new Map(), acknowledged: 0, refused: 0, wrong: [] }
  const { status } = await gateway.ask('PUT', '/demo-work/first', { body: 'first' })
  expect(status).toBe(200)
  held.content.set('first', sha256(Buffer.from('first')))
  for (const [number, budget] of budgets.entries()) {
    const makeRoom = filled(disk, budget)
    await round(gateway, held, number)
    await check(gateway, held, `full (${budget})`)
    makeRoom()
    const content = noise(`after${number}`, 1000)
    // How much room there is may be known from a moment ago.
    const isStored = await becomesTrue(
      async () => (await gateway.ask('PUT', '/demo-work/after', { body: content })).status === 200,
    )
    if (isStored) held.content.set('after', sha256(content))
    else held.wrong.push(`with room again (${budget}) it is still full`)
    await check(gateway, held, `with room again (${budget})`)
    for (const key of held.content.keys())
      if (key.startsWith('d')) {
        await gateway.ask('DELETE', `/demo-work/${key}`)
        held.content.delete(key)
      }
  }
  const left = readdirSync(join(root, '.cygnet/tmp')).flatMap((name) =>
    readdirSync(join(root, '.cygnet/tmp', name)).filter((file) => file !== 'worker.json'),
  )
  if (left.length > 0) held.wrong.push(`left over: ${left.join(' ')}`)
  return { held, isAlive: gateway.isAlive() }
}

const random = randomOf(seed)
const byteBudgets = Array.from({ length: isLong ? 200 : 12 }, (_, index) =>
  index % 4 === 0 ? index * 1024 : random.below(400_000),
)
const inodeBudgets = Array.from({ length: isLong ? 20 : 5 }, (_, index) => index)

test.skipIf(!canMount)(`the bytes run out${told}`, { timeout: 600_000 }, async () => {
  const { held, isAlive } = await campaign(smallDisk('size=24m'), byteBudgets, fill)
  const { acknowledged, refused, wrong } = held
  console.log(
    `campaign full-disk seed=${seed} faults=${refused} budgets=${byteBudgets.length} acknowledged=${acknowledged} lost=${wrong.length}`,
  )
  expect({ wrong, isAlive }).toEqual({ wrong: [], isAlive: true })
  expect(refused).toBeGreaterThan(byteBudgets.length / 2)
})

test.skipIf(!canMount)(`the inodes run out${told}`, { timeout: 600_000 }, async () => {
  const { held, isAlive } = await campaign(smallDisk('size=64m,nr_inodes=400'), inodeBudgets, fillInodes)
  const { acknowledged, refused, wrong } = held
  console.log(`campaign full-inodes seed=${seed} faults=${refused} acknowledged=${acknowledged} lost=${wrong.length}`)
  expect({ wrong, isAlive }).toEqual({ wrong: [], isAlive: true })
  expect(refused).toBeGreaterThan(inodeBudgets.length)
})

test.skipIf(!canMount)(`an upload in parts outlives a full disk${told}`, { timeout: 120_000 }, async () => {
  const disk = smallDisk('size=40m')
  const gateway = await startGateway(join(disk, 'data'))
  onTestFinished(async () => await gateway.kill())
  const begun = await gateway.ask('POST', '/demo-work/whole?uploads=')
  const uploadId = /<UploadId>([^<]+)</.exec(begun.body.toString())![1]!
  const parts = [noise('one', partBytes), noise('two', partBytes)]
  // Refused while its body is on the way, a client may meet the closed connection before the answer: like any S3 client
  // it then asks again.
  const put = async (index: number, tries = 5): Promise<Answer> =>
    await gateway
      .ask('PUT', `/demo-work/whole?partNumber=${index + 1}&uploadId=${uploadId}`, { body: parts[index]! })
      .catch((error: NodeJS.ErrnoException) => {
        if (tries > 0 && (error.code === 'EPIPE' || error.code === 'ECONNRESET')) return put(index, tries - 1)
        throw error
      })
  const etags = [(await put(0)).etag!]
  const makeRoom = fill(disk, 2_000_000)
  expect((await put(1)).status).toBe(507)
  makeRoom()
  let second = await put(1)
  await becomesTrue(async () => second.status === 200 || (second = await put(1)).status === 200)
  etags.push(second.etag!)
  const listed = etags.map((etag, index) => `<Part><PartNumber>${index + 1}</PartNumber><ETag>${etag}</ETag></Part>`)
  const list = `<CompleteMultipartUpload>${listed.join('')}</CompleteMultipartUpload>`
  const again = fill(disk, 0)
  const refused = await gateway.ask('POST', `/demo-work/whole?uploadId=${uploadId}`, { body: list })
  expect(refused.body.toString()).toContain('InsufficientStorage')
  again()
  await becomesTrue(async () => (await gateway.ask('PUT', '/demo-work/other', { body: 'x' })).status === 200)
  const done = await gateway.ask('POST', `/demo-work/whole?uploadId=${uploadId}`, { body: list })
  expect(done.body.toString()).toContain('CompleteMultipartUploadResult')
  const { body } = await gateway.ask('GET', '/demo-work/whole')
  expect(sha256(body)).toBe(sha256(Buffer.concat(parts)))
})
