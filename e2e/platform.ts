/**
 * A running Cygnet for black-box tests: started as a person would start it, spoken to over the wire only. Nothing here
 * imports the program.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const checkout = dirname(dirname(fileURLToPath(import.meta.url)))
const commandLine = join(checkout, 'src', 'shell', 'cli.ts')

export interface RunningPlatform {
  home: string
  platformUrl: string
  s3Url: string
  /** One-time link of the first site admin, printed at the first start. */
  adminLink: string
  /** Starts the supervisor again on the same home. */
  restart(): Promise<void>
  stop(): Promise<void>
  /** Pid of a process of the installation: supervisor, control, gateway-1, gateway-2. */
  pidOf(name: string): number
}

export async function startPlatform(
  options: {
    home?: string
    environment?: NodeJS.ProcessEnv
    /** Text of cygnet.yaml for this port. */
    settings?: (port: number) => string
  } = {},
): Promise<RunningPlatform> {
  const ownHome = options.home === undefined
  const home = options.home ?? mkdtempSync(join(tmpdir(), 'cygnet-e2e-'))
  const port = await freePortPair()
  if (options.settings !== undefined) writeFileSync(join(home, 'cygnet.yaml'), options.settings(port))
  let child: ChildProcess | undefined
  const platform: RunningPlatform = {
    home,
    platformUrl: '',
    s3Url: '',
    adminLink: '',
    async restart() {
      child = cygnet(['up', '--home', home, '--port', String(port), '--json'], options.environment)
      const ready = await firstLine(child)
      platform.platformUrl = ready.platform
      platform.s3Url = ready.s3
      platform.adminLink = ready.adminLink ?? platform.adminLink
    },
    async stop() {
      if (child && child.exitCode === null && child.signalCode === null) {
        const ended = new Promise((done) => child!.once('exit', done))
        child.kill('SIGTERM')
        await ended
      }
      if (ownHome) rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
    },
    pidOf(name) {
      if (name === 'supervisor') return child!.pid!
      const record = JSON.parse(readFileSync(join(home, 'run', `${name}.process.json`), 'utf8')) as { pid: number }
      return record.pid
    },
  }
  await platform.restart()
  return platform
}

/** Starts the command line, unbuilt, on the Node that runs this test. */
export function cygnet(argv: string[], environment: NodeJS.ProcessEnv = {}): ChildProcess {
  return spawn(process.execPath, ['--disable-warning=ExperimentalWarning', commandLine, ...argv], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  })
}

export interface Finished {
  code: number | null
  stdout: string
  stderr: string
}

/** Runs one command to its end. */
export async function runCygnet(argv: string[], environment: NodeJS.ProcessEnv = {}): Promise<Finished> {
  const child = cygnet(argv, environment)
  const [stdout, stderr] = await Promise.all([text(child.stdout!), text(child.stderr!)])
  const code = child.exitCode ?? (await new Promise<number | null>((done) => child.once('exit', done)))
  return { code, stdout, stderr }
}

/** Calls the API with JSON in and out; throws with the whole answer when it is not a success. */
export async function callApi<Answer = unknown>(
  platform: RunningPlatform,
  token: string | undefined,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const answer = await fetch(platform.platformUrl + path, {
    method,
    headers: {
      ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      ...(body === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
  const textBody = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path} answered ${answer.status}: ${textBody}`)
  return (textBody === '' ? undefined : JSON.parse(textBody)) as Answer
}

/** Uses up the one-time admin link and answers an access token of the site admin. */
export async function adminToken(platform: RunningPlatform): Promise<string> {
  const code = new URL(platform.adminLink).hash.replace('#code=', '')
  const answer = await callApi<{ accessToken: string }>(platform, undefined, 'POST', '/api/identity/token', { code })
  return answer.accessToken
}

/** Polls until `probe` answers something; for things that happen by themselves. */
export async function eventually<Value>(
  what: string,
  probe: () => Promise<Value | undefined>,
  patienceMs = 60_000,
): Promise<Value> {
  const deadlineMs = performance.now() + patienceMs
  let lastError: unknown
  while (performance.now() < deadlineMs) {
    try {
      const value = await probe()
      if (value !== undefined) return value
    } catch (error) {
      lastError = error
    }
    await sleep(200)
  }
  throw new Error(`gave up waiting for ${what}`, { cause: lastError })
}

/** The last lines of every log, for the message of a failed test. */
export function logTails(platform: RunningPlatform): string {
  const folder = join(platform.home, 'logs')
  return readdirSync(folder)
    .map((file) => `== ${file}\n${readFileSync(join(folder, file), 'utf8').split('\n').slice(-15).join('\n')}`)
    .join('\n')
}

async function firstLine(child: ChildProcess): Promise<{ platform: string; s3: string; adminLink?: string }> {
  const errors = text(child.stderr!)
  for await (const line of createInterface({ input: child.stdout! })) {
    const event = JSON.parse(line) as { event: string; platform: string; s3: string; adminLink?: string }
    if (event.event === 'ready') return event
  }
  throw new Error(`cygnet up ended before it was ready: ${await errors}`)
}

async function text(stream: NodeJS.ReadableStream): Promise<string> {
  let whole = ''
  for await (const chunk of stream) whole += String(chunk)
  return whole
}

/** Files that run beside each other draw from ranges of their own: what is free when looked at stays free. */
async function freePortPair(): Promise<number> {
  const worker = Number(process.env.VITEST_POOL_ID ?? 0) % 4
  for (;;) {
    const port = 20_000 + worker * 3_000 + Math.floor(Math.random() * 2_900)
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', () => done(false))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}
