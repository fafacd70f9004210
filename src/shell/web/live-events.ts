/**
 * The one live stream of this tab: facts of the experiment make answers stale. Read with fetch and not with
 * EventSource, because keep-alive comments are what tells a quiet platform from a dead line.
 */
import { useQueryClient } from '@tanstack/react-query'
import { use, useEffect, useState } from 'react'
import { SlotContext } from '../../foundation/browser.tsx'
import type { LiveState, PageSlot } from '../../foundation/browser.tsx'

/** After this much silence an open stream is called delayed; the server says something every 15 s. */
const delayedAfterMs = 40_000
const reconnectMs = [500, 1000, 2000, 5000, 10_000]

export interface ReadEvent {
  event: string
  data: string
  id: string | undefined
}

/** Cuts a text/event-stream into events, whatever the pieces it arrives in. */
export function createEventReader(): (piece: string) => ReadEvent[] {
  let buffer = ''
  return (piece) => {
    buffer += piece.replaceAll('\r\n', '\n')
    const events: ReadEvent[] = []
    for (let end = buffer.indexOf('\n\n'); end >= 0; end = buffer.indexOf('\n\n')) {
      const block = buffer.slice(0, end)
      buffer = buffer.slice(end + 2)
      const event = readBlock(block)
      if (event !== undefined) events.push(event)
    }
    return events
  }
}

function readBlock(block: string): ReadEvent | undefined {
  let event = 'message'
  let id: string | undefined
  const data: string[] = []
  for (const line of block.split('\n')) {
    const colon = line.indexOf(':')
    if (colon === 0) continue
    const field = colon < 0 ? line : line.slice(0, colon)
    const value = colon < 0 ? '' : line.slice(colon + 1).replace(/^ /, '')
    if (field === 'event') event = value
    if (field === 'data') data.push(value)
    if (field === 'id') id = value
  }
  return data.length === 0 && id === undefined ? undefined : { event, data: data.join('\n'), id }
}

/** Which rooms' answers a fact of this kind makes stale. */
export function roomsTouchedBy(kind: string, slots: PageSlot[]): string[] {
  return slots.filter((slot) => (slot.follows ?? []).some((start) => kind.startsWith(start))).map((slot) => slot.room)
}

function kindOf(event: ReadEvent): string {
  if (event.event !== 'message') return event.event
  try {
    const fact: unknown = JSON.parse(event.data)
    return typeof fact === 'object' && fact !== null && 'kind' in fact ? String(fact.kind) : event.event
  } catch {
    return event.event
  }
}

/** Follows the experiment's facts for as long as the frame is on screen. */
export function useLiveEvents(experiment: string | undefined): LiveState {
  const queries = useQueryClient()
  const slots = use(SlotContext)
  const [live, setLive] = useState<LiveState>({ state: 'disconnected', heardAtMs: Date.now() })
  useEffect(() => {
    if (experiment === undefined) return
    const stop = new AbortController()
    const touched = new Set<string>()
    let flush: ReturnType<typeof setTimeout> | undefined
    let heardAtMs = Date.now()
    let open = false
    let attempt = new AbortController()
    let wake = (): void => {}

    // A burst of facts asks once: the first answer after 150 ms, further ones a second apart.
    const schedule = (delayMs: number): void => {
      flush ??= setTimeout(() => {
        for (const room of touched) void queries.invalidateQueries({ queryKey: [room] })
        touched.clear()
        flush = setTimeout(() => {
          flush = undefined
          if (touched.size > 0) schedule(0)
        }, 1000)
      }, delayMs)
    }
    const touch = (kind: string): void => {
      for (const room of roomsTouchedBy(kind, slots)) touched.add(room)
      if (touched.size > 0) schedule(150)
    }
    const tell = (): void => {
      const state = !open ? 'disconnected' : Date.now() - heardAtMs > delayedAfterMs ? 'delayed' : 'live'
      setLive((before) => (before.state === state && before.heardAtMs === heardAtMs ? before : { state, heardAtMs }))
    }
    const watch = setInterval(tell, 5000)

    const follow = async (): Promise<void> => {
      let lastId: string | undefined
      let failures = 0
      while (!stop.signal.aborted) {
        attempt = new AbortController()
        try {
          const answer = await fetch(`/api/experiments/${encodeURIComponent(experiment)}/events`, {
            headers: { accept: 'text/event-stream', ...(lastId === undefined ? {} : { 'last-event-id': lastId }) },
            signal: AbortSignal.any([stop.signal, attempt.signal]),
          })
          if (!answer.ok || answer.body === null) throw new Error(`stream answered ${answer.status}`)
          if (failures > 0) void queries.invalidateQueries()
          failures = 0
          open = true
          heardAtMs = Date.now()
          tell()
          const read = createEventReader()
          const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader()
          for (let piece = await reader.read(); !piece.done; piece = await reader.read()) {
            heardAtMs = Date.now()
            for (const event of read(piece.value)) {
              lastId = event.id ?? lastId
              touch(kindOf(event))
            }
          }
        } catch {
          // A cut stream is the normal end of a stream; the light says so and we try again.
        }
        open = false
        if (stop.signal.aborted) return
        tell()
        const pauseMs = reconnectMs[Math.min(failures, reconnectMs.length - 1)] ?? 10_000
        failures += 1
        await new Promise<void>((resolve) => {
          wake = resolve
          setTimeout(resolve, pauseMs)
        })
      }
    }
    // A laptop that sleeps or loses its network knows before the connection does.
    const offline = (): void => attempt.abort()
    const online = (): void => wake()
    window.addEventListener('offline', offline)
    window.addEventListener('online', online)
    void follow()
    return () => {
      stop.abort()
      window.removeEventListener('offline', offline)
      window.removeEventListener('online', online)
      clearInterval(watch)
      clearTimeout(flush)
    }
  }, [experiment, queries, slots])
  return live
}
