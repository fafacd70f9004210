/** Starts one installation in this process's care: home, version, supervisor, and the wait until it serves. */
import { rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { basename, join } from 'node:path'
import { text } from 'node:stream/consumers'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../foundation/errors.ts'
import { readJsonFile, removeTornWrites, writeFileDurable } from '../foundation/files.ts'
import { acquireLock, lockHolder, type Lock } from '../foundation/lock.ts'
import { createLogger, type Logger } from '../foundation/log.ts'
import { processIdentity } from '../foundation/processes.ts'
import { shellFaults } from './errors.ts'
import { handOver, type Order, type Step } from './hand-over.ts'
import { bringBackDatabase, migrationsSince } from './hand-over-database.ts'
import { addressesOf, homeAt, prepareHome, type Addresses, type Home } from './home.ts'
import { lastWords, logEnd } from './last-words.ts'
import { keepLogsSmall } from './log-rotation.ts'
import { healthSocket, isHealthy } from './process-health.ts'
import { processPlans } from './process-plans.ts'
import { runningProcesses, unrecordedProcess, type ProcessPlan } from './process-records.ts'
import { copyProgram, removeOldCopies } from './program-copy.ts'
import { arrivedAt, firstRelease, readRelease, returnedFrom, writeRelease, type How, type Release } from './release.ts'
import { readSettings, type Settings } from './settings.ts'
import { superviseProcesses, writeStates, type Supervisor } from './supervisor.ts'
import { answerRequests } from './supervisor-socket.ts'
import { appliedMigrations } from './version-process.ts'

const startPatienceMs = 60_000
/** A version that has a predecessor to return to is not tried for ever. */
const startAttempts = 3
const logsLookedAtEveryMs = 5_000
/** Threads for fsync; the processes say for themselves what else they need. */
const environment = process.env

export interface PlatformOptions {
  checkout: string
  home?: string | undefined
  port?: number | undefined
  /** Address to listen on, whatever the settings say; '*' is all of them. */
  listen?: string | undefined
  /** A copy that is there already, and what chose it; default: this checkout's, copied now. */
  program?: { folder: string; version: string; how: How }
  onProgress?: (message: string) => void
  /** Called when another version has taken over and this supervisor has let everything go: becomes that version. */
  continueAs?: (version: string) => void
}

export interface Platform {
  home: Home
  addresses: Addresses
  version: string
  /** Path of the program copy that the processes run. */
  program: string
  /** From the first process started to the page served. */
  startMs: number
  /** Resolves when the owner of the home asked for the end (`cygnet down`). */
  stopAsked: Promise<void>
  stop(): Promise<void>
}

/**
 * Throws 'shell.switch_failed', everything stopped and the version before it chosen again, when a version that came
 * with this start does not serve.
 */
export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const home = homeAt(options.home)
  const settings = await readSettings(home, options.port, options.listen)
  await prepareHome(home)
  const log = createLogger({ process: 'supervisor', destination: join(home.logs, 'supervisor.log') })
  const lock = await takeLock(home)
  try {
    if (!options.program) options.onProgress?.('copying the program')
    const program = options.program ?? { ...(await copyProgram(options.checkout, home.folder)), how: 'up' as const }
    return await startHere({ ...options, program }, { home, settings, log, lock })
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** After it has become another version this process is still the one that holds the lock. */
async function takeLock(home: Home): Promise<Lock> {
  const path = join(home.run, 'supervisor.lock')
  const holder = await lockHolder(path)
  const self = processIdentity(process.pid)
  if (holder && holder.pid === self?.pid && holder.startTicks === self.startTicks) await rm(path, { force: true })
  return await acquireLock(path).catch((cause: unknown) => {
    throw shellFaults.alreadyRunning(`A Cygnet already runs in ${home.folder}.`, { cause })
  })
}

interface Ground {
  home: Home
  settings: Settings
  log: Logger
  lock: Lock
}

async function startHere(
  options: PlatformOptions & { program: NonNullable<PlatformOptions['program']> },
  { home, settings, log, lock }: Ground,
): Promise<Platform> {
  const { folder: program, version, how } = options.program
  const addresses = addressesOf(settings.http)
  const plans = processPlans(home, program, settings)
  await removeTornWrites(home.run, (name) => name !== basename(home.snapshot))
  // Who was started and not written down before its supervisor died holds our ports all the same.
  const unrecorded = await Promise.all(plans.map((plan) => unrecordedProcess(home, plan)))
  if ((await runningProcesses(home)).size === 0 && unrecorded.every((found) => found === undefined)) {
    const { redirectHttpPort = addresses.s3Port } = settings.http
    for (const port of new Set([addresses.platformPort, addresses.s3Port, redirectHttpPort]))
      await requireFreePort(addresses.listen, port)
  }
  options.onProgress?.('starting the platform')
  const before = await releaseBefore(home, version, how)
  /** A hand-over that this version had begun when it died: control is the next version's already, or nobody's. */
  const resumed = before?.switching && before.current === version ? before.switching : null
  const startedMs = performance.now()
  const supervisor = await superviseProcesses(
    home,
    resumed ? plans.filter(({ name }) => name !== 'control') : plans,
    log,
    {
      environment,
      onChange: (states) => void writeStates(home, states).catch(() => {}),
      leave: resumed ? ['control'] : [],
    },
  )
  const rotation = setInterval(() => void keepLogsSmall(home.logs, log), logsLookedAtEveryMs).unref()
  let present = plans
  let busy: Promise<void> | undefined
  let ready = false
  let stopping: Promise<void> | undefined
  const asked = Promise.withResolvers<void>()

  const handOverTo = async (order: Order, tell: (step: Step) => void) => {
    if (busy) throw shellFaults.switchFailed('Another hand-over is under way.')
    const work = (async () => {
      ready = false
      try {
        present = await handOver(
          { home, log, supervisor, plans: present, port: options.port, listen: options.listen, environment, tell },
          order,
        )
      } catch (error) {
        log.error({ err: error }, 'the hand-over did not succeed')
        throw error instanceof Fault ? error : shellFaults.switchFailed((error as Error).message, { cause: error })
      } finally {
        ready = true
      }
    })()
    busy = work.finally(() => (busy = undefined))
    busy.catch(() => {})
    await work
  }
  const closeRequests = await answerRequests(
    home,
    {
      state: () => ({ version, pid: process.pid, ready: ready && !stopping, processes: supervisor.states() }),
      handOver: handOverTo,
      continue: () => void goOn().catch((error: unknown) => log.error({ err: error }, 'the supervisor stays as it is')),
      stop: () => asked.resolve(),
    },
    log,
  )
  /** Becomes the version that runs now; where that cannot be (the demo), goes on as the version it is. */
  const goOn = async () => {
    await removeOldCopies(home, log)
    const release = await readRelease(home)
    if (options.continueAs && release && !stopping) {
      await supervisor.abandon()
      log.info({ version: release.current }, 'the supervisor becomes this version')
      try {
        options.continueAs(release.current)
      } catch (error) {
        log.error({ err: error }, 'that failed; the supervisor goes on as it is')
      }
    }
    for (const plan of present) supervisor.keep(plan)
  }
  const stop = () =>
    (stopping ??= (async () => {
      await busy?.catch(() => {})
      clearInterval(rotation)
      await closeRequests()
      await rm(home.addresses, { force: true })
      await supervisor.stop()
      await lock.release()
    })())

  try {
    if (resumed) {
      const { to, how: chosenBy, copy } = resumed
      await handOverTo({ to, how: chosenBy, ...(copy !== undefined && { copy }) }, () => {}).catch(() => {})
      await writeFileDurable(home.addresses, JSON.stringify(addresses), { mode: 0o600 })
      if ((await readRelease(home))?.current !== version) await goOn()
      for (const plan of present) supervisor.keep(plan)
    } else {
      await untilServing(home, supervisor, plans, before?.switching ? startAttempts : undefined)
      if (before) await settleArrival(home, before, version, how)
    }
    await writeFileDurable(home.addresses, JSON.stringify(addresses), { mode: 0o600 })
    await rm(home.handOver, { force: true })
    ready = true
  } catch (error) {
    await stop()
    if (!before?.switching || resumed) throw error
    const reason = (error as Error).message
    await bringBackDatabase(home, before.current, before.switching)
    await writeRelease(home, returnedFrom(before, version, Date.now(), reason))
    log.error({ err: error, version, current: before.current }, 'this version did not serve; back to the one before it')
    throw shellFaults.switchFailed(`Version ${version} did not serve: ${reason}`, { cause: error })
  }
  await removeOldCopies(home, log)
  const startMs = performance.now() - startedMs
  return { home, addresses, version, program, startMs, stopAsked: asked.promise, stop }
}

/**
 * What was chosen before this start, with the switch to this version written down if it is another one: whoever finds
 * it after a crash takes it up. Undefined when this version ran before.
 */
async function releaseBefore(home: Home, version: string, how: How): Promise<Release | undefined> {
  const release = await readRelease(home)
  if (!release) {
    await writeRelease(home, firstRelease(version, Date.now()))
    return undefined
  }
  if (release.current === version) {
    if (release.next) await writeRelease(home, { ...release, next: null })
    return release.switching ? release : undefined
  }
  const appliedBefore = await appliedMigrations(home, version)
  const before = { ...release, switching: { to: version, how, startedMs: Date.now(), appliedBefore } }
  await writeRelease(home, before)
  return before
}

async function settleArrival(home: Home, before: Release, version: string, how: How): Promise<void> {
  const migrated = before.switching && (await migrationsSince(home, version, before.switching))
  await writeRelease(home, arrivedAt(before, version, { how, nowMs: Date.now(), migrated }))
}

/** Of the installation that runs in this home, or else the ones its settings say. */
export async function addressesAt(home: Home): Promise<Addresses> {
  return (await readJsonFile<Addresses>(home.addresses)) ?? addressesOf((await readSettings(home, undefined)).http)
}

async function untilServing(
  home: Home,
  supervisor: Supervisor,
  plans: readonly ProcessPlan[],
  attempts: number | undefined,
): Promise<void> {
  const deadlineMs = performance.now() + startPatienceMs
  const since = await logEnd(home, 'control')
  while (!(await allServe(home, supervisor, plans))) {
    const ends = supervisor.states().find(({ restarts }) => restarts >= (attempts ?? Infinity))
    if (performance.now() <= deadlineMs && !ends) {
      await sleep(20)
      continue
    }
    const what = ends ? `${ends.name} ends again and again` : `no answer for ${startPatienceMs / 1000} s`
    const words = await lastWords(home, ends?.name ?? 'control', since)
    throw shellFaults.didNotStart(`The platform did not start: ${what}: ${words}. Logs: ${home.logs}`)
  }
}

async function allServe(home: Home, supervisor: Supervisor, plans: readonly ProcessPlan[]): Promise<boolean> {
  for (const { name } of plans) {
    const pid = supervisor.running(name)?.pid
    if (pid === undefined) return false
    const [socket, path] = name === 'control' ? [home.controlSocket, '/api/health'] : [healthSocket(home, pid), '/']
    if (!(await isHealthy(socket!, path!, 2_000))) return false
  }
  return true
}

async function requireFreePort(listen: string, port: number): Promise<void> {
  await new Promise<void>((done, failed) => {
    const probe = createServer()
    probe.once('error', (cause) => failed(shellFaults.portInUse(`Port ${port} on ${listen} is taken.`, { cause })))
    probe.listen({ port, ...(listen === '*' ? {} : { host: listen }) }, () => probe.close(() => done()))
  })
}

/**
 * Speaks to control over its UNIX socket, which only the person who runs the installation can open: what is asked here
 * needs no other proof. Answers the JSON body.
 */
export function callControl<Answer>(home: Home, method: 'GET' | 'POST', path: string): Promise<Answer> {
  return new Promise((done, failed) => {
    const notRunning = (cause: unknown) =>
      failed(shellFaults.notRunning(`No Cygnet runs in ${home.folder}.`, { cause }))
    const request = httpRequest({ socketPath: home.controlSocket, method, path, timeout: 5_000 }, (response) => {
      // Also of a control that dies in the middle of its answer.
      text(response)
        .then((said) => {
          if (response.statusCode === 200) done(JSON.parse(said) as Answer)
          else failed(shellFaults.notRunning(`Control answered ${response.statusCode}: ${said.slice(0, 200)}`))
        })
        .catch(notRunning)
    })
    request.on('timeout', () => request.destroy(new Error('no answer from control for 5 s')))
    request.on('error', notRunning)
    request.end()
  })
}
