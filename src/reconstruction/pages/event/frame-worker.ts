/** The worker that prepares frames, so that the page never stutters while an image arrives. */
import type { FrameViewName } from '../../contract.ts'
import { coarseFrame, frameOf } from './frame-levels.ts'
import type { Against, Frame } from './frame-levels.ts'

export type FrameTask =
  /** Keeps what views are made of under a name, for the tasks that follow. */
  | { id: number; kind: 'against'; name: string; against: Against }
  | {
      id: number
      kind: 'frame'
      bytes: ArrayBuffer
      width: number
      height: number
      view: FrameViewName
      against: string
      masking: boolean
    }
  | {
      id: number
      kind: 'coarse'
      bytes: ArrayBuffer
      small: { width: number; height: number; scale: number }
      full: { width: number; height: number }
      view: FrameViewName
    }

export type FrameDone = { id: number; frame: Frame | undefined } | { id: number; trouble: string }

interface WorkerScope {
  onmessage: ((event: MessageEvent<FrameTask>) => void) | null
  postMessage: (message: FrameDone, transfer: Transferable[]) => void
}

const scope = globalThis as unknown as WorkerScope
/** Only the last: a page looks at one camera of one run. */
let known: { name: string; against: Against } | undefined

function done(task: FrameTask): Frame | undefined {
  if (task.kind === 'against') {
    known = { name: task.name, against: task.against }
    return undefined
  }
  if (task.kind === 'coarse') return coarseFrame(task.bytes, task.small, task.full, task.view)
  const against = known?.name === task.against ? known.against : {}
  return frameOf(new Uint16Array(task.bytes), task.width, task.height, task.view, against, task.masking)
}

scope.onmessage = ({ data }) => {
  try {
    const frame = done(data)
    const transfer =
      frame === undefined
        ? []
        : [
            frame.pixels.buffer,
            ...(frame.raw === undefined ? [] : [frame.raw.buffer]),
            frame.all.bins.buffer as ArrayBuffer,
            frame.connected.bins.buffer as ArrayBuffer,
            ...frame.levels.flatMap((level) => [level.mean.buffer, level.max.buffer]),
          ]
    scope.postMessage({ id: data.id, frame }, transfer)
  } catch (error) {
    scope.postMessage({ id: data.id, trouble: error instanceof Error ? error.message : String(error) }, [])
  }
}
