/** `cygnet runs …`: the logbook on the command line. */
import type { Command } from 'commander'
import { addVerb, type Column, type CommandContext } from '../foundation/command-line.ts'
import { foundationFaults } from '../foundation/errors.ts'
import { logbookContract, type Run, type RunDetail } from './contract.ts'

export { registerExperimentCommands } from './experiment-commands.ts'

export function registerRunsCommands(program: Command, context: CommandContext): void {
  const runs = program.command('runs').description('the runs of an experiment')

  addVerb(runs, 'list [numbers]', {
    summary: 'runs, newest first; numbers like 100-200 or 42,50-60',
    example: 'cygnet runs list 1-20 --experiment demo --kind data',
  })
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .option('--series <name>', 'only this number series')
    .option('--setup <name>', 'only this setup')
    .option('--kind <kind>', 'pedestal, data, calibration or simulation')
    .option('--state <state>', 'recording, closing, closed or crashed')
    .option('--quality <flag>', 'unjudged, good, bad or partial')
    .option('--text <words>', 'every word must occur in the description')
    .option('--from <time>', 'started at or after, for example 2026-01-31 or 2026-01-31T12:00Z')
    .option('--to <time>', 'started before')
    .option('--fault <yes|no>', 'only runs with an open fault, or without one')
    .option('--limit <n>', 'at most so many', '50')
    .option('--cursor <cursor>', 'continue after the page that gave this cursor')
    .action(async (numbers: string | undefined, options: ListOptions) => await listRuns(context, numbers, options))

  addVerb(runs, 'show <run>', {
    summary: 'one run with its files, faults and notes; a run is named series:number',
    example: 'cygnet runs show sim:2 --experiment demo',
  })
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .action(async (run: string, options: { experiment?: string }) => await showRun(context, run, options))

  addVerb(runs, 'note <run> <text...>', {
    summary: 'write a note about a run',
    example: 'cygnet runs note sim:2 "source moved to 17.5 cm"',
  })
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .action(async (run: string, text: string[], options: { experiment?: string }) => {
      const experiment = await experimentOf(context, options.experiment)
      const client = context.client(logbookContract)
      const note = await client.addNote({ params: { experiment }, body: { run, text: text.join(' ') } })
      if (context.output.isJson) context.output.json(note)
      else context.output.line(`noted on ${run} at ${zulu(note.atMs)}`)
    })
}

interface ListOptions {
  experiment?: string
  series?: string
  setup?: string
  kind?: string
  state?: string
  quality?: string
  text?: string
  from?: string
  to?: string
  fault?: string
  limit: string
  cursor?: string
}

async function listRuns(context: CommandContext, numbers: string | undefined, options: ListOptions): Promise<void> {
  const { output } = context
  const experiment = await experimentOf(context, options.experiment)
  const { from, to, fault, experiment: _experiment, limit, ...plain } = options
  const query = {
    ...plain,
    limit,
    numbers,
    startedFromMs: timeOf('--from', from),
    startedToMs: timeOf('--to', to),
    hasFault: fault,
  }
  // The server checks the words; its answer says which one is wrong.
  const call = { params: { experiment }, query: query as object }
  const page = await context.client(logbookContract).listRuns(call)
  if (page.items.length === 0 && !output.isJson) output.line('No run matches.')
  else output.list(page, columns)
}

const columns: Column<Run>[] = [
  { title: 'run', value: (run) => run.reference },
  { title: 'start (UTC)', value: (run) => zulu(run.startedMs) },
  { title: 'dur', value: (run) => duration(run), align: 'right' },
  { title: 'images', value: (run) => run.images },
  { title: 'kind', value: (run) => run.kind },
  { title: 'state', value: (run) => (run.faults > 0 ? `${run.state} !` : run.state) },
  { title: 'size', value: (run) => size(run.sizeBytes), align: 'right' },
  { title: 'quality', value: (run) => (run.quality === 'unjudged' ? '-' : run.quality) },
  { title: 'description', value: (run) => printable(run.description).slice(0, 60) },
]

async function showRun(context: CommandContext, reference: string, options: { experiment?: string }): Promise<void> {
  const { output } = context
  const experiment = await experimentOf(context, options.experiment)
  const detail = await context.client(logbookContract).showRun({ params: { experiment, run: reference } })
  if (output.isJson) {
    output.json(detail)
    return
  }
  output.table(facts(detail), [
    { title: 'run', value: ([name]) => name },
    { title: '', value: ([, value]) => value, align: 'left' },
  ])
  output.table(detail.files, [
    { title: 'file', value: (file) => `${file.bucket}/${file.key}` },
    { title: 'size', value: (file) => size(file.sizeBytes), align: 'right' },
    { title: 'state', value: (file) => file.state },
    { title: 'verified', value: (file) => zulu(file.verifiedMs) },
    { title: 'sha-256', value: (file) => file.sha256 },
  ])
  for (const fault of detail.faults.filter((one) => one.resolvedMs === null)) {
    output.line(`${fault.severity}: ${printable(fault.detail)}`)
    output.line(`  ${printable(fault.hint)}`)
  }
  for (const note of detail.notes) output.line(`${zulu(note.atMs)} ${note.author}: ${printable(note.text)}`)
}

function facts({ run, conditions, previous, next }: RunDetail): [string, string | number | null][] {
  return [
    ['name', run.reference],
    ['experiment', run.experiment],
    ['setup', run.setup],
    ['kind', run.kind],
    ['state', run.state],
    ['quality', run.qualityReason === '' ? run.quality : `${run.quality}: ${printable(run.qualityReason)}`],
    ['description', printable(run.description)],
    ['start', zulu(run.startedMs)],
    ['end', zulu(run.endedMs)],
    ['duration', duration(run)],
    ['images', run.images],
    ['triggers', run.triggers],
    ['size', size(run.sizeBytes)],
    ['conditions', conditions],
    ['before, after', `${previous ?? '-'}, ${next ?? '-'}`],
  ]
}

/** The experiment that was named, or the only one there is. */
export async function experimentOf(context: CommandContext, named: string | undefined): Promise<string> {
  if (named !== undefined) return named
  const { items } = await context.client(logbookContract).listExperiments()
  if (items.length === 1) return items[0]!.name
  throw foundationFaults.badRequest(
    items.length === 0 ? 'You see no experiment.' : 'You see several experiments; say which one is meant.',
    {
      hint:
        items.length === 0
          ? 'Ask to be invited to one.'
          : `Add --experiment, one of: ${items.map((one) => one.name).join(', ')}.`,
    },
  )
}

function timeOf(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  // A time without a zone is UTC here: the same command means the same everywhere.
  const zoned = /(?:Z|[+-]\d\d:?\d\d)$/.test(text) || /^\d{4}-\d\d-\d\d$/.test(text) ? text : `${text}Z`
  const timeMs = Date.parse(zoned)
  if (Number.isNaN(timeMs)) {
    throw foundationFaults.badRequest(`${option} '${text}' is not a time.`, {
      hint: 'For example 2026-01-31 or 2026-01-31T12:00Z; without a zone it is UTC.',
    })
  }
  return timeMs
}

/** `2023-03-02 06:41:33Z`; null stays null. */
function zulu(timeMs: number | null): string | null {
  return timeMs === null ? null : `${new Date(timeMs).toISOString().slice(0, 19).replace('T', ' ')}Z`
}

/** `0:04:03`; a stop before the start (clocks do that) is shown as such. */
function duration({ startedMs, endedMs }: Run): string | null {
  if (startedMs === null || endedMs === null) return null
  const seconds = Math.round(Math.abs(endedMs - startedMs) / 1000)
  const two = (value: number): string => String(value).padStart(2, '0')
  const sign = endedMs < startedMs ? '-' : ''
  return `${sign}${Math.floor(seconds / 3600)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`
}

function size(sizeBytes: number | null): string | null {
  if (sizeBytes === null) return null
  const units = ['B', 'kB', 'MB', 'GB', 'TB']
  let value = sizeBytes
  let unit = 0
  while (value >= 1000 && unit < units.length - 1) {
    value /= 1000
    unit += 1
  }
  return `${unit === 0 ? value : value.toPrecision(3)} ${units[unit]}`
}

/** What people typed, without characters that would steer a terminal. */
function printable(text: string): string {
  // oxlint-disable-next-line no-control-regex -- control characters are the point
  return text.replace(/[\u0000-\u001f\u007f-\u009f]+/g, ' ')
}
