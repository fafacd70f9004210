/** `cygnet demo`: the whole chain on simulated data; with `--once` without a person, checked from outside. */
import type { Command } from 'commander'
import { mkdtemp, rm } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { writeFileDurable } from '../../foundation/files.ts'
import { spawnDetached } from '../../foundation/processes.ts'
import { stopSignal } from '../arguments.ts'
import { shellFaults } from '../errors.ts'
import { homeAt, type Home } from '../home.ts'
import { callControl, startPlatform, type Platform } from '../platform.ts'
import { readyEvent, type AdminLink } from '../up.ts'
import { prepareDemo, takeData } from './demo.ts'
import { runOnce } from './once.ts'

interface DemoOptions {
  once?: boolean
  port?: string
  runs: string
  /** Kept, and used again by the next demo, when it is named or a person looks. */
  home?: string
}

export function registerDemoCommand(program: Command, context: CommandContext, checkout: string): void {
  addVerb(program, 'demo', {
    summary: 'a simulated detector takes runs; see them recorded, reconstructed and in a notebook',
    example: 'cygnet demo --once --json',
  })
    .option('--once', 'without a person: one pedestal and two data runs, everything checked from outside, then end')
    .option('--port <number>', 'platform port; default: a free one')
    .option('--runs <n>', 'data runs the simulated detector takes', '5')
    .action(async (_options: DemoOptions, command: Command) => {
      const options = command.optsWithGlobals<DemoOptions>()
      if (options.once) await demoOnce(context, checkout, options)
      else await demoForPeople(context, checkout, options)
    })
}

async function demoOnce(context: CommandContext, checkout: string, options: DemoOptions): Promise<void> {
  const { output } = context
  const home = options.home ?? (await mkdtemp(join(tmpdir(), 'cygnet-demo-')))
  let platform: Platform | undefined
  try {
    platform = await start(checkout, home, options, (message) => output.progress(message))
    const report = await runOnce(platform, checkout, (message) => output.progress(message))
    output.progress('')
    if (output.isJson) output.json(report)
    else output.line(`All steps checked. ${JSON.stringify(report, null, 2)}`)
  } finally {
    await platform?.stop()
    if (options.home === undefined) await rm(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  }
}

async function demoForPeople(context: CommandContext, checkout: string, options: DemoOptions): Promise<void> {
  const { output } = context
  const home = options.home ?? join(homeAt(undefined).folder, '..', 'cygnet-demo')
  const platform = await start(checkout, home, options, (message) => output.progress(message))
  const stop = stopSignal()
  const demo = await prepareDemo(platform)
  const link = await callControl<AdminLink>(platform.home, 'POST', '/internal/admin-link')
  output.progress('')
  if (output.isJson) output.json(readyEvent(platform, link))
  for (const line of welcome(platform, link.url)) output.line(line)
  await openInBrowser(platform.home, link.url)
  const detector = takeData(demo, { runs: Number(options.runs), images: 20, paceSeconds: 1 }, (event) => {
    if (event.event === 'run-begun')
      output.line(`run sim:${String(event.number)} (${String(event.kind)}) is being recorded`)
    if (event.event === 'safe') output.line(`${String(event.file)} is safe`)
    if (event.event === 'trouble') output.line(`TROUBLE with ${String(event.file)}: ${String(event.detail)}`)
  })
  void detector.simulated.then(() =>
    output.line('The simulated detector rests. Ctrl-C ends the demo; its data stay for the next one.'),
  )
  await stop
  output.line('stopping')
  await detector.stop()
  await platform.stop()
}

async function start(
  checkout: string,
  home: string,
  { port }: DemoOptions,
  onProgress: (message: string) => void,
): Promise<Platform> {
  return startPlatform({ checkout, home, port: port === undefined ? await freePortPair() : Number(port), onProgress })
}

function welcome({ addresses, home }: Platform, link: string): string[] {
  return [
    '',
    'Open this link; it signs you in as admin, once, within 30 minutes:',
    `  ${link}`,
    '',
    'What happens: a simulated detector takes a pedestal run and then data runs, one image a second. Each run appears',
    'while it is recorded, its file arrives, and tracks appear on it seconds after its end.',
    `  platform ${addresses.publicUrl}   S3 ${addresses.s3Url}   home ${home.folder}`,
    '',
  ]
}

/**
 * A browser opens where there is a screen; elsewhere the link is enough. The code in the link is a secret for as long
 * as it is unused, so it goes by a private page and not by the argument list that every user can read.
 */
async function openInBrowser(home: Home, url: string): Promise<void> {
  if (process.env.DISPLAY === undefined && process.env.WAYLAND_DISPLAY === undefined) return
  const page = join(home.run, 'sign-in.html')
  await writeFileDurable(page, `<meta http-equiv="refresh" content="0; url=${url}">`, { mode: 0o600 })
  await spawnDetached(['xdg-open', page]).catch(() => undefined)
}

/** Two neighbouring free ports on the loopback address. */
async function freePortPair(): Promise<number> {
  for (let port = 8410; port < 65_000; port += 2) {
    if ((await isFree(port)) && (await isFree(port + 1))) return port
  }
  throw shellFaults.portInUse('No two neighbouring ports are free.')
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const probe = createServer()
    probe.once('error', () => done(false))
    probe.listen(port, '127.0.0.1', () => probe.close(() => done(true)))
  })
}
