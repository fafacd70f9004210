/** `cygnet reco results` and `cygnet reco export`: what the reconstruction says, and the rows to take along. */
import { createWriteStream } from 'node:fs'
import { rename, rm } from 'node:fs/promises'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { InvalidArgumentError, Option } from 'commander'
import type { Command } from 'commander'
import { addVerb } from '../../foundation/command-line.ts'
import type { CommandContext } from '../../foundation/command-line.ts'
import { experimentOf } from '../../logbook/index.ts'
import { reconstructionContract } from '../contract.ts'
import { reconstructionFaults } from '../errors.ts'
import type { FilledHistogram, PeakFit, Scanned } from '../results-contract.ts'
import { grouped } from './answers.ts'
import { sourceNames } from './quantities.ts'
import type { SourceName } from './quantities.ts'

interface SelectionOptions {
  experiment?: string
  campaign: string
  source: SourceName
  cut: string[]
}
interface ResultOptions extends SelectionOptions {
  quantity?: string
  low?: number
  high?: number
  bins: number
  fit: 'none' | 'iron' | 'gaussian'
}

export function registerResultCommands(reco: Command, context: CommandContext): void {
  withSelection(
    addVerb(reco, 'results <runs>', {
      summary: 'histogram of a quantity over runs (sim:1-20, or sim for all) with cuts, and the fit of its peak',
      example:
        'cygnet reco results sim:1-20 --quantity integralCounts --cut "rms > 6" --low 4000 --high 18000 --fit iron',
    }),
  )
    .option('--quantity <expression>', 'what is counted: a column, a branch (sc_integral) or an expression')
    .option('--low <number>', 'lower end of the range', numberOf)
    .option('--high <number>', 'upper end of the range', numberOf)
    .option('--bins <count>', 'how many bins', numberOf, 40)
    .addOption(new Option('--fit <model>', 'fit a peak').choices(['none', 'iron', 'gaussian']).default('none'))
    .action((runs: string, options: ResultOptions) => showResults(context, runs, options))

  withSelection(
    addVerb(reco, 'export <runs>', {
      summary: 'write the selected rows of runs (sim:1-20, or sim for all) to a file',
      example: 'cygnet reco export sim:1-20 --cut "rms > 6" --format parquet --out clusters.parquet',
    }),
  )
    .option('--format <name>', 'csv, parquet, root, or another the platform knows', 'csv')
    .option('--columns <names>', 'only these columns, comma between')
    .option('--out <file>', 'where to; default standard output')
    .action((runs: string, options: SelectionOptions & { format: string; columns?: string; out?: string }) =>
      exportRows(context, runs, options),
    )
}

function withSelection(verb: Command): Command {
  return verb
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .option('--campaign <name>', 'which campaign', 'main')
    .addOption(new Option('--source <table>', 'which table').choices(sourceNames).default('cluster'))
    .option(
      '--cut <condition>',
      'only rows that pass; may be repeated',
      (one: string, all: string[]) => [...all, one],
      [],
    )
}

function numberOf(text: string): number {
  const value = Number(text)
  if (text.trim() === '' || !Number.isFinite(value)) throw new InvalidArgumentError('It is not a number.')
  return value
}

/** 'sim:1-20', 'sim:7' or 'sim'. */
export function parseSelection(text: string): { series: string; from?: number; to?: number } {
  const match = /^([a-z][a-z0-9-]*)(?::(\d{1,9})(?:-(\d{1,9}))?)?$/.exec(text)
  if (match === null)
    throw reconstructionFaults.badRunName(`'${text}' names no runs.`, {
      hint: 'A run is series:number (sim:2), a range series:from-to (sim:2-10), a whole series its name (sim).',
    })
  const [, series, from, to] = match
  if (from === undefined) return { series: series! }
  const ends = [Number(from), Number(to ?? from)]
  return { series: series!, from: Math.min(...ends), to: Math.max(...ends) }
}

function selectionOf(runs: string, { campaign, source, cut }: SelectionOptions) {
  // Each in parentheses, so that an `or` in one of them stays its own; one alone is sent as it was typed.
  const cuts = cut.length === 1 ? cut[0]! : cut.map((one) => `(${one})`).join(' and ')
  return { ...parseSelection(runs), campaign, source, cuts }
}

async function showResults(context: CommandContext, runs: string, options: ResultOptions): Promise<void> {
  const { output } = context
  const experiment = await experimentOf(context, options.experiment)
  const client = context.client(reconstructionContract)
  const { quantity, low, high, bins, fit } = options
  const query = {
    ...selectionOf(runs, options),
    bins,
    ...(quantity === undefined ? {} : { quantity }),
    ...(low === undefined ? {} : { low }),
    ...(high === undefined ? {} : { high }),
  }
  const params = { experiment }
  const answer =
    fit === 'none'
      ? { ...(await client.showHistogram({ params, query })), fit: null }
      : await client.fitPeak({ params, query: { ...query, fit } })
  if (output.isJson) output.json(answer)
  else {
    const { histogram, flow, scanned } = answer
    output.table(histogramRows(histogram), [
      { title: 'from', value: (row) => row.from, align: 'right' },
      { title: 'count', value: (row) => row.count },
      { title: `${histogram.quantity}${histogram.unit === '' ? '' : ` [${histogram.unit}]`}`, value: (row) => row.bar },
    ])
    for (const line of aboutHistogram(histogram)) output.line(line)
    output.line(flow.says)
    for (const { cut, left, alone } of flow.cuts)
      output.line(`  ${grouped(left)} left after ${cut} (${grouped(alone)} pass it alone)`)
    for (const line of aboutRuns(scanned)) output.line(line)
    if (answer.fit !== null) for (const line of aboutFit(answer.fit)) output.line(line)
  }
  if (answer.fit?.state === 'failed') process.exitCode = 1
}

const barLength = 50

/** Bars in eighths of a character. */
export function histogramRows({ low, high, counts }: FilledHistogram) {
  const width = (high - low) / counts.length
  const top = Math.max(...counts, 1)
  return counts.map((count, bin) => {
    const eighths = Math.round((count / top) * barLength * 8)
    const rest = eighths % 8 === 0 ? '' : ' ▏▎▍▌▋▊▉'[eighths % 8]!
    return { from: compact(low + bin * width), count, bar: '█'.repeat(Math.floor(eighths / 8)) + rest }
  })
}

function aboutHistogram({ underflow, overflow, invalid, mean, rms }: FilledHistogram): string[] {
  const outside = [
    underflow > 0 ? `${grouped(underflow)} below` : '',
    overflow > 0 ? `${grouped(overflow)} above` : '',
    invalid > 0 ? `${grouped(invalid)} not a number` : '',
  ].filter((part) => part !== '')
  return [
    ...(mean === null ? [] : [`mean ${compact(mean)}${rms === null ? '' : `, rms ${compact(rms)}`}`]),
    ...(outside.length === 0 ? [] : [`outside of the range: ${outside.join(', ')}`]),
  ]
}

function aboutRuns({ runsDone, images, missing, missingRuns }: Scanned): string[] {
  const shown = missing.slice(0, 5).map(({ run, reason }) => `  ${run}: ${reason}`)
  const more = missingRuns > shown.length ? [`  and ${missingRuns - shown.length} more`] : []
  return [
    `${runsDone} runs, ${grouped(images)} images`,
    ...(missingRuns === 0 ? [] : [`without results: ${missingRuns}`, ...shown, ...more]),
  ]
}

function aboutFit(fit: PeakFit): string[] {
  if (fit.state === 'failed') return [`fit failed: ${fit.reason}`]
  return [
    `fit ${fit.model}${fit.state === 'poor' ? `, poor: ${fit.reason}` : ''}`,
    ...fit.parameters.map(({ name, value, error, unit }) =>
      `  ${name} ${compact(value)} ± ${compact(error)} ${unit}`.trimEnd(),
    ),
    `  chi2/ndf ${compact(fit.chi2!)}/${fit.ndf}, probability ${compact(fit.probability ?? 0)}`,
    `  resolution ${(100 * fit.resolution!.value).toFixed(2)} ± ${(100 * fit.resolution!.error).toFixed(2)} %`,
  ]
}

const compact = (value: number): string => String(Number(value.toPrecision(4)))

/** To a file beside the one that is meant, which takes its place when it is whole. */
async function exportRows(
  context: CommandContext,
  runs: string,
  options: SelectionOptions & { format: string; columns?: string; out?: string },
): Promise<void> {
  const experiment = await experimentOf(context, options.experiment)
  const { format, columns, out } = options
  const query = { ...selectionOf(runs, options), format, ...(columns === undefined ? {} : { columns }) }
  const answer = await context.client(reconstructionContract).exportRows({ params: { experiment }, query })
  const body = Readable.fromWeb(answer.body as Parameters<typeof Readable.fromWeb>[0])
  if (out === undefined) {
    await pipeline(body, process.stdout, { end: false })
    return
  }
  const part = `${out}.part`
  try {
    await pipeline(body, createWriteStream(part))
    await rename(part, out)
  } catch (error) {
    await rm(part, { force: true })
    throw error
  }
  if (context.output.isJson) context.output.json({ path: out, format })
  else context.output.line(`written to ${out}`)
}
