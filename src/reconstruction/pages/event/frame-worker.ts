/** The worker that prepares frames, so that the page never stutters while an image arrives. */
import { frameOf } from './frame-levels.ts'
import type { Frame } from './frame-levels.ts'

export interface FrameTask {
  id: number
  bytes: ArrayBuffer
  width: number
  height: number
  signed: boolean
}

export type FrameDone = { id: number; frame: Frame } | { id: number; trouble: string }

interface WorkerScope {
  onmessage: ((event: MessageEvent<FrameTask>) => void) | null
  postMessage: (message: FrameDone, transfer: Transferable[]) => void
}

const scope = globalThis as unknown as WorkerScope

scope.onmessage = ({ data }) => {
  try {
    const frame = frameOf(data.bytes, data.width, data.height, data.signed)
    const transfer = [
      frame.pixels.buffer,
      frame.all.bins.buffer as ArrayBuffer,
      frame.connected.bins.buffer as ArrayBuffer,
      ...frame.levels.flatMap((level) => [level.mean.buffer, level.max.buffer]),
    ]
    scope.postMessage({ id: data.id, frame }, transfer)
  } catch (error) {
    scope.postMessage({ id: data.id, trouble: error instanceof Error ? error.message : String(error) }, [])
  }
}
