/**
 * The agent on the DAQ machine: watches one folder, tells the platform about runs while they are recorded, brings every
 * closed file into the store and says `safe` when its bytes there were compared. It speaks nothing but HTTP and S3,
 * never deletes a run file, never gives up, and one bad file never holds up the next.
 */
import { watch } from 'node:fs'
import { realpath, stat } from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../foundation/errors.ts'
import { freeBytes } from '../../foundation/files.ts'
import { acquireLock } from '../../foundation/lock.ts'
import type { Logger } from '../../foundation/log.ts'
import { midasRunFormat } from '../adapters/midas-run-format.ts'
import { ingestFaults } from '../errors.ts'
import type { RunFormat } from '../run-format.ts'
import { openJournal } from './agent-journal.ts'
import { bringToSafety } from './bring-to-safety.ts'
import { readKeyFile } from './key-file.ts'
import { Reporter } from './reporter.ts'
import { createS3Client } from './s3-client.ts'
import { asFault, watchFolder, type WatchedFile } from './watched-folder.ts'

export interface AgentOptions {
  directory: string
  experiment: string
  setup: string
  series: string
  serverUrl: string
  keyFile: string
  /** Instead of what the platform says. */
  s3Url?: string
  /** Name of this agent on the experiment's page; default `<host>-<setup>`. */
  name?: string
  /** Ends when every file that is there is safe, or was tried three times. */
  once?: boolean
  /** Default 30 s. */
  idleMs?: number
  /** Default 16 MiB. */
  partSizeBytes?: number
  /** Send run files as gzip, `run00012.mid` as `run00012.mid.gz`. */
  compress?: boolean
  version: string
  signal: AbortSignal
  log: Logger
  onEvent(event: AgentEvent): void
  format?: RunFormat
}

export type AgentEventName =
  | 'watching'
  | 'run-seen'
  | 'run-ended'
  | 'compressed'
  | 'uploading'
  | 'uploaded'
  | 'safe'
  | 'trouble'
  | 'recovered'
  | 'connected'
  | 'disconnected'
  | 'finished'

/** What the agent says, one line each: `event` names it, the rest says of what. */
export interface AgentEvent {
  event: AgentEventName
  atMs: number
  file?: string
  run?: string
  [detail: string]: unknown
}

const scanEveryMs = 1000
const triesOfOnce = 3

/** The real path of the folder the DAQ writes into; throws `noFolder`. Nothing, not even a log, may make it: a wrong name would be watched for ever. */
export async function requireFolder(path: string): Promise<string> {
  const directory = await realpath(path).catch((cause: Error) => {
    throw ingestFaults.noFolder(`There is no folder ${path} (${cause.message}).`, {
      cause,
      hint: 'Give the folder into which the DAQ writes its run files.',
    })
  })
  if (!(await stat(directory)).isDirectory()) throw ingestFaults.noFolder(`${directory} is not a folder.`)
  return directory
}

/** Runs until `signal` aborts (or, with `once`, until all is done); gives the files that are not safe. */
export async function runAgent(options: AgentOptions): Promise<{ safe: string[]; unsafe: string[] }> {
  const { signal, once = false } = options
  const directory = await requireFolder(options.directory)
  // Said at once when the key file cannot work at all; later changes of the file are met at each try.
  await readKeyFile(options.keyFile)
  const journal = await openJournal(join(directory, '.cygnet'))
  await using _lock = await lockFolder(journal.folder, directory)
  const format = options.format ?? midasRunFormat()
  const { setup, series } = options
  const folder = watchFolder({
    directory,
    setup,
    series,
    format,
    journal,
    idleMs: options.idleMs ?? 30_000,
    compress: options.compress ?? false,
  })
  const bell = new Bell()
  const watcher = watch(directory, () => bell.ring()).on('error', () => {})
  const reporter = new Reporter({
    ...options,
    directory,
    agent: options.name ?? defaultName(setup),
    journalFolder: journal.folder,
  })
  reporter.say({ event: 'watching', directory, experiment: options.experiment, setup, series })

  const looking = async (): Promise<void> => {
    while (!signal.aborted) {
      const rung = bell.wait(scanEveryMs, signal)
      try {
        await folder.scan()
        reporter.folderTrouble(undefined)
      } catch (error) {
        reporter.folderTrouble(asFault(error, directory))
      }
      if (once && isDone(folder.files())) return
      await rung
      // Many small writes ring often; a scan now and then is enough.
      await sleep(20, undefined, { signal }).catch(() => undefined)
    }
  }

  const tell = async (): Promise<void> =>
    await reporter.tell(folder.files(), await freeBytes(directory).catch(() => null))
  const telling = async (ended: AbortSignal): Promise<void> => {
    while (!ended.aborted) {
      await tell()
      await bell.wait(scanEveryMs, ended)
      await sleep(100, undefined, { signal: ended }).catch(() => undefined)
    }
  }

  const sending = async (ended: AbortSignal): Promise<void> => {
    while (!ended.aborted) {
      const file = nextFile(folder.files())
      if (file === undefined || reporter.pausedUntilMs > performance.now()) {
        await bell.wait(200, ended)
        continue
      }
      await sendOne(file, ended)
      bell.ring()
    }
  }

  const sendOne = async (file: WatchedFile, ended: AbortSignal): Promise<void> => {
    let s3: ReturnType<typeof createS3Client> | undefined
    const closedStamp = file.stamp
    try {
      const { platform, key } = await reporter.platform()
      const store = await reporter.storeOf(platform)
      s3 = createS3Client({ ...store, ...key, nowMs: () => reporter.serverNowMs() })
      await bringToSafety({
        file,
        closedStamp,
        s3,
        platform,
        journal,
        reporter,
        bucket: store.bucket,
        partSizeBytes: options.partSizeBytes,
        signal: ended,
      })
    } catch (error) {
      if (ended.aborted) return
      reporter.failed(file, asFault(error, file.path))
      if (isAboutTheFile(file.trouble)) folder.reopen(file)
    } finally {
      s3?.close()
    }
  }

  const finished = new AbortController()
  const ended = AbortSignal.any([signal, finished.signal])
  const workers = [sending(ended), telling(ended)]
  try {
    await looking()
  } finally {
    watcher.close()
    finished.abort()
    await Promise.all(workers)
  }
  if (!signal.aborted) await tell()
  const safe = folder
    .files()
    .filter((file) => file.phase === 'safe')
    .map((file) => file.name)
  const unsafe = folder
    .files()
    .filter((file) => file.phase !== 'safe')
    .map((file) => file.name)
  reporter.say({ event: 'finished', safe: safe.length, unsafe })
  return { safe, unsafe }

  function isDone(files: WatchedFile[]): boolean {
    return (
      files.every((file) => file.phase === 'safe' || file.failures >= triesOfOnce) ||
      reporter.failuresInARow >= triesOfOnce
    )
  }
}

/** Not yet tried files first, then those whose time has come; within that by run, sidecars before their run file. */
function nextFile(files: WatchedFile[]): WatchedFile | undefined {
  const ready = files.filter((file) => file.phase === 'closed' && file.retryAtMs <= performance.now())
  const order = (file: WatchedFile): [number, number, number] => [
    file.failures,
    file.number,
    file.role === 'sidecar' ? 0 : 1,
  ]
  return ready.toSorted((one, other) => {
    const [a, b] = [order(one), order(other)]
    return a[0] - b[0] || a[1] - b[1] || a[2] - b[2]
  })[0]
}

/** The file itself moved under the reader: it is watched again until it is stable. */
function isAboutTheFile(fault: Fault | undefined): boolean {
  return fault?.code === 'ingest.file_shrank' || fault?.code === 'ingest.file_changed'
}

async function lockFolder(journalFolder: string, directory: string) {
  return await acquireLock(join(journalFolder, 'agent.lock')).catch((error: unknown) => {
    if (!(error instanceof Fault) || error.code !== 'foundation.locked') throw error
    throw ingestFaults.alreadyWatched(
      `${directory} is watched by another agent (process ${String(error.extra?.holder)}).`,
      {
        cause: error,
        hint: 'Stop that one first, or leave it: one agent for each folder is enough.',
      },
    )
  })
}

const defaultName = (setup: string): string =>
  `${
    hostname()
      .replace(/[^A-Za-z0-9._-]/g, '-')
      .replace(/^[^A-Za-z0-9]+/, '') || 'daq'
  }-${setup}`.slice(0, 63)

/** Wakes the loops when the folder changes. */
class Bell {
  #waiting = new Set<() => void>()

  ring(): void {
    for (const wake of this.#waiting) wake()
  }

  async wait(atMostMs: number, signal: AbortSignal): Promise<void> {
    if (signal.aborted) return
    await new Promise<void>((resolve) => {
      const wake = (): void => {
        clearTimeout(timer)
        this.#waiting.delete(wake)
        signal.removeEventListener('abort', wake)
        resolve()
      }
      const timer = setTimeout(wake, atMostMs)
      this.#waiting.add(wake)
      signal.addEventListener('abort', wake, { once: true })
    })
  }
}
