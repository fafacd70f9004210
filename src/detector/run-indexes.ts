/**
 * Pictures and facts of stored runs without holding up the process that asks: a compressed run is inflated once, in a thread, and leaves an index in
 * a folder of bounded size, from which the least recently used goes first. Plain files and files of event members need neither.
 */
import { createHash } from 'node:crypto'
import { readdir, rm, stat, utimes } from 'node:fs/promises'
import { join, resolve } from 'node:path'
import { Worker } from 'node:worker_threads'
import { ensureDirectory } from '../foundation/files.ts'
import { isGzip, openRunFile } from './byte-source.ts'
import { detectorFaults } from './errors.ts'
import { hopMembers } from './gzip-index.ts'
import type { MidasIndex } from './index-entries.ts'
import { loadIndex } from './index-file.ts'
import type { MidasEvent } from './midas-event.ts'
import { openMidasIndex, pictureOf, readPictureAt } from './midas-index.ts'
import type { Picture } from './midas-index.ts'
import { readRunFacts } from './run-facts.ts'
import type { RunFacts } from './run-facts.ts'
import type { IndexNews, IndexTask, PictureWish } from './run-index-worker.ts'

export interface RunIndexes {
  /**
   * Picture k of a run file, from 0. The first time for a compressed run it comes as soon as the thread that makes the index passes it. Throws
   * `noSuchEvent` with the number of pictures in `extra.pictures`, `badFrame`, `noSuchFile`, `unreadableFile`, and the reason of the signal.
   */
  readPicture(path: string, picture: number, options?: { signal?: AbortSignal }): Promise<Picture>
  /** Where everything in a run file lies; waits until a compressed one was inflated once. */
  index(path: string, options?: { signal?: AbortSignal }): Promise<MidasIndex>
  /** As `readRunFacts`; a compressed run leaves its index. */
  readFacts(path: string, options?: { signal?: AbortSignal }): Promise<RunFacts>
  /** Ends the threads. */
  close(): Promise<void>
}

export interface RunIndexesOptions {
  /** Where indexes of compressed runs are kept; made when there is none. */
  folder: string
  /** Of the folder; default 1 GiB: some 300 runs of 1.5 GB. */
  maximumBytes?: number
}

const rememberedIndexes = 32
const defaultMaximumBytes = 1024 ** 3
/** Of a thread: what a hostile file could make of its table of contents must not hurt the process. */
const threadMemoryMb = 1536
const threadsAtOnce = 2
/** Facts are asked for by jobs, which are few at a time already. */
const atOnce = <T>(act: () => Promise<T>): Promise<T> => act()

interface Making {
  picture(picture: number, signal: AbortSignal | undefined): Promise<MidasEvent | undefined>
  facts: Promise<RunFacts>
  stop(): Promise<unknown>
}

export function openRunIndexes(options: RunIndexesOptions): RunIndexes {
  const folder = resolve(options.folder)
  const remembered = new Map<string, Promise<MidasIndex | undefined>>()
  const making = new Map<string, Making>()
  const all = new Set<Making>()
  const turns = takeTurns(threadsAtOnce)

  const stateOf = async (path: string): Promise<string> => {
    const facts = await stat(path).catch((cause: unknown) => {
      throw detectorFaults.noSuchFile(`There is no file ${path}.`, { cause })
    })
    return `${path}\0${facts.size}\0${facts.mtimeMs}`
  }
  const indexPathOf = (path: string): string =>
    join(folder, `${createHash('sha256').update(resolve(path)).digest('hex').slice(0, 40)}.index`)

  /** What there is without inflating: the index of a plain file, of event members, or a saved one. */
  const ready = async (path: string): Promise<MidasIndex | undefined> => {
    const handle = await openRunFile(path)
    try {
      if (!(await isGzip(handle))) return await openMidasIndex(path)
      const indexPath = indexPathOf(path)
      const saved = await loadIndex(indexPath, path)
      if (saved) await utimes(indexPath, new Date(), new Date()).catch(() => undefined)
      return saved ?? (await hopMembers(path, handle, {}))
    } finally {
      await handle.close()
    }
  }
  const indexOf = async (path: string): Promise<MidasIndex | undefined> => {
    const key = await stateOf(path)
    const found = remembered.get(key) ?? ready(path)
    remembered.delete(key)
    remembered.set(key, found)
    if (remembered.size > rememberedIndexes) remembered.delete(remembered.keys().next().value!)
    const forget = (): boolean => remembered.get(key) === found && remembered.delete(key)
    found.then((index) => index ?? forget(), forget)
    return await found
  }

  const make = (path: string, takeTurn: typeof atOnce): Making => {
    const started = startMaking({ path, indexPath: indexPathOf(path) }, folder, takeTurn)
    all.add(started)
    started.facts
      .then(() => prune(folder, options.maximumBytes ?? defaultMaximumBytes))
      .catch(() => undefined)
      .finally(() => all.delete(started))
    return started
  }
  const makeOnce = async (path: string): Promise<Making> => {
    const key = await stateOf(path)
    const present = making.get(key)
    if (present) return present
    const started = make(path, turns)
    making.set(key, started)
    started.facts.catch(() => undefined).finally(() => making.delete(key))
    return started
  }

  return {
    readPicture: async (path, picture, { signal } = {}) => {
      signal?.throwIfAborted()
      const index = await indexOf(path)
      if (index) return await readPictureAt(index, picture, signal ? { signal } : {})
      const thread = await makeOnce(path)
      const event = await thread.picture(picture, signal)
      if (event) return pictureOf(event, undefined)
      const made = await indexOf(path)
      if (made) return await readPictureAt(made, picture, signal ? { signal } : {})
      const { images } = await thread.facts
      throw detectorFaults.noSuchEvent(`${path} has no picture ${picture}.`, { extra: { pictures: images } })
    },
    index: async (path, { signal } = {}) => {
      const index = await indexOf(path)
      if (index) return index
      await abortable((await makeOnce(path)).facts, signal)
      const made = await indexOf(path)
      if (made) return made
      throw detectorFaults.unreadableFile(`${path} changed while it was read.`)
    },
    readFacts: async (path, { signal } = {}) => {
      signal?.throwIfAborted()
      const handle = await openRunFile(path)
      const compressed = await isGzip(handle).finally(() => handle.close())
      if (!compressed) return await readRunFacts(path, signal ? { signal } : {})
      const thread = make(path, atOnce)
      return await abortable(thread.facts, signal, () => void thread.stop())
    },
    close: async () => void (await Promise.all([...all].map((thread) => thread.stop()))),
  }
}

function startMaking(task: IndexTask, folder: string, takeTurn: typeof atOnce): Making {
  const waiting = new Map<number, ((event: MidasEvent | undefined) => void)[]>()
  const wishes: number[] = []
  const stopping = new AbortController()
  let worker: Worker | undefined
  const run = async (): Promise<RunFacts> => {
    stopping.signal.throwIfAborted()
    await ensureDirectory(folder, 0o700)
    worker = new Worker(new URL('./run-index-worker.ts', import.meta.url), {
      workerData: task,
      resourceLimits: { maxOldGenerationSizeMb: threadMemoryMb },
    })
    const thread = worker
    for (const picture of wishes) thread.postMessage({ picture } satisfies PictureWish)
    return await new Promise<RunFacts>((done, failed) => {
      thread.on('message', (news: IndexNews) => {
        if (news.kind === 'done') done(news.facts)
        else if (news.kind === 'failed') failed(faultOf(news))
        else {
          for (const give of waiting.get(news.picture) ?? []) give(news.event)
          waiting.delete(news.picture)
        }
      })
      thread.on('error', (cause) => failed(unreadable(task.path, cause)))
      thread.on('exit', () => failed(stopping.signal.aborted ? stopping.signal.reason : unreadable(task.path)))
    })
  }
  const facts = takeTurn(run)
  facts.catch(() => undefined)
  const nothingMore = (): void => {
    for (const all of waiting.values()) for (const give of all) give(undefined)
    waiting.clear()
  }
  facts.then(nothingMore, nothingMore)
  return {
    facts,
    picture: async (picture, signal) => {
      const coming = new Promise<MidasEvent | undefined>((give) => {
        waiting.set(picture, [...(waiting.get(picture) ?? []), give])
      })
      wishes.push(picture)
      worker?.postMessage({ picture } satisfies PictureWish)
      const event = await abortable(Promise.race([coming, facts.then(() => undefined)]), signal)
      return event
    },
    stop: async () => {
      stopping.abort()
      await worker?.terminate()
    },
  }
}

const unreadable = (path: string, cause?: unknown) =>
  detectorFaults.unreadableFile(
    `${path} could not be inflated: its thread ended.`,
    cause === undefined ? {} : { cause },
  )

const faultOf = ({ code, detail }: { code: string; detail: string }) =>
  code === 'detector.no_such_file' ? detectorFaults.noSuchFile(detail) : detectorFaults.unreadableFile(detail)

async function abortable<T>(work: Promise<T>, signal: AbortSignal | undefined, onAbort?: () => void): Promise<T> {
  if (!signal) return await work
  let leave = (): void => undefined
  const aborted = new Promise<never>((_, reject) => {
    leave = () => {
      onAbort?.()
      reject(signal.reason as Error)
    }
    if (signal.aborted) leave()
    else signal.addEventListener('abort', leave, { once: true })
  })
  try {
    return await Promise.race([work, aborted])
  } finally {
    signal.removeEventListener('abort', leave)
  }
}

/** At most so many at the same time, the others in the order they came. */
function takeTurns(most: number): typeof atOnce {
  const queue: (() => void)[] = []
  let running = 0
  return async (act) => {
    if (running >= most) await new Promise<void>((go) => queue.push(go))
    else running++
    try {
      return await act()
    } finally {
      const next = queue.shift()
      if (next) next()
      else running--
    }
  }
}

/** Removes what was used longest ago until the folder is small enough. */
async function prune(folder: string, maximumBytes: number): Promise<void> {
  const files: { path: string; sizeBytes: number; usedMs: number }[] = []
  for (const name of await readdir(folder)) {
    const path = join(folder, name)
    const facts = await stat(path).catch(() => undefined)
    if (facts?.isFile()) files.push({ path, sizeBytes: facts.size, usedMs: facts.mtimeMs })
  }
  let total = files.reduce((sum, file) => sum + file.sizeBytes, 0)
  for (const file of files.toSorted((one, other) => one.usedMs - other.usedMs)) {
    if (total <= maximumBytes) return
    await rm(file.path, { force: true })
    total -= file.sizeBytes
  }
}
