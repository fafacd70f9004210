/** `cygnet daq convert`: runs of the years before MIDAS become run files like any other. */
import type { Command } from 'commander'
import { convertOlderRun } from '../detector/index.ts'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { foundationFaults } from '../foundation/errors.ts'

interface ConvertCommandOptions {
  to: string
  number?: string
  taken: string
  description?: string
  pedestal?: boolean
  gzip?: boolean
}

export function registerConvertCommand(daq: Command, { output }: CommandContext): void {
  addVerb(daq, 'convert <file>', {
    summary: 'turn an older run (ROOT histograms, HDF5 pictures or a folder of them, HIS) into a run file of today',
    example: 'cygnet daq convert histograms_Run00217.root --to /data/daq --taken 2019-05-06T10:00:00Z',
  })
    .requiredOption('--to <folder>', 'where the run file goes; a folder the agent watches brings it to safety')
    .requiredOption('--taken <time>', 'when the run was taken, with its zone: the older formats do not say')
    .option('--number <n>', "the run's number, where the file's name does not tell")
    .option('--description <text>', 'what the logbook shows')
    .option('--pedestal', 'it is a pedestal run')
    .option('--gzip', 'write .mid.gz')
    .action(async (file: string, options: ConvertCommandOptions) => {
      const converted = await convertOlderRun(file, {
        directory: options.to,
        startMs: timeOf(options.taken),
        kind: options.pedestal ? 'pedestal' : 'data',
        gzip: options.gzip ?? false,
        ...(options.number === undefined ? {} : { number: numberOf(options.number) }),
        ...(options.description === undefined ? {} : { description: options.description }),
        onPicture: (done, of) => output.progress(`picture ${done} of ${of}`),
      })
      output.progress('')
      if (output.isJson) output.json(converted)
      else output.line(`${converted.path}: run ${converted.number}, ${converted.pictures} pictures`)
    })
}

function timeOf(text: string): number {
  const atMs = /(Z|[+-]\d\d:?\d\d)$/i.test(text) ? Date.parse(text) : Number.NaN
  if (!Number.isFinite(atMs) || atMs < 0)
    throw foundationFaults.invalidInput(`'${text}' is no time with a zone, such as 2019-05-06T10:00:00Z.`)
  return atMs
}

function numberOf(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw foundationFaults.invalidInput(`'${text}' is no run number.`)
  return Number(text)
}
