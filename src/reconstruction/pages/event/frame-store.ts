/** Images fetched, prepared in the worker and kept for stepping back and forth. */
import { Fault, apiOf } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { FrameViewName } from '../../contract.ts'
import type { Against, Frame } from './frame-levels.ts'
import type { FrameDone, FrameTask } from './frame-worker.ts'

export interface FrameName {
  experiment: string
  series: string
  number: number
  event: number
  camera: number
  view: FrameViewName
  masked: boolean
}

/** The pedestal that a run's images are seen against. */
export interface Pedestal extends Against {
  width: number
  height: number
  /** Run it was made from, `sim:1`, and its version. */
  run: string
  version: number
}

export interface FrameStore {
  /** The frame, from memory when it is there. Rejects with a Fault in words. `onCoarse` is given a first look. */
  frame: (name: FrameName, onCoarse?: (frame: Frame) => void) => Promise<Frame>
  /** Fetches in the background what will probably be asked for next. */
  prefetch: (name: FrameName) => void
  /** Undefined when no pedestal is valid for the run. */
  pedestal: (name: Pick<FrameName, 'experiment' | 'series' | 'number' | 'camera'>) => Promise<Pedestal | undefined>
  close: () => void
}

/** Images kept may take that much; each costs 3.4 bytes a pixel, 5.4 where pixels as read out are kept beside. */
const keptBytes = 200_000_000
const reduction = 4

type Unnumbered<Task> = Task extends FrameTask ? Omit<Task, 'id'> : never

export function createFrameStore(): FrameStore {
  const worker = new Worker(new URL('./frame-worker.ts', import.meta.url), { type: 'module' })
  const waiting = new Map<number, { resolve: (frame: Frame | undefined) => void; reject: (error: unknown) => void }>()
  const kept = new Map<string, Promise<Frame>>()
  const pedestals = new Map<string, Promise<Pedestal | undefined>>()
  const stop = new AbortController()
  const api = apiOf(reconstructionContract)
  let nextId = 1
  let mostKept = 6

  worker.onmessage = ({ data }: MessageEvent<FrameDone>) => {
    const asked = waiting.get(data.id)
    waiting.delete(data.id)
    if ('trouble' in data) asked?.reject(new Error(data.trouble))
    else asked?.resolve(data.frame)
  }

  const prepare = (task: Unnumbered<FrameTask>): Promise<Frame | undefined> =>
    new Promise((resolve, reject) => {
      const id = nextId
      nextId += 1
      waiting.set(id, { resolve, reject })
      worker.postMessage({ ...task, id } as FrameTask, 'bytes' in task ? [task.bytes] : [])
    })
  const prepared = async (task: Unnumbered<FrameTask>): Promise<Frame> => {
    const frame = await prepare(task)
    if (frame === undefined) throw new Error('no frame was made')
    return frame
  }

  const paramsOf = (name: Pick<FrameName, 'experiment' | 'series' | 'number'>) => ({
    experiment: name.experiment,
    run: `${name.series}:${name.number}`,
  })

  const fetchPedestal = async (
    name: Pick<FrameName, 'experiment' | 'series' | 'number' | 'camera'>,
  ): Promise<Pedestal | undefined> => {
    const read = (what: 'mean' | 'hot') =>
      api.readPedestalMap({ params: paramsOf(name), query: { camera: name.camera, what } }, { signal: stop.signal })
    try {
      const [means, hot] = await Promise.all([read('mean'), read('hot')])
      const [quadratic, quartic, radiusPx] = (means.headers.get('x-light-correction') ?? '').split(',').map(Number)
      const pedestal = {
        width: Number(means.headers.get('x-frame-width')),
        height: Number(means.headers.get('x-frame-height')),
        run: means.headers.get('x-pedestal-run') ?? '',
        version: Number(means.headers.get('x-pedestal-version')),
        light: { quadratic: quadratic ?? 0, quartic: quartic ?? 0, radiusPx: radiusPx ?? 1 },
        pedestal: new Uint16Array(await means.arrayBuffer()),
        hot: new Uint32Array(await hot.arrayBuffer()),
      }
      const { light, pedestal: counts, hot: indices } = pedestal
      await prepare({ kind: 'against', name: againstName(name), against: { light, pedestal: counts, hot: indices } })
      return pedestal
    } catch (error) {
      // Without a pedestal images are shown as read out; that is said, not an error.
      if (error instanceof Fault && error.status >= 400 && error.status < 500 && error.status !== 403) return undefined
      throw error
    }
  }

  const pedestal: FrameStore['pedestal'] = (name) => {
    const key = againstName(name)
    const known = pedestals.get(key)
    if (known !== undefined) return known
    pedestals.clear()
    const made = fetchPedestal(name)
    pedestals.set(key, made)
    made.catch(() => pedestals.delete(key))
    return made
  }

  const fetchFrame = async (name: FrameName, onCoarse?: (frame: Frame) => void): Promise<Frame> => {
    const params = { ...paramsOf(name), event: name.event }
    const settings = { signal: stop.signal }
    const seenAgainst = name.view !== 'raw' || name.masked ? pedestal(name) : Promise.resolve(undefined)
    // Told where it is awaited below.
    seenAgainst.catch(() => undefined)
    if (onCoarse !== undefined) {
      const { camera, view } = name
      const small = await api.readFrame({ params, query: { camera, view, reduce: reduction } }, settings)
      const sizeOf = (what: string) => Number(small.headers.get(what))
      const task = {
        kind: 'coarse',
        bytes: await small.arrayBuffer(),
        small: { width: sizeOf('x-frame-width'), height: sizeOf('x-frame-height'), scale: sizeOf('x-frame-scale') },
        full: { width: sizeOf('x-full-width'), height: sizeOf('x-full-height') },
        view,
      } as const
      onCoarse(await prepared(task))
    }
    const answer = await api.readFrame({ params, query: { camera: name.camera } }, settings)
    const width = Number(answer.headers.get('x-frame-width'))
    const height = Number(answer.headers.get('x-frame-height'))
    const bytes = await answer.arrayBuffer()
    const known = await seenAgainst
    if (name.view !== 'raw' && known === undefined) {
      // The server says in words what is missing.
      await api.readFrame({ params, query: { camera: name.camera, view: name.view, reduce: 8 } }, settings)
      throw new Error('the pedestal map does not fit')
    }
    mostKept = Math.max(3, Math.floor(keptBytes / (width * height * (name.view === 'raw' ? 3.4 : 5.4))))
    return prepared({
      kind: 'frame',
      bytes,
      width,
      height,
      view: name.view,
      against: againstName(name),
      masking: name.masked,
    })
  }

  const frame: FrameStore['frame'] = (name, onCoarse) => {
    const key = JSON.stringify(name)
    const known = kept.get(key)
    if (known !== undefined) {
      // Last used goes to the end; the first of the map is the one to drop.
      kept.delete(key)
      kept.set(key, known)
      return known
    }
    const made = fetchFrame(name, onCoarse)
    kept.set(key, made)
    made.catch(() => kept.delete(key))
    const oldest = kept.keys().next().value
    if (kept.size > mostKept && oldest !== undefined) kept.delete(oldest)
    return made
  }

  return {
    frame,
    prefetch: (name) => {
      frame(name).catch(() => {
        // A neighbour that cannot be had is told when somebody goes there.
      })
    },
    pedestal,
    close: () => {
      stop.abort()
      worker.terminate()
      kept.clear()
      pedestals.clear()
    },
  }
}

function againstName(name: Pick<FrameName, 'experiment' | 'series' | 'number' | 'camera'>): string {
  return [name.experiment, name.series, name.number, name.camera].join('/')
}
