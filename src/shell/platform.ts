/** Starts one installation in this process's care: home, program copy, supervisor, and the wait until it serves. */
import { rm } from 'node:fs/promises'
import { request as httpRequest } from 'node:http'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { readConfig } from '../foundation/config.ts'
import { readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { acquireLock } from '../foundation/lock.ts'
import { createLogger } from '../foundation/log.ts'
import { shellFaults } from './errors.ts'
import { addressesOf, homeAt, prepareHome, type Addresses, type Home } from './home.ts'
import { copyProgram } from './program-copy.ts'
import { settingsSchema, type Settings } from './settings.ts'
import { superviseProcesses, type ProcessPlan } from './supervisor.ts'

const startPatienceMs = 60_000

export interface PlatformOptions {
  checkout: string
  home?: string | undefined
  port?: number | undefined
  onProgress?: (message: string) => void
}

export interface Platform {
  home: Home
  addresses: Addresses
  version: string
  /** Path of the program copy that the processes run. */
  program: string
  /** From the first process started to the page served. */
  startMs: number
  stop(): Promise<void>
}

export async function readSettings(home: Home, port: number | undefined): Promise<Settings> {
  const overrides = port === undefined ? {} : { http: { port } }
  return readConfig(settingsSchema, { home: home.folder, overrides })
}

export async function startPlatform(options: PlatformOptions): Promise<Platform> {
  const home = homeAt(options.home)
  const settings = await readSettings(home, options.port)
  await prepareHome(home)
  const log = createLogger({ process: 'supervisor', destination: join(home.logs, 'supervisor.log') })
  const lock = await acquireLock(join(home.run, 'supervisor.lock')).catch((cause: unknown) => {
    throw shellFaults.alreadyRunning(`A Cygnet already runs in ${home.folder}.`, { cause })
  })
  try {
    const addresses = addressesOf(settings.http)
    options.onProgress?.('copying the program')
    const { folder: program, version } = await copyProgram(options.checkout, home.folder)
    if (!(await serves(home, addresses))) {
      for (const port of [addresses.platformPort, addresses.s3Port]) await requireFreePort(port)
    }
    options.onProgress?.('starting the platform')
    const startedMs = performance.now()
    const supervisor = await superviseProcesses(home, processPlans(home, program, settings), log, environment)
    const stop = async () => {
      await rm(home.addresses, { force: true })
      await supervisor.stop()
      await lock.release()
    }
    try {
      await untilServing(home, addresses)
      await writeFileDurable(home.addresses, JSON.stringify(addresses), { mode: 0o600 })
    } catch (error) {
      await stop()
      throw error
    }
    return { home, addresses, version, program, startMs: performance.now() - startedMs, stop }
  } catch (error) {
    await lock.release()
    throw error
  }
}

/** Of the installation that runs in this home, or else the ones its settings say. */
export async function addressesAt(home: Home): Promise<Addresses> {
  return (await readJsonFile<Addresses>(home.addresses)) ?? addressesOf((await readSettings(home, undefined)).http)
}

/** A gateway's garbage is short-lived buffers: marking in small steps costs it more than it saves (bench/storage.ts). */
const gatewayNodeOptions = ['--no-incremental-marking']
/** Threads for fsync, of which a gateway has many under way. */
const environment = { ...process.env, UV_THREADPOOL_SIZE: '16' }

function processPlans(home: Home, program: string, settings: Settings): ProcessPlan[] {
  const node = join(program, 'bin', 'node')
  const run = (file: string, nodeOptions: string[], ...rest: string[]) => [
    node,
    '--disable-warning=ExperimentalWarning',
    ...nodeOptions,
    join(program, 'src', 'shell', file),
    '--home',
    home.folder,
    '--port',
    String(settings.http.port),
    ...rest,
  ]
  const gateways = Array.from({ length: settings.http.gateways }, (_, index) => ({
    name: `gateway-${index + 1}`,
    argv: run('gateway.ts', gatewayNodeOptions, '--number', String(index + 1)),
  }))
  return [{ name: 'control', argv: run('control.ts', []) }, ...gateways]
}

async function untilServing(home: Home, addresses: Addresses): Promise<void> {
  const deadlineMs = performance.now() + startPatienceMs
  while (!(await serves(home, addresses))) {
    if (performance.now() > deadlineMs) {
      throw shellFaults.didNotStart(
        `No answer from ${addresses.publicUrl} for ${startPatienceMs / 1000} s. Logs: ${home.logs}`,
      )
    }
    await sleep(20)
  }
}

async function serves(home: Home, addresses: Addresses): Promise<boolean> {
  const answers = await Promise.all([
    fetch(`${addresses.publicUrl}/api/health`).then(
      (answer) => answer.ok,
      () => false,
    ),
    fetch(addresses.s3Url).then(
      () => true,
      () => false,
    ),
    callControl(home, 'GET', '/api/health').then(
      () => true,
      () => false,
    ),
  ])
  return answers.every(Boolean)
}

async function requireFreePort(port: number): Promise<void> {
  await new Promise<void>((done, failed) => {
    const probe = createServer()
    probe.once('error', (cause) => failed(shellFaults.portInUse(`Port ${port} on 127.0.0.1 is taken.`, { cause })))
    probe.listen(port, '127.0.0.1', () => probe.close(() => done()))
  })
}

/**
 * Speaks to control over its UNIX socket, which only the person who runs the installation can open: what is asked here
 * needs no other proof. Answers the JSON body.
 */
export function callControl<Answer>(home: Home, method: 'GET' | 'POST', path: string): Promise<Answer> {
  return new Promise((done, failed) => {
    const request = httpRequest({ socketPath: home.controlSocket, method, path, timeout: 5_000 }, (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('end', () => {
        const text = Buffer.concat(chunks).toString()
        if (response.statusCode === 200) done(JSON.parse(text) as Answer)
        else failed(shellFaults.notRunning(`Control answered ${response.statusCode}: ${text.slice(0, 200)}`))
      })
    })
    request.on('timeout', () => request.destroy(new Error('no answer from control for 5 s')))
    request.on('error', (cause) => failed(shellFaults.notRunning(`No Cygnet runs in ${home.folder}.`, { cause })))
    request.end()
  })
}
