/** A model's card: what it is for, what it was trained and judged on, how well it does, and where not to use it. */
import type { TrainingOptions } from '../study-contract.ts'
import type { Cell, ReportSection } from '../study/study-report.ts'
import { textOf } from '../study/verdicts.ts'
import type { RecoilModel } from './recoil-model.ts'
import type { TrainingSamplePlan } from './training-sample.ts'

export function modelCard(given: {
  model: RecoilModel
  options: TrainingOptions
  plans: readonly TrainingSamplePlan[]
  sections: readonly ReportSection[]
  counts: { train: number; test: number }
}): string {
  const { model, options, plans, sections, counts } = given
  const { layers, inputs } = model.classifier
  const parameters = layers.reduce((sum, { weights, biases }) => sum + weights.length + biases.length, 0)
  return [
    `# ${model.name}`,
    '',
    `Made ${new Date(model.madeAtMs).toISOString()} by reconstruction code ${model.codeVersion}.`,
    '',
    '## What it is',
    '',
    `- Classifier of clusters into nuclear recoil, electron recoil and other: dense network ${[inputs.length, ...layers.map(({ outputs }) => outputs)].join('-')}, ${parameters} parameters, Adam, ${options.epochs} epochs at most (the best by the check sample is kept).`,
    `- Visible energy (as its logarithm) and distance from the GEM (mm): ${options.trees} boosted trees of depth 3 each.`,
    `- Inputs: ${inputs.map(({ name }) => name).join(', ')}; the trees also see the place of the cluster.`,
    '',
    '## What it was trained and judged on',
    '',
    ...plans.map(
      ({ name, purpose, images, framePx, seed }) =>
        `- ${name} (${purpose}): ${images} simulated images of ${framePx} x ${framePx} pixels, seed ${seed}`,
    ),
    `- ${counts.train} clusters to train with, ${counts.test} to judge with; only clusters that pass the quality cut.`,
    '',
    '## How well it does (test sample)',
    '',
    ...sections.flatMap((section) => [
      ...section.requirements.map(
        ({ statement, holds, found }) => `- ${holds ? 'holds' : 'FAILS'}: ${statement} (${found})`,
      ),
      ...section.tables.flatMap((table) => ['', `### ${table.title}`, '', ...tableLines(table)]),
      '',
    ]),
    '## Where not to use it',
    '',
    '- Labels and detector response are simulated. Before it decides anything about real data, compare its scores on calibration runs (55Fe, AmBe) with the simulated ones.',
    '- Other gas, gain, optics or rebinning than the simulated ones need a training of their own.',
    '- Clusters that hold more than one track were left out of training.',
    '',
  ].join('\n')
}

function tableLines({ columns, rows }: ReportSection['tables'][number]): string[] {
  const heads = columns.map(({ title, unit }) => (unit === '' ? title : `${title} (${unit})`))
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`
  return [
    line(heads),
    line(heads.map(() => '---')),
    ...rows.map((row) => line(row.map((cell, index) => textOfCell(cell, columns[index]?.digits)))),
  ]
}

function textOfCell(cell: Cell, digits = 0): string {
  if (cell === null) return '-'
  if (typeof cell === 'string') return cell
  return typeof cell === 'number' ? cell.toFixed(digits) : textOf(cell)
}
