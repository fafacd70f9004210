/**
 * The kinds of studies. Adding one is one line in `studyKindList`; its options are checked when it is started and again
 * in the job.
 */
import type { z } from 'zod'
import { trainingOptions, validationOptions } from '../study-contract.ts'
import type { StudyKindName } from '../study-contract.ts'
import type { StudyReport } from './study-report.ts'

/** What a study tells about itself while it works: lines of the job's log. */
export interface StudyProgress {
  /** One sentence for people. */
  say(line: string): void
  /** `what 3 of 10`; at most a few lines a second are printed. */
  step(what: string, done: number, of: number): void
  signal: AbortSignal
}

/** What the payload gives every study. */
export interface StudyPlace {
  /** Files left here are published beside report.json and report.pdf, which the payload writes. */
  outFolder: string
  workers: number
  codeVersion: string
  /** A Python to compare with; undefined: look for python3. */
  python?: string
}

export interface StudyKind<Options = never> {
  name: StudyKindName
  title: string
  options: z.ZodType<Options>
  /** Core and memory wishes of the job. */
  memoryMiB: number
  /** Loads the work itself only where it runs: the control process needs the description only. */
  run(options: Options, report: StudyProgress, place: StudyPlace): Promise<StudyReport>
}

/** A kind whose options type is closed over. */
export interface AnyStudyKind {
  name: StudyKindName
  title: string
  memoryMiB: number
  /** Throws a ZodError. */
  parse(options: unknown): Record<string, unknown>
  run(options: unknown, report: StudyProgress, place: StudyPlace): Promise<StudyReport>
}

function kind<Options extends Record<string, unknown>>(described: StudyKind<Options>): AnyStudyKind {
  return {
    ...described,
    parse: (options) => described.options.parse(options),
    run: (options, report, place) => described.run(described.options.parse(options), report, place),
  }
}

export const studyKindList: readonly AnyStudyKind[] = [
  kind({
    name: 'validation',
    title: 'Validation of the reconstruction',
    options: validationOptions,
    memoryMiB: 2048,
    run: async (options, report, place) => (await import('./validation.ts')).validate(options, report, place),
  }),
  kind({
    name: 'training',
    title: 'Training of the recoil model',
    options: trainingOptions,
    memoryMiB: 2048,
    run: async (options, report, place) => (await import('../learning/train.ts')).trainModels(options, report, place),
  }),
]

export function studyKindOf(name: StudyKindName): AnyStudyKind | undefined {
  return studyKindList.find((one) => one.name === name)
}
