/** Images fetched, prepared in the worker and kept for stepping back and forth. */
import { apiOf } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { Frame } from './frame-levels.ts'
import type { FrameDone, FrameTask } from './frame-worker.ts'

export interface FrameName {
  experiment: string
  series: string
  number: number
  event: number
  camera: number
  view: 'raw' | 'subtracted'
}

export interface FrameStore {
  /** The frame, from memory when it is there. Rejects with a Fault in words. */
  frame: (name: FrameName) => Promise<Frame>
  /** Fetches in the background what will probably be asked for next. */
  prefetch: (name: FrameName) => void
  close: () => void
}

/** About 28 MB each with histograms and levels; eight stay below the 250 MB a page may take. */
const keptFrames = 8

export function createFrameStore(): FrameStore {
  const worker = new Worker(new URL('./frame-worker.ts', import.meta.url), { type: 'module' })
  const waiting = new Map<number, { resolve: (frame: Frame) => void; reject: (error: unknown) => void }>()
  const kept = new Map<string, Promise<Frame>>()
  const stop = new AbortController()
  let nextId = 1

  worker.onmessage = ({ data }: MessageEvent<FrameDone>) => {
    const asked = waiting.get(data.id)
    waiting.delete(data.id)
    if ('frame' in data) asked?.resolve(data.frame)
    else asked?.reject(new Error(data.trouble))
  }

  const prepare = (task: Omit<FrameTask, 'id'>): Promise<Frame> =>
    new Promise((resolve, reject) => {
      const id = nextId
      nextId += 1
      waiting.set(id, { resolve, reject })
      worker.postMessage({ ...task, id } satisfies FrameTask, [task.bytes])
    })

  const fetchFrame = async (name: FrameName): Promise<Frame> => {
    const answer = await apiOf(reconstructionContract).readFrame(
      {
        params: { experiment: name.experiment, run: `${name.series}:${name.number}`, event: name.event },
        query: { camera: name.camera, view: name.view },
      },
      { signal: stop.signal },
    )
    const width = Number(answer.headers.get('x-frame-width'))
    const height = Number(answer.headers.get('x-frame-height'))
    return prepare({ bytes: await answer.arrayBuffer(), width, height, signed: name.view === 'subtracted' })
  }

  const frame = (name: FrameName): Promise<Frame> => {
    const key = JSON.stringify(name)
    const known = kept.get(key)
    if (known !== undefined) {
      // Last used goes to the end; the first of the map is the one to drop.
      kept.delete(key)
      kept.set(key, known)
      return known
    }
    const made = fetchFrame(name)
    kept.set(key, made)
    made.catch(() => kept.delete(key))
    const oldest = kept.keys().next().value
    if (kept.size > keptFrames && oldest !== undefined) kept.delete(oldest)
    return made
  }

  return {
    frame,
    prefetch: (name) => {
      frame(name).catch(() => {
        // A neighbour that cannot be had is told when somebody goes there.
      })
    },
    close: () => {
      stop.abort()
      worker.terminate()
      kept.clear()
    },
  }
}
