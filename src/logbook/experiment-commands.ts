/** `cygnet experiments …`: what is measured here, and by which setups. */
import type { Command } from 'commander'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { foundationFaults } from '../foundation/errors.ts'
import { printTime } from '../foundation/time.ts'
import { logbookContract } from './contract.ts'

export function registerExperimentCommands(program: Command, context: CommandContext): void {
  const { output } = context
  const api = () => context.client(logbookContract)
  const experiments = program.command('experiments').description('experiments, their setups and number series')

  addVerb(experiments, 'list', { summary: 'the experiments you may see', example: 'cygnet experiments list' }).action(
    async () => {
      const page = await api().listExperiments()
      if (page.items.length === 0 && !output.isJson) output.line('You see no experiment. Ask to be invited to one.')
      else output.list(page, ['name', 'title', { title: 'created', value: (one) => printTime(one.createdMs) }])
    },
  )

  addVerb(experiments, 'show <experiment>', {
    summary: 'its setups, number series, whether it records, and what needs a person',
    example: 'cygnet experiments show demo',
  }).action(async (experiment: string) => {
    const shown = await api().showExperiment({ params: { experiment } })
    if (output.isJson) return output.json(shown)
    output.line(`${shown.experiment.name}: ${shown.experiment.title}, ${shown.runs} runs`)
    const lastOf = (series: string) => shown.series.find((one) => one.name === series)?.lastNumber
    output.table(shown.setups, [
      { title: 'setup', value: (setup) => setup.name },
      'title',
      'series',
      { title: 'runs', value: (setup) => `${setup.firstNumber}-${setup.lastNumber ?? ''}`, align: 'left' },
      { title: 'last run', value: (setup) => lastOf(setup.series) },
      { title: 'now', value: (setup) => shown.recording.find((one) => one.setup === setup.name)?.sentence },
    ])
    for (const fault of shown.faults) {
      output.line(`${fault.severity}${fault.run === null ? '' : ` on ${fault.run}`}: ${fault.detail}`)
      output.line(`  ${fault.hint}`)
    }
  })

  addVerb(experiments, 'create <experiment>', {
    summary: 'make an experiment with its first setup and number series; its buckets follow by themselves',
    example: 'cygnet experiments create demo --title "Demonstration" --setup lime --series sim',
  })
    .option('--title <text>', 'full name, for people; default: the name')
    .option('--setup <name>', 'first setup: the detector and its DAQ', 'main')
    .option('--series <name>', 'number series of its runs: a run is named series:number', 'main')
    .action(async (name: string, options: { title?: string; setup: string; series: string }) => {
      const { title = name, setup, series } = options
      const made = await api().createExperiment({ body: { name, title, setup, series } })
      if (output.isJson) return output.json(made)
      output.line(`made ${name}, with the setup ${setup} and the number series ${series}`)
      output.line(`Next: cygnet credentials create --client daq-${setup} --experiment ${name}`)
    })

  addVerb(experiments, 'add-setup <experiment> <setup>', {
    summary: 'add a setup, and the number series of its runs',
    example: 'cygnet experiments add-setup demo lime-underground --series lngs --from 1000',
  })
    .requiredOption('--series <name>', 'number series of its runs; made if it is new')
    .option('--title <text>', 'full name, for people')
    .option('--from <number>', 'number of the first run that is its own', '0')
    .option('--to <number>', 'number of the last one; default: open end')
    .action(async (experiment: string, name: string, options: SetupOptions) => {
      const { series, title } = options
      const setup = await api().addSetup({
        params: { experiment },
        body: {
          name,
          series,
          ...(title === undefined ? {} : { title }),
          firstNumber: wholeNumber('--from', options.from),
          lastNumber: options.to === undefined ? null : wholeNumber('--to', options.to),
        },
      })
      if (output.isJson) output.json(setup)
      else output.line(`${experiment} has the setup ${name} for runs of ${series} from ${setup.firstNumber} on`)
    })
}

interface SetupOptions {
  series: string
  title?: string
  from: string
  to?: string
}

function wholeNumber(option: string, text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw foundationFaults.badRequest(`${option} '${text}' is not a run number.`, { hint: 'Give a whole number.' })
}
