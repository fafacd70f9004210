import { join } from 'node:path'
import { setTimeout } from 'node:timers/promises'
import { writeFileDurable } from '../../foundation/files.ts'
import { createMidasWriter } from '../midas-writer.ts'
import { simulateRun } from './simulate-run.ts'
import type { SimulationOptions } from './simulate-run.ts'
import type { ImageTruth, Production, RunTruth } from './truth.ts'

export interface WriteRunOptions {
  signal?: AbortSignal
  /** At least this long from one picture to the next, as a detector that takes its time. Default 0: as fast as possible. */
  paceMs?: number
  /** Write `.mid.gz`. */
  gzip?: boolean
  /** After each picture is in the file. */
  onEvent?: (progress: { image: number; images: number; bytesWritten: number; truth: ImageTruth }) => void
}

export interface WrittenRun {
  path: string
  truthPath: string
  images: number
  /** False if the signal stopped the run: then the file ends like that of a crashed run, without end of run. */
  complete: boolean
  production: Production
}

/** `run00012.mid` and `run00012.truth.json`; numbers above 99999 simply grow. */
export function simulatedRunNames(number: number, gzip = false): { runFile: string; truthFile: string } {
  const stem = `run${String(number).padStart(5, '0')}`
  return { runFile: `${stem}.mid${gzip ? '.gz' : ''}`, truthFile: `${stem}.truth.json` }
}

/**
 * Simulates a run into a folder, as the DAQ records one: the file grows picture by picture and ends with end of run. The truth stands beside it,
 * whole, before end of run is written, so whoever sees a closed file finds its truth. Throws `badOptions` and `alreadyThere`.
 */
export async function writeSimulatedRun(
  directory: string,
  simulation: SimulationOptions,
  options: WriteRunOptions = {},
): Promise<WrittenRun> {
  const names = simulatedRunNames(simulation.number, options.gzip)
  const path = join(directory, names.runFile)
  const truthPath = join(directory, names.truthFile)
  const paced = options.paceMs ? { ...simulation, periodMs: simulation.periodMs ?? options.paceMs } : simulation
  const run = simulateRun(paced)
  // The options are checked before a file appears.
  let step = await run.next()
  if (step.done || step.value.kind === 'event') throw new Error('a run begins with its begin')
  const { production, images: planned } = step.value
  const writer = await createMidasWriter(path, { gzip: options.gzip ?? false, level: 1 })
  const images: ImageTruth[] = []
  let complete = false
  let size = { width: 0, height: 0 }
  const writeTruth = async (): Promise<void> => {
    const truth: RunTruth = {
      format: 'cygnet-truth',
      version: 2,
      generator: production.generator,
      seed: simulation.seed,
      run: simulation.number,
      kind: simulation.kind,
      production,
      frameWidth: size.width,
      frameHeight: size.height,
      images,
    }
    await writeFileDurable(truthPath, JSON.stringify(truth))
  }
  try {
    let dueMs = performance.now()
    for (; !step.done && !options.signal?.aborted; step = await run.next()) {
      const event = step.value
      if (event.kind === 'event') {
        if (event.frame && options.paceMs) {
          dueMs += options.paceMs
          const wait = Math.max(0, dueMs - performance.now())
          await setTimeout(wait, undefined, options.signal ? { signal: options.signal } : {}).catch(() => undefined)
          if (options.signal?.aborted) break
        }
        await writer.event(event)
        if (!event.truth || !event.frame) continue
        size = { width: event.frame.width, height: event.frame.height }
        images.push(event.truth)
        options.onEvent?.({
          image: event.truth.event,
          images: planned,
          bytesWritten: writer.bytesWritten,
          truth: event.truth,
        })
      } else if (event.kind === 'begin-of-run') await writer.beginOfRun(event)
      else {
        await writeTruth()
        await writer.endOfRun(event)
        complete = true
      }
    }
    if (!complete) await writeTruth()
  } finally {
    await run.return(undefined)
    await writer.close()
  }
  return { path, truthPath, images: images.length, complete, production }
}
