/**
 * Hashing beside the event loop: MD5 is the slowest step of a large PUT, so bodies of a MiB and more are hashed by two
 * threads (MD5 in one, everything else in the other) while the loop receives and writes. Threads start with the first
 * large body and keep the process from ending only while somebody waits for them.
 */
import { Worker } from 'node:worker_threads'
import { createChecksum, type Checksum } from './checksums.ts'
import { storageFaults } from './errors.ts'
import type { ChecksumName, Digests } from './model.ts'

type HashName = ChecksumName | 'md5'

export type HashRequest =
  | { kind: 'begin'; body: number; names: HashName[] }
  | { kind: 'update'; body: number; memory: SharedArrayBuffer; sizeBytes: number }
  | { kind: 'end'; body: number }
  | { kind: 'drop'; body: number }

export type HashAnswer =
  | { kind: 'updated'; body: number }
  | { kind: 'ended'; body: number; digests: [string, Uint8Array][] }

export interface BodyHash {
  /** Resolves when the slab may be used again. */
  update(slab: Slab, sizeBytes: number): Promise<void>
  digests(sizeBytes: number): Promise<Digests>
  /** Gives up; after `digests` it does nothing. */
  drop(): void
}

export interface Slab {
  memory: SharedArrayBuffer
  bytes: Buffer
}

export const slabBytes = 1024 * 1024

export interface HashThreads {
  takeSlab(): Slab
  giveSlab(slab: Slab): void
  /** MD5 and these, for bodies below a slab: hashed here and now. */
  beginInline(names: readonly ChecksumName[]): BodyHash
  /** MD5 and these, beside the event loop. */
  beginThreaded(names: readonly ChecksumName[]): BodyHash
  close(): Promise<void>
}

const keptSlabs = 16

export function createHashThreads(): HashThreads {
  const free: Slab[] = []
  const lanes = [createLane(), createLane()] as const

  return {
    takeSlab() {
      const kept = free.pop()
      if (kept !== undefined) return kept
      const memory = new SharedArrayBuffer(slabBytes)
      return { memory, bytes: Buffer.from(memory) }
    },
    giveSlab(slab) {
      if (free.length < keptSlabs) free.push(slab)
    },
    beginInline: (names) => inlineHash(names),
    beginThreaded(names) {
      const md5 = lanes[0].begin(['md5'])
      const bodies = names.length === 0 ? [md5] : [md5, lanes[1].begin([...new Set<HashName>(names)])]
      return {
        update: async (slab, sizeBytes) => void (await Promise.all(bodies.map((body) => body.update(slab, sizeBytes)))),
        digests: async (sizeBytes) =>
          digestsOf(sizeBytes, (await Promise.all(bodies.map((body) => body.end()))).flat()),
        drop() {
          for (const body of bodies) body.drop()
        },
      }
    },
    async close() {
      await Promise.all(lanes.map((lane) => lane.close()))
    },
  }
}

function inlineHash(names: readonly ChecksumName[]): BodyHash {
  const wanted = [...new Set<HashName>(['md5', ...names])]
  const checksums = wanted.map((name): [string, Checksum] => [name, createChecksum(name)])
  return {
    async update(slab, sizeBytes) {
      const bytes = slab.bytes.subarray(0, sizeBytes)
      for (const [, checksum] of checksums) checksum.update(bytes)
    },
    digests: async (sizeBytes) =>
      digestsOf(
        sizeBytes,
        checksums.map(([name, checksum]) => [name, checksum.digest()]),
      ),
    drop() {},
  }
}

function digestsOf(sizeBytes: number, digests: readonly [string, Uint8Array][]): Digests {
  const named = Object.fromEntries(digests.map(([name, digest]) => [name, Buffer.from(digest)]))
  return { sizeBytes, ...named } as unknown as Digests
}

interface Waiting {
  resolve(value: [string, Uint8Array][]): void
  reject(error: unknown): void
}

/** One thread, started when first needed. Answers of a body come in the order of its requests. */
function createLane() {
  let worker: Worker | undefined
  let nextBody = 1
  const waiting = new Map<number, Waiting[]>()
  let asked = 0

  function answered(): void {
    asked -= 1
    if (asked === 0) worker?.unref()
  }

  function fail(error: unknown): void {
    worker = undefined
    asked = 0
    const lost = [...waiting.values()].flat()
    waiting.clear()
    for (const one of lost) one.reject(storageFaults.internalError('The hashing thread ended.', { cause: error }))
  }

  function started(): Worker {
    if (worker !== undefined) return worker
    const fresh = new Worker(new URL('./hash-worker.ts', import.meta.url), { execArgv: [], env: {} })
    fresh.on('message', (answer: HashAnswer) => {
      const first = waiting.get(answer.body)?.shift()
      if (first !== undefined) answered()
      if (answer.kind === 'ended') waiting.delete(answer.body)
      first?.resolve(answer.kind === 'ended' ? answer.digests : [])
    })
    fresh.on('error', fail)
    fresh.on('exit', () => {
      if (worker === fresh) fail(undefined)
    })
    fresh.unref()
    worker = fresh
    return fresh
  }

  return {
    begin(names: HashName[]) {
      const body = nextBody++
      const thread = started()
      waiting.set(body, [])
      thread.postMessage({ kind: 'begin', body, names } satisfies HashRequest)
      const ask = (request: HashRequest) =>
        new Promise<[string, Uint8Array][]>((resolve, reject) => {
          const queue = waiting.get(body)
          if (queue === undefined) return reject(storageFaults.internalError('The hashing thread ended.'))
          queue.push({ resolve, reject })
          asked += 1
          if (asked === 1) thread.ref()
          thread.postMessage(request)
        })
      return {
        update: async (slab: Slab, sizeBytes: number) =>
          void (await ask({ kind: 'update', body, memory: slab.memory, sizeBytes })),
        end: () => ask({ kind: 'end', body }),
        drop() {
          if (waiting.get(body)?.length === 0) waiting.delete(body)
          thread.postMessage({ kind: 'drop', body } satisfies HashRequest)
        },
      }
    },
    async close() {
      const ending = worker
      worker = undefined
      await ending?.terminate()
    },
  }
}
