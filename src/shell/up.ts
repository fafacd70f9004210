/** `cygnet up`: becomes the version that this home runs, starts it, and stays until somebody ends it. */
import { spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { CommandContext } from '../foundation/command-line.ts'
import { Fault } from '../foundation/errors.ts'
import { becomeVersion, commandLineOf } from './become.ts'
import { shellFaults } from './errors.ts'
import { homeAt, prepareHome, type Home } from './home.ts'
import { addressesAt, callControl, startPlatform, type Platform } from './platform.ts'
import { copyProgram, versionOfCopy } from './program-copy.ts'
import { readRelease, versionToStart } from './release.ts'
import { readSettings } from './settings.ts'
import { supervisorState } from './supervisor-socket.ts'
import { programFolder } from './version-process.ts'

export interface UpOptions {
  port?: number
  public?: boolean
  background?: boolean
  quiet?: boolean
  /** Of who has chosen this version already, and became it. */
  as?: string
}

export interface AdminLink {
  url: string
  expiresAtMs: number
}

const linkPatienceMs = 60_000

/** The one-time link of the site admin, made at the first start and whenever somebody who owns the home asks. */
async function adminLinkAtFirstStart(platform: Pick<Platform, 'home'>): Promise<AdminLink | null> {
  const deadlineMs = performance.now() + linkPatienceMs
  for (;;) {
    try {
      const asked = callControl<{ link: AdminLink | null }>(platform.home, 'POST', '/internal/first-admin-link')
      return (await asked).link
    } catch (error) {
      // Control may have died since it served; the supervisor starts it again.
      if (performance.now() > deadlineMs) throw error
      await sleep(200)
    }
  }
}

/** What is printed when the platform serves; a platform in the background is known by where it answers only. */
type Ready = Pick<Platform, 'addresses' | 'home' | 'version' | 'startMs'>

export async function up(context: CommandContext, checkout: string, options: UpOptions): Promise<void> {
  const { port } = options
  if (port !== undefined && !Number.isInteger(port))
    throw shellFaults.usage('--port takes a number, for example --port 8410')
  const { output } = context
  const home = homeAt(context.home)
  // Wrong settings are told before anything is made.
  await readSettings(home, port, options.public ? '*' : undefined)
  await prepareHome(home)
  const here = versionOfCopy(checkout, home)
  const version = here !== undefined && here === options.as ? here : await chooseVersion(home, checkout, output)
  if (options.background) return await upInBackground(context, home, version)
  if (version !== here) becomeVersion(home, version)

  const release = await readRelease(home)
  const stop = stopSignal()
  /** Whoever takes up a hand-over becomes the next version before a word was said: then that one says it. */
  let told = false
  const platform = await startPlatform({
    checkout,
    home: home.folder,
    port,
    listen: options.public ? '*' : undefined,
    program: { folder: programFolder(home, version), version, how: release?.next?.how ?? 'up' },
    onProgress: (message) => options.quiet || output.progress(message),
    continueAs: (next) =>
      becomeVersion(
        home,
        next,
        told ? [...process.argv.slice(2).filter((word) => word !== '--quiet'), '--quiet'] : process.argv.slice(2),
      ),
  }).catch(async (error: unknown) => {
    const now = await readRelease(home)
    if (
      !(error instanceof Fault && error.code === 'shell.switch_failed') ||
      now === undefined ||
      now.current === version
    )
      throw error
    for (const line of [`error: ${error.detail}`, `Going back to version ${now.current}.`]) output.line(line)
    return becomeVersion(home, now.current)
  })
  if (!options.quiet) {
    output.progress('')
    tell(output, platform, await adminLinkAtFirstStart(platform))
    told = true
  }
  await Promise.race([stop, platform.stopAsked])
  if (!options.quiet) output.line('stopping; running jobs and notebooks go on')
  await platform.stop()
}

/** The one of this checkout, unless the home has left that one, or is to run another one. */
async function chooseVersion(home: Home, checkout: string, output: CommandContext['output']): Promise<string> {
  let here = versionOfCopy(checkout, home)
  const isCopy = here !== undefined
  if (!isCopy) {
    output.progress('copying the program')
    here = (await copyProgram(checkout, home.folder)).version
  }
  const release = await readRelease(home)
  const version = versionToStart(release, isCopy ? undefined : here) ?? here!
  if (!isCopy && version !== here && release?.left.includes(here!)) {
    output.line(`This installation runs version ${version}. This checkout holds ${here}, which it has left;`)
    output.line('to go there all the same: cygnet upgrade')
  }
  return version
}

async function upInBackground(context: CommandContext, home: Home, version: string): Promise<void> {
  const { output } = context
  if (await supervisorState(home)) throw shellFaults.alreadyRunning(`A Cygnet already runs in ${home.folder}.`)
  const said = join(home.logs, 'supervisor.out')
  const file = openSync(said, 'w', 0o600)
  const argv = process.argv.slice(2).filter((word) => word !== '--background')
  const [program, ...rest] = commandLineOf(home, version, [...argv, '--quiet'])
  const child = spawn(program!, rest, { detached: true, stdio: ['ignore', file, file] })
  closeSync(file)
  let ended = false
  child.once('exit', () => (ended = true))
  child.once('error', () => (ended = true))
  child.unref()
  for (;;) {
    const state = await supervisorState(home)
    if (state?.ready) {
      const ready = { home, addresses: await addressesAt(home), version: state.version, startMs: performance.now() }
      output.progress('')
      return tell(output, ready, await adminLinkAtFirstStart(ready))
    }
    if (ended) throw shellFaults.didNotStart((await readFile(said, 'utf8')).trim() || 'It ended without a word.')
    await sleep(50)
  }
}

/** Also when the terminal is closed. */
function stopSignal(): Promise<void> {
  return new Promise((done) => {
    for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const) process.on(signal, () => done())
  })
}

function tell(output: CommandContext['output'], ready: Ready, link: AdminLink | null): void {
  if (output.isJson) output.json(readyEvent(ready, link))
  else for (const line of welcome(ready, link)) output.line(line)
}

export function readyEvent({ addresses, version, startMs }: Ready, link: AdminLink | null) {
  return {
    event: 'ready',
    version,
    platform: addresses.publicUrl,
    s3: addresses.s3Url,
    platformUpSeconds: Math.round(startMs) / 1000,
    ...(link === null ? {} : { adminLink: link.url }),
  }
}

function welcome({ addresses, home, startMs }: Ready, link: AdminLink | null): string[] {
  return [
    `Cygnet serves after ${(startMs / 1000).toFixed(1)} s.`,
    `  platform  ${addresses.publicUrl}`,
    `  S3        ${addresses.s3Url}`,
    `  home      ${home.folder}`,
    ...(link === null
      ? ['Sign in as before, or get a new link with: cygnet admin-link']
      : ['', 'Sign in as site admin, once, within 30 minutes:', `  ${link.url}`]),
    '',
    'Ctrl-C, or cygnet down, stops the platform. Running jobs and notebooks go on and are found again at the next start.',
  ]
}
