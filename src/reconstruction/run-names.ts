/** Runs as they are named on the command line and in names of files. */
import { reconstructionFaults } from './errors.ts'

/** `sim:2` or `sim:2-10`. Throws `badRunName`. */
export function parseRuns(
  text: string,
): { series: string; numbers: number[] } | { series: string; range: { from: number; to: number } } {
  const match = /^([a-z][a-z0-9-]*):(\d{1,9})(?:-(\d{1,9}))?$/.exec(text)
  if (match === null) {
    throw reconstructionFaults.badRunName(`'${text}' names no run.`, {
      hint: 'A run is series:number (sim:2), a range series:from-to (sim:2-10).',
    })
  }
  const [, series, from, to] = match
  if (to === undefined) return { series: series!, numbers: [Number(from)] }
  return { series: series!, range: { from: Number(from), to: Number(to) } }
}

/** `run00012`, as the raw files are named. */
export function runStem(number: number): string {
  return `run${String(number).padStart(5, '0')}`
}

/** The ROOT file of a run, named as the experiments that read ROOT name it. */
export function rootFileName(number: number): string {
  return `reco_${runStem(number)}_3D.root`
}
