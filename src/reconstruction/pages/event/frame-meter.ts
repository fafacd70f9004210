/** Counts what was drawn, for the bench: `window.__cygnetFrames`. */
export interface FrameMeter {
  renderer: string
  drawn: number
  /** When each of the last 600 pictures was drawn (performance.now) and how long the page worked on it. */
  atMs: number[]
  tookMs: number[]
}

declare global {
  var __cygnetFrames: FrameMeter | undefined
}

const kept = 600

export function startMeter(renderer: string): FrameMeter {
  const meter: FrameMeter = { renderer, drawn: 0, atMs: [], tookMs: [] }
  globalThis.__cygnetFrames = meter
  return meter
}

export function countFrame(meter: FrameMeter, startedMs: number, endedMs: number): void {
  meter.drawn += 1
  meter.atMs.push(startedMs)
  meter.tookMs.push(endedMs - startedMs)
  if (meter.atMs.length > kept) {
    meter.atMs.shift()
    meter.tookMs.shift()
  }
}
