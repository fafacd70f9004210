/** `cygnet reco train`: a model of recoils from simulated images, on the platform or on this machine alone. */
import type { Command } from 'commander'
import { addVerb } from '../../foundation/command-line.ts'
import type { CommandContext } from '../../foundation/command-line.ts'
import { studyVerb, whole } from '../study/study-commands.ts'

interface TrainCommandOptions {
  experiment?: string
  images?: number
  epochs?: number
  trees?: number
  seed?: number
  quick?: boolean
  wait?: boolean
  pdf?: string
  local?: boolean
  out: string
  workers?: number
}

export function registerTrainCommand(reco: Command, context: CommandContext): void {
  addVerb(reco, 'train', {
    summary: 'train the model of recoils, energy and depth on simulated images; curves and model card as a report',
    example: 'cygnet reco train --images 1200 --wait',
  })
    .option('-e, --experiment <name>', 'the experiment; may be left out if you see only one')
    .option('--images <number>', 'simulated images in all, sixteen tracks each (default 1200)', whole)
    .option('--epochs <number>', 'rounds of the network over the sample (default 60); the best one is kept', whole)
    .option('--trees <number>', 'trees of each regression (default 500)', whole)
    .option('--seed <number>', 'another set of samples (default 1)', whole)
    .option('--quick', 'a tenth of the images on small frames: to see the whole path, not to use the model')
    .option('--wait', 'wait for the end and print the verdicts; exit code 1 unless every requirement holds')
    .option('--pdf <file>', 'wait, and keep the report here as PDF')
    .option('--local', 'run on this machine, without a platform')
    .option('--out <folder>', 'with --local: where recoil-model.json, model-card.md and the report go', 'training')
    .option('--workers <number>', 'with --local: threads (default all cores)', whole)
    .action(async ({ experiment, wait, pdf, local, out, workers, ...options }: TrainCommandOptions) => {
      const localFolder = local === true ? out : undefined
      await studyVerb(context, { kind: 'training', options, experiment, wait, pdf, localFolder, workers })
    })
}
