/** kill -9 in the middle of writing: what was acknowledged is there, what was not is there whole or not at all. */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import type { Storage } from './storage.ts'
import { openTestStorage, readAll } from './testing.ts'

interface Line {
  ready?: true
  begin?: string
  done?: string
  sha256?: string | null
}

interface Witness {
  /** Last acknowledged content of each key; null after an acknowledged deletion. */
  acknowledged: Map<string, string | null>
  /** What was begun and not acknowledged. */
  begun: Map<string, string | null>
  lines: number
}

const writer = join(import.meta.dirname, 'test-writer.ts')

function startWriter(root: string, name: string, rounds: number, failpoints = '') {
  const child = spawn(process.execPath, [writer, root, name, `${rounds}`], {
    env: { ...process.env, CYGNET_TEST: '1', CYGNET_FAILPOINTS: failpoints },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  const witness: Witness = { acknowledged: new Map(), begun: new Map(), lines: 0 }
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const ready = Promise.withResolvers<void>()
  createInterface({ input: child.stdout }).on('line', (text) => {
    const line = JSON.parse(text) as Line
    witness.lines += 1
    if (line.ready) ready.resolve()
    if (line.begin !== undefined) witness.begun.set(line.begin, line.sha256!)
    if (line.done !== undefined) {
      witness.begun.delete(line.done)
      witness.acknowledged.set(line.done, line.sha256!)
    }
  })
  const ended = new Promise<NodeJS.Signals | number | null>((resolve) =>
    child.once('close', (code, signal) => resolve(signal ?? code)),
  )
  void ended.then(() => ready.resolve())
  return { child, witness, ready: ready.promise, ended, complaint: () => complaint }
}

async function contentOf(storage: Storage, key: string): Promise<string | null> {
  try {
    const { body } = await storage.getObject({ bucket: 'demo-work', key })
    return createHash('sha256')
      .update(await readAll(body))
      .digest('hex')
  } catch (error) {
    if ((error as { code?: string }).code === 'storage.no_such_key') return null
    throw error
  }
}

function filesBelow(folder: string, base = ''): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    if (entry.isDirectory()) return filesBelow(join(folder, entry.name), `${base}${entry.name}/`)
    return [`${base}${entry.name}`]
  })
}

/** Reopened by somebody else, everything must hold together. */
async function checkAll(storage: Storage, root: string, witnesses: readonly Witness[]): Promise<void> {
  for (const { acknowledged, begun } of witnesses) {
    for (const key of new Set([...acknowledged.keys(), ...begun.keys()])) {
      const allowed = [acknowledged.get(key) ?? null]
      if (begun.has(key)) allowed.push(begun.get(key)!)
      expect(allowed, key).toContain(await contentOf(storage, key))
    }
  }
  const listed: string[] = []
  for (let after: string | undefined; ;) {
    const page = await storage.listObjects({ bucket: 'demo-work', limit: 7, ...(after === undefined ? {} : { after }) })
    for (const row of page.objects) {
      listed.push(row.key)
      const info = storage.headObject('demo-work', row.key)
      expect({ etag: row.etag, sizeBytes: row.sizeBytes }).toEqual({ etag: info.etag, sizeBytes: info.sizeBytes })
      expect(info.isForeign).toBe(false)
    }
    if (page.next === undefined) break
    after = page.next
  }
  expect(listed.sort()).toEqual(filesBelow(join(root, 'demo-work')).sort())
  // What the changes say adds up to what there is.
  const told = new Map<string, string>()
  for (const change of storage.changes({ limit: 1_000_000 }).items) {
    if (change.type === 'created') told.set(change.key, change.etag)
    else told.delete(change.key)
  }
  expect([...told.keys()].sort()).toEqual(listed)
  const workers = readdirSync(join(root, '.cygnet/tmp')).flatMap((name) =>
    readdirSync(join(root, '.cygnet/tmp', name)).filter((file) => file !== 'worker.json'),
  )
  expect(workers).toEqual([])
}

async function emptyRoot(): Promise<string> {
  const { path } = await temporaryDirectory('cygnet-crash-')
  const { storage } = await openTestStorage({ root: path })
  await storage.createBucket({ name: 'demo-work', experiment: 'demo', purpose: 'work' })
  await storage.close()
  return path
}

const points = [
  'storage.after-temp',
  'storage.after-fsync',
  'storage.after-rename',
  'storage.before-answer',
  'storage.part-received',
]

test.each(points)('killed at %s', async (point) => {
  const root = await emptyRoot()
  const { witness, ended, complaint } = startWriter(
    root,
    'a',
    60,
    `${point}=kill@${point === 'storage.part-received' ? 3 : 20}th`,
  )
  expect(await ended, complaint()).toBe('SIGKILL')
  const { storage } = await openTestStorage({ root })
  await checkAll(storage, root, [witness])
})

test('killed at random moments, again and again, on the same root', async () => {
  const root = await emptyRoot()
  const witnesses: Witness[] = []
  for (let round = 0; round < 5; round += 1) {
    const { child, witness, ready, ended, complaint } = startWriter(root, `r${round}`, 100_000)
    await ready
    await sleep(100 + Math.random() * 500)
    child.kill('SIGKILL')
    expect(await ended, complaint()).toBe('SIGKILL')
    expect(witness.lines).toBeGreaterThan(3)
    witnesses.push(witness)
  }
  const { storage } = await openTestStorage({ root })
  await checkAll(storage, root, witnesses)
})

test('two processes write at once, a third one looks on, and all agree', async () => {
  const root = await emptyRoot()
  const { storage } = await openTestStorage({ root })
  const writers = [startWriter(root, 'a', 40), startWriter(root, 'b', 40)]
  await Promise.all(writers.map(({ ready }) => ready))
  let isWriting = true
  const looking = (async () => {
    while (isWriting) {
      const { objects } = await storage.listObjects({ bucket: 'demo-work' })
      expect(objects.every((row) => row.sizeBytes > 0)).toBe(true)
      await sleep(20)
    }
  })()
  for (const { ended, complaint } of writers) expect(await ended, complaint()).toBe(0)
  isWriting = false
  await looking
  await checkAll(
    storage,
    root,
    writers.map(({ witness }) => witness),
  )
})
