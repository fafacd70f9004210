/** A DAQ without a detector: writes a pedestal run and then data runs into a folder, as the real one does. */
import { readdir } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { simulateRun, writeSimulatedRun, type SimulationOptions } from '../detector/index.ts'
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
  /** What the detector is and sees. A track file is shared out over the data runs, which end where it ends. */
  simulation?: Partial<SimulationOptions>
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
  if (options.simulation !== undefined) await checkSimulation({ ...options.simulation, seed, number: first, images })
  let skipEvents = 0
  for (let index = 0; index < runs + (withPedestal ? 1 : 0) && !signal.aborted; index++) {
    const kind = withPedestal && index === 0 ? 'pedestal' : 'data'
    const number = first + index
    const asked = options.simulation ?? {}
    const simulation: SimulationOptions = {
      ...asked,
      seed,
      number,
      kind,
      images: kind === 'pedestal' ? pedestalImages : images,
      startMs: Date.now(),
      ...(kind === 'pedestal'
        ? { description: 'Pedestal, simulated' }
        : { description: asked.description ?? (isPlain(asked) ? 'Standard, simulated' : undefined), skipEvents }),
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
    const { source } = run.production
    if (source !== undefined && kind === 'data') {
      skipEvents += run.images * (simulation.eventsPerImage ?? 1)
      if (skipEvents >= source.events) break
    }
    if (options.pauseMs !== undefined) await sleep(options.pauseMs, undefined, { signal }).catch(() => undefined)
  }
  return written
}

/** What is wrong with the options or the track file is told before the first run appears. */
async function checkSimulation(asked: Omit<SimulationOptions, 'kind' | 'startMs'>): Promise<void> {
  const trial = simulateRun({ ...asked, kind: 'data', startMs: Date.now() })
  await trial.next()
  await trial.return(undefined)
}

/** The simulated detector as it is without options. */
const isPlain = ({ site, source, tracksFile, tracksPerImage }: Partial<SimulationOptions>): boolean =>
  (site ?? source ?? tracksFile ?? tracksPerImage) === undefined

async function lastNumber(directory: string): Promise<number> {
  const format = midasRunFormat()
  const numbers = (await readdir(directory)).map((name) => format.matchFileName(name)?.number ?? 0)
  return Math.max(0, ...numbers)
}
