/** `cygnet daq …`: the agent and the simulated detector, each a process of its own. */
import { join } from 'node:path'
import type { Command } from 'commander'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { foundationFaults } from '../foundation/errors.ts'
import { createLogger } from '../foundation/log.ts'
import { showFindings } from '../foundation/findings.ts'
import { requireFolder, runAgent, type AgentEvent } from './agent/agent.ts'
import { checkHost } from './agent/check-host.ts'
import { programVersion } from '../foundation/version.ts'
import { registerConvertCommand } from './convert-command.ts'
import { ingestFaults } from './errors.ts'
import { simulateDaq } from './simulate-daq.ts'
import { addSimulationFlags, simulationOf, type SimulationFlags } from './simulation-flags.ts'

export function registerDaqCommands(program: Command, context: CommandContext): void {
  const daq = program.command('daq').description('on the DAQ machine: send runs, or simulate them')

  const watch = addVerb(daq, 'watch <folder>', {
    summary: 'bring every closed run file of a folder to safety, and tell about runs while they are recorded',
    example:
      'cygnet daq watch /data/daq --experiment demo --setup lime --series sim --server http://127.0.0.1:8410 --key-file daq.key',
  })
  takesRuns(watch)
    .option('--name <name>', "this agent's name on the experiment's page; default: host and setup")
    .option('--idle <seconds>', 'a file without end of run counts as crashed after so long without growth', '30')
    .option('--compress', 'store run files as gzip, one member per event: run00012.mid as run00012.mid.gz')
    .option('--once', 'end when all files that are there are safe; exit code 1 if some are not')
    .action(async (folder: string, options: WatchOptions) => await watchFolder(context, folder, options))

  const check = addVerb(daq, 'check <folder>', {
    summary: 'look this DAQ machine over: folder, key, network, certificates, clock; changes nothing',
    example:
      'cygnet daq check /data/daq --experiment demo --setup lime --series sim --server https://cygnet.example.org --key-file daq.key',
  })
  takesRuns(check).action(async (directory: string, { s3: s3Url, server, ...options }: CheckOptions) => {
    const serverUrl = server ?? context.profile.platformUrl
    const findings = await checkHost({ directory, serverUrl, s3Url, ...options })
    if (showFindings(context.output, findings))
      throw ingestFaults.hostNotReady('Something must be mended before runs can be sent from here.')
  })

  registerConvertCommand(daq, context)

  const simulated = addVerb(daq, 'simulate', {
    summary: 'write a pedestal run and then data runs of a simulated detector into a folder',
    example: 'cygnet daq simulate --dir /tmp/daq --runs 2 --images 10 --site lngs-4cm --tracks iron=2',
  })
    .requiredOption('--dir <folder>', 'where the run files go')
    .option('--runs <n>', 'data runs after the pedestal run; "forever" until stopped; default 2')
    .option('--images <n>', 'images per run; default 10')
    .option('--pedestal-images <n>', 'images of the pedestal run; 0 = none; default: as --images, but 5 to 100')
    .option('--pace <seconds>', 'from one image to the next; 0 = as fast as it goes', '0')
    .option('--pause <seconds>', 'between runs', '0')
    .option('--seed <n>', 'the same seed gives the same runs', '1')
    .option('--first <number>', 'number of the first run; default: after the last one in the folder')
    .option('--gzip', 'write .mid.gz')
  addSimulationFlags(simulated).action(async (options: SimulateOptions) => await simulate(context, options))
}

/** Whose runs they are, where they go, and with which key. */
function takesRuns(verb: Command): Command {
  return verb
    .requiredOption('-e, --experiment <name>', 'the experiment')
    .requiredOption('--setup <name>', 'the setup that takes the runs')
    .requiredOption('--series <name>', 'the number series of the runs')
    .option('--server <url>', 'the platform; default: the one you are signed in to')
    .requiredOption('--key-file <path>', 'JSON with accessKeyId and secretAccessKey, readable by its owner only')
    .option('--s3 <url>', 'the S3 endpoint, if not the one the platform tells')
}

interface WatchOptions {
  experiment: string
  setup: string
  series: string
  server?: string
  keyFile: string
  s3?: string
  name?: string
  idle: string
  compress?: boolean
  once?: boolean
}

type CheckOptions = Pick<WatchOptions, 'experiment' | 'setup' | 'series' | 'server' | 'keyFile' | 's3'>

async function watchFolder({ output, profile }: CommandContext, folder: string, options: WatchOptions): Promise<void> {
  await requireFolder(folder)
  const stopping = stopOnSignals()
  const { unsafe } = await runAgent({
    directory: folder,
    experiment: options.experiment,
    setup: options.setup,
    series: options.series,
    serverUrl: options.server ?? profile.platformUrl,
    keyFile: options.keyFile,
    ...(options.s3 === undefined ? {} : { s3Url: options.s3 }),
    ...(options.name === undefined ? {} : { name: options.name }),
    once: options.once ?? false,
    compress: options.compress ?? false,
    idleMs: numberOf('--idle', options.idle) * 1000,
    version: programVersion(),
    signal: stopping,
    log: createLogger({ process: 'agent', destination: join(folder, '.cygnet', 'agent.log') }),
    onEvent(event) {
      if (output.isJson) output.json(event)
      const text = sentenceOf(event)
      if (!output.isJson || event.event === 'trouble' || event.event === 'disconnected') output.line(text)
    },
  })
  if (options.once === true && unsafe.length > 0) {
    throw ingestFaults.notVerified(`${unsafe.length} of the files are not safe yet: ${unsafe.join(', ')}.`, {
      hint: 'The reasons are above. Run it again, or without --once: it then goes on trying.',
    })
  }
}

function sentenceOf(event: AgentEvent): string {
  const time = `${new Date(event.atMs).toISOString().slice(0, 19).replace('T', ' ')}Z`
  const of = event.run === undefined ? '' : ` ${event.run}`
  switch (event.event) {
    case 'watching':
      return `${time} watching ${String(event.directory)} for ${String(event.experiment)}`
    case 'run-seen':
      return `${time} run${of} is being recorded`
    case 'run-ended':
      return `${time} run${of} has ended, ${String(event.sizeBytes)} bytes`
    case 'compressed':
      return `${time} compressed ${event.file} from ${String(event.originalBytes)} to ${String(event.sizeBytes)} bytes, ${String(event.tookMs)} ms`
    case 'uploading':
      return `${time} sending ${event.file}, ${String(event.sizeBytes)} bytes`
    case 'uploaded':
      return `${time} sent ${event.file}, comparing`
    case 'safe':
      return `${time} ${event.file} is safe: ${String(event.bucket)}/${String(event.key)}, compared by ${String(event.verifiedBy)}, ${String(event.tookMs)} ms`
    case 'trouble':
    case 'disconnected':
      return `${time} TROUBLE${event.file === undefined ? '' : ` with ${event.file}`}: ${String(event.detail)} ${String(event.hint)} [${String(event.code)}]`
    case 'recovered':
      return `${time} ${event.file}: trouble over`
    case 'connected':
      return `${time} the platform answers again`
    case 'finished':
      return `${time} finished, ${String(event.safe)} files safe`
  }
}

interface SimulateOptions extends SimulationFlags {
  dir: string
  runs?: string
  images?: string
  pedestalImages?: string
  pace: string
  pause: string
  seed: string
  first?: string
  gzip?: boolean
}

async function simulate({ output }: CommandContext, options: SimulateOptions): Promise<void> {
  // A track file is one run with all its events, unless said otherwise.
  const ofFile = options.tracksFile !== undefined
  const runs = options.runs ?? (ofFile && options.images === undefined ? '1' : ofFile ? 'forever' : '2')
  const images = options.images === undefined ? (ofFile ? mostImages : 10) : numberOf('--images', options.images)
  const written = await simulateDaq({
    directory: options.dir,
    runs: runs === 'forever' ? Number.POSITIVE_INFINITY : numberOf('--runs', runs),
    images,
    pedestalImages:
      options.pedestalImages === undefined
        ? Math.min(100, Math.max(5, images))
        : numberOf('--pedestal-images', options.pedestalImages),
    seed: numberOf('--seed', options.seed),
    paceMs: numberOf('--pace', options.pace) * 1000,
    pauseMs: numberOf('--pause', options.pause) * 1000,
    ...(options.first === undefined ? {} : { firstNumber: numberOf('--first', options.first) }),
    gzip: options.gzip ?? false,
    simulation: simulationOf(options),
    signal: stopOnSignals(),
    onEvent(event) {
      if (output.isJson) output.json({ atMs: Date.now(), ...event })
      else if (event.event === 'image') output.progress(`run ${event.number}: image ${Number(event.image) + 1}`)
      else if (event.event === 'run-begun') output.line(`run ${event.number} (${event.kind}) begins`)
      else output.line(`run ${event.number} (${event.kind}) written: ${String(event.path)}`)
    },
  })
  if (!output.isJson) output.line(`${written.length} runs written`)
}

/** More than any run has. */
const mostImages = 1_000_000

function numberOf(option: string, text: string): number {
  const value = Number(text)
  if (text.trim() !== '' && Number.isFinite(value) && value >= 0) return value
  throw foundationFaults.badRequest(`${option} '${text}' is not a number.`, { hint: 'Give a number of 0 or more.' })
}

/** The first SIGINT or SIGTERM ends the work in order; a second one ends the process. */
function stopOnSignals(): AbortSignal {
  const stopping = new AbortController()
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => stopping.abort())
  return stopping.signal
}
