/** What pages know of the live stream. The stream itself belongs to the frame (`shell/web/live-events.ts`). */
import { createContext, use } from 'react'

export interface LiveState {
  /** live: the stream is open and talks; delayed: silent for too long; disconnected: closed, pages poll. */
  state: 'live' | 'delayed' | 'disconnected'
  /** When the stream last said anything, keep-alive included. */
  heardAtMs: number
}

export const LiveContext = createContext<LiveState>({ state: 'disconnected', heardAtMs: 0 })

export function useLive(): LiveState {
  return use(LiveContext)
}
