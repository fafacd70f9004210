/** Uploading files one after the other with their progress; a small state machine without React. */
export interface Upload {
  id: number
  name: string
  key: string
  sizeBytes: number
  sentBytes: number
  state: 'waiting' | 'sending' | 'done' | 'failed'
  startedMs: number
  error: unknown
}

/** Sends one file; tells progress; rejects with what to show. */
export type Send = (
  key: string,
  file: File,
  onProgress: (sentBytes: number) => void,
  signal: AbortSignal,
) => Promise<void>

export interface UploadQueue {
  add: (folder: string, files: File[]) => void
  retry: (id: number) => void
  cancel: (id: number) => void
  clear: () => void
  uploads: () => Upload[]
  subscribe: (listener: () => void) => () => void
}

/** Name of a file below a folder; a dropped folder keeps its own structure. */
export function keyFor(folder: string, file: Pick<File, 'name'> & { webkitRelativePath?: string }): string {
  const relative = file.webkitRelativePath
  return folder + (relative === undefined || relative === '' ? file.name : relative)
}

export function createUploadQueue(send: Send, onStored: () => void, now: () => number): UploadQueue {
  let list: Upload[] = []
  let nextId = 1
  let busy = false
  const files = new Map<number, File>()
  const stops = new Map<number, AbortController>()
  const listeners = new Set<() => void>()
  const change = (id: number, part: Partial<Upload>): void => {
    list = list.map((upload) => (upload.id === id ? { ...upload, ...part } : upload))
    for (const listener of listeners) listener()
  }
  const pump = async (): Promise<void> => {
    if (busy) return
    busy = true
    for (
      let next = list.find((upload) => upload.state === 'waiting');
      next !== undefined;
      next = list.find((upload) => upload.state === 'waiting')
    ) {
      const { id, key } = next
      const file = files.get(id)
      if (file === undefined) break
      const stop = new AbortController()
      stops.set(id, stop)
      change(id, { state: 'sending', startedMs: now(), sentBytes: 0 })
      try {
        await send(key, file, (sentBytes) => change(id, { sentBytes }), stop.signal)
        change(id, { state: 'done', sentBytes: file.size })
        files.delete(id)
        onStored()
      } catch (error) {
        change(id, { state: 'failed', error })
      }
      stops.delete(id)
    }
    busy = false
  }
  return {
    add: (folder, added) => {
      for (const file of added) {
        files.set(nextId, file)
        list = [
          ...list,
          {
            id: nextId,
            name: file.name,
            key: keyFor(folder, file),
            sizeBytes: file.size,
            sentBytes: 0,
            state: 'waiting',
            startedMs: 0,
            error: undefined,
          },
        ]
        nextId += 1
      }
      for (const listener of listeners) listener()
      void pump()
    },
    retry: (id) => {
      change(id, { state: 'waiting', error: undefined })
      void pump()
    },
    cancel: (id) => {
      stops.get(id)?.abort()
      files.delete(id)
      list = list.filter((upload) => upload.id !== id)
      for (const listener of listeners) listener()
    },
    clear: () => {
      list = list.filter((upload) => upload.state === 'waiting' || upload.state === 'sending')
      for (const listener of listeners) listener()
    },
    uploads: () => list,
    subscribe: (listener) => {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
}
