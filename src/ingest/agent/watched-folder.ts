/**
 * What lies in the DAQ folder: each run file and sidecar, whether it grows, and when it may be taken. A file is closed
 * when its end was seen in it, or when it has not grown for a while and nobody has it open for writing.
 */
import { readdir, readlink, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../../foundation/errors.ts'
import { ingestFaults } from '../errors.ts'
import type { FileTracker, GrowingRun, RunFormat } from '../run-format.ts'
import { sameStamp, type AgentJournal, type Stamp } from './agent-journal.ts'

export interface WatchedFile {
  name: string
  path: string
  key: string
  run: string
  number: number
  role: 'raw' | 'sidecar'
  phase: 'growing' | 'closed' | 'safe'
  stamp: Stamp
  /** Size of what is stored in place of the file, once that is known. */
  storedBytes: number | undefined
  /** Monotonic, like every time that is waited for: the wall clock of a DAQ machine may jump. */
  lastChangeMs: number
  growing: GrowingRun | undefined
  /** Known from the moment all bytes were read. */
  sha256: string | undefined
  /** Tries that failed since the last success; the next try is not before `retryAtMs`. */
  failures: number
  /** Monotonic. */
  retryAtMs: number
  trouble: Fault | undefined
  /** What the platform has been told, so that nothing is told twice. */
  told: { opened?: string; progress?: number; closed?: string; expected?: string; trouble?: string; refused?: string }
}

export interface FolderOptions {
  directory: string
  setup: string
  series: string
  format: RunFormat
  journal: AgentJournal
  /** A file that has not changed for so long and is open nowhere has ended without an end-of-run record. */
  idleMs: number
  /** Run files are stored as gzip, under a key of that ending. */
  compress?: boolean
}

export type WatchedFolder = ReturnType<typeof watchFolder>

export function watchFolder(options: FolderOptions) {
  const { directory, setup, series, format, journal, idleMs, compress = false } = options
  const files = new Map<string, WatchedFile>()
  const trackers = new Map<string, FileTracker>()

  async function scan(): Promise<WatchedFile[]> {
    let round = await lookAtAll()
    // A sidecar written just before the end of its run came too late for this round's list: look once more, so that it
    // is known before its run file may be taken.
    if (round.ended.some((file) => file.role === 'raw')) {
      const again = await lookAtAll()
      round = { ended: [...round.ended, ...again.ended], present: again.present }
    }
    for (const file of round.ended) file.phase = 'closed'
    for (const name of files.keys()) {
      if (round.present.has(name)) continue
      files.delete(name)
      trackers.delete(name)
    }
    return [...files.values()]
  }

  async function lookAtAll(): Promise<{ present: Set<string>; ended: WatchedFile[] }> {
    const names = await readdir(directory).catch((cause: Error) => {
      throw ingestFaults.noFolder(`The DAQ folder ${directory} cannot be read (${cause.message}).`, {
        cause,
        hint: 'Check the path, that the disk is mounted, and the rights of the agent.',
      })
    })
    const present = new Set<string>()
    const ended: WatchedFile[] = []
    for (const name of names) {
      const matched = format.matchFileName(name)
      if (matched === undefined) continue
      if (await isStoredAs(name, names)) continue
      const path = join(directory, name)
      const found = await stat(path).catch(() => undefined)
      if (found === undefined || !found.isFile()) continue
      present.add(name)
      const stamp = { sizeBytes: found.size, mtimeMs: found.mtimeMs, inode: found.ino }
      const file = files.get(name) ?? (await meet(name, path, matched, stamp))
      files.set(name, file)
      if (await hasEnded(file, stamp)) ended.push(file)
    }
    return { present, ended }
  }

  /** With compression `run1.mid` becomes `run1.mid.gz` in the store: a file of that name that others made of it here is the same run. */
  async function isStoredAs(name: string, names: string[]): Promise<boolean> {
    if (!compress || !name.endsWith('.gz')) return false
    const plain = name.slice(0, -'.gz'.length)
    return names.includes(plain) || (await journal.readSafe(plain))?.key === `${setup}/${series}/${name}`
  }

  async function meet(
    name: string,
    path: string,
    { number, role }: { number: number; role: 'raw' | 'sidecar' },
    stamp: Stamp,
  ): Promise<WatchedFile> {
    const safe = await journal.readSafe(name)
    return {
      name,
      path,
      key: safe?.key ?? `${setup}/${series}/${name}${compress && role === 'raw' && !name.endsWith('.gz') ? '.gz' : ''}`,
      run: `${series}:${number}`,
      number,
      role,
      phase: safe === undefined ? 'growing' : 'safe',
      stamp: safe?.stamp ?? stamp,
      storedBytes: safe?.sizeBytes,
      // A file that has long been lying there has long not changed.
      lastChangeMs: performance.now() - Math.max(0, Date.now() - stamp.mtimeMs),
      growing: undefined,
      sha256: safe?.sha256,
      failures: 0,
      retryAtMs: 0,
      trouble: undefined,
      told: {},
    }
  }

  async function hasEnded(file: WatchedFile, stamp: Stamp): Promise<boolean> {
    const same = sameStamp(stamp, file.stamp)
    if (file.phase !== 'growing' && same) return false
    if (!same) {
      if (file.phase !== 'growing') reopen(file)
      file.stamp = stamp
      file.lastChangeMs = performance.now()
    }
    const idle = performance.now() - file.lastChangeMs >= idleMs
    if (!same || file.growing === undefined || idle) await follow(file)
    const ended = file.growing?.endOfRunSeen === true && file.growing.wholeBytes === file.stamp.sizeBytes
    return ended || (idle && !(await isOpenForWriting(file.path)))
  }

  /** A file that was closed or safe and changes again is read anew; the store and the logbook keep what they have. */
  function reopen(file: WatchedFile): void {
    file.phase = 'growing'
    file.sha256 = undefined
    file.storedBytes = undefined
    trackers.delete(file.name)
  }

  async function follow(file: WatchedFile): Promise<void> {
    const tracker = trackers.get(file.name) ?? format.track(file.path)
    trackers.set(file.name, tracker)
    try {
      file.growing = await tracker.advance()
      if (file.trouble?.code === 'ingest.file_shrank' && file.failures === 0) file.trouble = undefined
    } catch (error) {
      trackers.delete(file.name)
      file.lastChangeMs = performance.now()
      file.trouble = asFault(error, file.path)
    }
  }

  return { directory, scan, reopen, files: (): WatchedFile[] => [...files.values()] }
}

export function asFault(error: unknown, path: string): Fault {
  if (error instanceof Fault) return error
  const message = error instanceof Error ? error.message : String(error)
  return ingestFaults.fileUnreadable(`${path} cannot be read (${message}).`, {
    cause: error,
    hint: 'Check the disk and the rights of the DAQ folder. It is tried again.',
  })
}

/** Looks through the open files of all processes; those of other users can be seen by root only. */
async function isOpenForWriting(path: string): Promise<boolean> {
  const processes = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name))
  for (const pid of processes) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => [])
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      if (target !== path) continue
      const info = await readFile(`/proc/${pid}/fdinfo/${descriptor}`, 'utf8').catch(() => '')
      const flags = Number.parseInt(/^flags:\s*([0-7]+)/m.exec(info)?.[1] ?? '0', 8)
      if ((flags & 0o3) !== 0) return true
    }
  }
  return false
}
