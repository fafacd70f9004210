/**
 * What the agent says and to whom: every event to its caller and its log; the state of the runs to the platform, as far
 * as it can be reached. Reports carry states, not steps: what was missed while the line was cut is told when it is back.
 */
import { hostname } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { Fault } from '../../foundation/errors.ts'
import { readJsonFile, writeFileDurable } from '../../foundation/files.ts'
import type { AgentEvent, AgentEventName, AgentOptions } from './agent.ts'
import { readKeyFile } from './key-file.ts'
import { connectPlatform, type Platform } from './platform.ts'
import { openToldTroubles, type ToldTroubles } from './told-troubles.ts'
import { asFault, type WatchedFile } from './watched-folder.ts'

const heartbeatEveryMs = 5_000
const storeSchema = z.object({ bucket: z.string(), url: z.string(), region: z.string() })
type Store = z.infer<typeof storeSchema>

interface ReporterOptions extends AgentOptions {
  directory: string
  agent: string
  journalFolder: string
}

export class Reporter {
  readonly #options: ReporterOptions
  #connection: { key: string; platform: Platform } | undefined
  #store: Store | undefined
  #connected: boolean | undefined
  /** What the platform's clock showed, and when by our monotonic one. */
  #serverClock: { serverMs: number; atMs: number } | undefined
  #tellAgainMs = 0
  #tellFailures = 0
  #lastBeatMs = -Infinity
  #lastBeatTrouble = ''
  #folderTrouble: Fault | undefined
  #sendTrouble: Fault | undefined
  #telling = new WeakMap<WatchedFile, Promise<void>>()
  readonly #troubles: ToldTroubles
  /** Nothing is sent before this (monotonic): the whole line is in trouble, not one file. */
  pausedUntilMs = 0
  failuresInARow = 0

  constructor(options: ReporterOptions) {
    this.#options = options
    this.#troubles = openToldTroubles(options.journalFolder)
  }

  say(event: { event: AgentEventName; [detail: string]: unknown }): void {
    const said: AgentEvent = { atMs: Date.now(), ...event }
    const level = event.event === 'trouble' || event.event === 'disconnected' ? 'warn' : 'info'
    this.#options.log[level](said, event.event)
    this.#options.onEvent(said)
  }

  /** Trouble with the folder itself (unmounted, unreadable); undefined when it is over. */
  folderTrouble(fault: Fault | undefined): void {
    if (fault?.detail !== this.#folderTrouble?.detail && fault !== undefined) this.#sayTrouble(fault)
    this.#folderTrouble = fault
  }

  failed(file: WatchedFile, fault: Fault): void {
    if (isAboutTheLine(fault)) {
      this.failuresInARow += 1
      this.pausedUntilMs = performance.now() + backoffMs(this.failuresInARow, 1000, 60_000)
      if (this.#sendTrouble?.detail !== fault.detail) this.#sayTrouble(fault, file)
      this.#sendTrouble = fault
    } else {
      file.failures += 1
      file.retryAtMs = performance.now() + backoffMs(file.failures, 1000, 300_000)
      this.#lineWorks()
      if (file.trouble?.detail !== fault.detail) this.#sayTrouble(fault, file)
    }
    file.trouble = fault
  }

  /** The page is told that trouble is over before anybody is told that the file is safe. */
  async succeeded(platform: Platform, file: WatchedFile): Promise<void> {
    this.#lineWorks()
    file.failures = 0
    if (file.trouble !== undefined) this.say({ event: 'recovered', file: file.name, run: file.run })
    file.trouble = undefined
    await this.#takeUpTrouble(file)
    if (file.told.trouble === undefined) return
    await this.#tellOf(platform, file).catch((error: unknown) => this.#options.log.debug({ error }, 'not told'))
  }

  #lineWorks(): void {
    this.failuresInARow = 0
    this.#sendTrouble = undefined
  }

  #sayTrouble(fault: Fault, file?: WatchedFile): void {
    const about = file === undefined ? {} : { file: file.name, run: file.run }
    this.say({ event: 'trouble', ...about, code: fault.code, detail: fault.detail, hint: fault.hint ?? '' })
  }

  /** The platform, with the key as it is in the key file now. */
  async platform(): Promise<{ platform: Platform; key: { accessKeyId: string; secretAccessKey: string } }> {
    const { keyFile, serverUrl, experiment, signal } = this.#options
    const key = await readKeyFile(keyFile)
    const same = JSON.stringify(key)
    if (this.#connection?.key !== same) {
      this.#connection = { key: same, platform: connectPlatform({ serverUrl, experiment, key, signal }) }
    }
    return { platform: this.#connection.platform, key }
  }

  /** Where the bytes go: asked once, remembered on disk, so that a store can be used while the platform is away. */
  async storeOf(platform: Platform): Promise<Store> {
    const url = this.#options.s3Url
    if (this.#store === undefined) {
      try {
        await this.#beat(platform, [], null)
      } catch (error) {
        const remembered = await readJsonFile(this.#storePath(), storeSchema).catch(() => undefined)
        if (remembered === undefined) throw error
        this.#store = remembered
      }
    }
    return url === undefined ? this.#store! : { ...this.#store!, url }
  }

  /** The time as the platform has it, for signatures; of this machine while the platform was never heard. */
  serverNowMs(): number {
    const heard = this.#serverClock
    return heard === undefined ? Date.now() : Math.round(heard.serverMs + performance.now() - heard.atMs)
  }

  #storePath(): string {
    return join(this.#options.journalFolder, 'store.json')
  }

  /** The bytes that will be in the store are known: the receiver is told what to expect. False if it could not be. */
  async hashed(platform: Platform, file: WatchedFile, sha256: string): Promise<boolean> {
    file.sha256 = sha256
    try {
      await this.#tellOf(platform, file)
      return true
    } catch (error) {
      this.#options.log.debug({ error }, 'not told')
      return false
    }
  }

  /** Brings what the platform knows up to date; a platform that does not answer is asked again later and later. */
  async tell(files: WatchedFile[], freeBytes: number | null): Promise<void> {
    if (performance.now() < this.#tellAgainMs) return
    try {
      const { platform } = await this.platform()
      const due = performance.now() - this.#lastBeatMs >= heartbeatEveryMs || this.#lastBeatTrouble !== this.#trouble()
      if (due) await this.#beat(platform, files, freeBytes)
      // A sidecar belongs to a run: that is opened first.
      for (const file of files.toSorted(runFilesFirst)) await this.#tellOf(platform, file)
      if (this.#connected === false) this.say({ event: 'connected' })
      this.#connected = true
      this.#tellFailures = 0
    } catch (error) {
      if (this.#options.signal.aborted) return
      this.#tellFailures += 1
      this.#tellAgainMs = performance.now() + backoffMs(this.#tellFailures, 1000, 30_000)
      const fault = asFault(error, 'the platform')
      if (this.#connected !== false) {
        this.say({ event: 'disconnected', code: fault.code, detail: fault.detail, hint: fault.hint ?? '' })
      }
      this.#connected = false
    }
  }

  async #beat(platform: Platform, files: WatchedFile[], freeBytes: number | null): Promise<void> {
    const { setup, series, directory, agent, version } = this.#options
    const waiting = files.filter((file) => file.phase !== 'safe')
    const trouble = this.#trouble()
    const answer = await platform.heartbeat({
      agent,
      setup,
      series,
      host: hostname(),
      directory,
      version,
      waitingRuns: new Set(waiting.map((file) => file.number)).size,
      waitingBytes: waiting.reduce((sum, file) => sum + file.stamp.sizeBytes, 0),
      freeBytes: freeBytes === null ? null : Math.round(freeBytes),
      trouble,
    })
    this.#lastBeatMs = performance.now()
    this.#serverClock = { serverMs: answer.serverMs, atMs: performance.now() }
    this.#lastBeatTrouble = trouble
    const store = { bucket: answer.bucket, url: answer.s3Url, region: answer.region }
    if (JSON.stringify(store) === JSON.stringify(this.#store)) return
    this.#store = store
    await writeFileDurable(this.#storePath(), JSON.stringify(store)).catch(() => undefined)
  }

  #trouble(): string {
    const fault = this.#folderTrouble ?? this.#sendTrouble
    return fault === undefined ? '' : `${fault.detail} ${fault.hint ?? ''}`.trim().slice(0, 2000)
  }

  /** Told by one at a time: the uploader and the regular round may both come. */
  async #tellOf(platform: Platform, file: WatchedFile): Promise<void> {
    const turn = (this.#telling.get(file) ?? Promise.resolve())
      .catch(() => undefined)
      .then(() => this.#tellNow(platform, file))
    this.#telling.set(file, turn)
    await turn
  }

  /** A safe file has no trouble any more; what an earlier life told of it is then taken back. */
  async #takeUpTrouble(file: WatchedFile): Promise<void> {
    if (file.phase !== 'safe' || file.told.trouble !== undefined) return
    const left = await this.#troubles.leftOf(file.name)
    if (left !== undefined) file.told.trouble = left
  }

  async #tellNow(platform: Platform, file: WatchedFile): Promise<void> {
    await this.#takeUpTrouble(file)
    if (file.phase === 'safe' && file.told.opened === undefined && file.told.trouble === undefined) return
    try {
      await this.#tellRun(platform, file)
    } catch (error) {
      // A sidecar is sent before its run file, often before its run is known: no trouble, it is told with a later round.
      if (error instanceof Fault && error.code === 'logbook.no_such_run' && file.role === 'sidecar') return
      // The platform does not want this run (unknown setup, closed series): that concerns this run only.
      if (!(error instanceof Fault) || error.status >= 500 || [401, 403, 408, 429].includes(error.status)) throw error
      if (file.told.refused !== error.detail) this.#sayTrouble(error, file)
      file.told.refused = error.detail
    }
  }

  async #tellRun(platform: Platform, file: WatchedFile): Promise<void> {
    const { told, growing, stamp, run, phase } = file
    const { setup, series, agent } = this.#options
    if (file.role === 'raw') {
      const { startedMs = null, pedestal, description = '' } = growing ?? {}
      const opening = JSON.stringify([startedMs, pedestal, description])
      if (told.opened !== opening && phase !== 'safe') {
        const body = { setup, series, number: file.number, startedMs, path: file.path, agent, pedestal, description }
        await platform.openRun(body)
        if (told.opened === undefined) this.say({ event: 'run-seen', file: file.name, run })
        told.opened = opening
      }
      const grown = growing?.wholeBytes ?? 0
      if (phase === 'growing' && told.progress !== stamp.sizeBytes && told.opened !== undefined) {
        await platform.progress(run, {
          bytes: Math.max(grown, stamp.sizeBytes),
          events: growing?.events ?? 0,
          atMs: Date.now(),
        })
        told.progress = stamp.sizeBytes
      }
    }
    const sizeBytes = file.storedBytes ?? stamp.sizeBytes
    const closing = `${sizeBytes} ${file.sha256 ?? ''}`
    // A sidecar may come before its run is known; its bytes are told when they were read.
    const tellClosed =
      phase === 'closed' && told.closed !== closing && (file.role === 'raw' || file.sha256 !== undefined)
    if (tellClosed) {
      const report = {
        key: file.key,
        sizeBytes,
        endOfRunSeen: growing?.endOfRunSeen ?? false,
        endedMs: growing?.endedMs ?? null,
      }
      if (file.sha256 === undefined) await platform.closed(run, report)
      else await tellBytes(platform, file, { ...report, sha256: file.sha256 })
      if (told.closed === undefined) this.say({ event: 'run-ended', file: file.name, run, sizeBytes: stamp.sizeBytes })
      told.closed = closing
    }
    const trouble = file.trouble?.detail
    if (trouble !== undefined && told.trouble !== trouble) {
      const { code, detail, hint = '' } = file.trouble!
      const known = code.startsWith('ingest.') ? code : 'ingest.store_failed'
      await this.#troubles.remember(file.name, trouble)
      await platform.failed(run, { code: known, detail, hint, place: `${hostname()}:${file.path}` })
      told.trouble = trouble
    }
    if (trouble === undefined && told.trouble !== undefined) {
      await platform.recovered(run)
      delete told.trouble
      await this.#troubles.forget(file.name)
    }
  }
}

type Closing = Parameters<Platform['closed']>[1]

/** The platform's expectation is replaced knowingly: a report that comes again when a newer one was heard changes nothing. */
async function tellBytes(platform: Platform, { run, told }: WatchedFile, report: Closing & { sha256: string }) {
  try {
    await platform.closed(run, { ...report, replaces: told.expected ?? null })
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'ingest.expects_otherwise') throw error
    await platform.closed(run, { ...report, replaces: String(error.extra?.expectedSha256) })
  }
  told.expected = report.sha256
}

const runFilesFirst = (one: WatchedFile, other: WatchedFile): number =>
  Number(one.role === 'sidecar') - Number(other.role === 'sidecar')

/** Concerns every file alike: waiting helps, trying the next file does not. */
function isAboutTheLine(fault: Fault): boolean {
  if (fault.code === 'ingest.store_refused') return fault.extra?.s3Code !== 'AccessDenied'
  return [
    'ingest.store_unreachable',
    'ingest.store_full',
    'ingest.key_refused',
    'ingest.bad_key_file',
    'foundation.unreachable',
  ].includes(fault.code)
}

/** Doubles up to a ceiling; half of it is chance, so that many agents do not come back at the same moment. */
function backoffMs(attempt: number, firstMs: number, ceilingMs: number): number {
  const fullMs = Math.min(ceilingMs, firstMs * 2 ** Math.min(attempt - 1, 20))
  return Math.round(fullMs * (0.5 + Math.random() / 2))
}
