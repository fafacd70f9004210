/** A DAQ without a detector: writes a pedestal run and then data runs into a folder, as the real one does. */
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { writeSimulatedRun, type SimulationOptions } from '../detector/index.ts'
import { ensureDirectory } from '../foundation/files.ts'
import { midasRunFormat } from './adapters/midas-run-format.ts'

export interface SimulateDaqOptions {
  directory: string
  /** Data runs after the pedestal run; Infinity goes on until the signal. */
  runs: number
  images: number
  /** Images of the pedestal run; 0 = no pedestal run. Default: as many as a data run. */
  pedestalImages?: number
  seed: number
  /** Milliseconds from one picture to the next; 0 = as fast as it goes. */
  paceMs: number
  /** Milliseconds between runs. */
  pauseMs?: number
  /** Number of the first run; default: after the last one in the folder. */
  firstNumber?: number
  /** A smaller detector, for quick tests. */
  frame?: { width: number; height: number }
  gzip?: boolean
  signal: AbortSignal
  onEvent(event: SimulateDaqEvent): void
}

export interface SimulateDaqEvent {
  event: 'run-begun' | 'image' | 'run-written'
  number: number
  kind: 'pedestal' | 'data'
  [detail: string]: unknown
}

/** Gives the numbers of the runs that were written whole. */
export async function simulateDaq(options: SimulateDaqOptions): Promise<number[]> {
  const { directory, runs, images, pedestalImages = images, seed, signal, onEvent } = options
  await ensureDirectory(directory)
  const first = options.firstNumber ?? (await lastNumber(directory)) + 1
  const written: number[] = []
  const withPedestal = pedestalImages > 0
  for (let index = 0; index < runs + (withPedestal ? 1 : 0) && !signal.aborted; index++) {
    const kind = withPedestal && index === 0 ? 'pedestal' : 'data'
    const number = first + index
    const simulation: SimulationOptions = {
      seed,
      number,
      kind,
      images: kind === 'pedestal' ? pedestalImages : images,
      startMs: Date.now(),
      description: kind === 'pedestal' ? 'Pedestal, simulated' : 'Standard, simulated',
      ...(options.frame === undefined ? {} : { frame: options.frame }),
    }
    onEvent({ event: 'run-begun', number, kind, images: simulation.images })
    const run = await writeSimulatedRun(directory, simulation, {
      signal,
      paceMs: options.paceMs,
      gzip: options.gzip ?? false,
      onEvent: ({ image, bytesWritten }) => onEvent({ event: 'image', number, kind, image, bytesWritten }),
    })
    onEvent({ event: 'run-written', number, kind, images: run.images, complete: run.complete, path: run.path })
    if (run.complete) written.push(number)
    if (options.pauseMs !== undefined) await sleep(options.pauseMs, undefined, { signal }).catch(() => undefined)
  }
  return written
}

async function lastNumber(directory: string): Promise<number> {
  const format = midasRunFormat()
  const numbers = (await readdir(directory)).map((name) => format.matchFileName(name)?.number ?? 0)
  return Math.max(0, ...numbers)
}
