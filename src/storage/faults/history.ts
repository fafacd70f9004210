/**
 * What a workload began and what was acknowledged, line by line in a file that no power cut reaches, and what an object
 * may be after the cut: any operation's outcome after which no other one was both begun and acknowledged.
 */
import { readFileSync } from 'node:fs'

/** The line that says that something begins; the number of the line is its time. */
export type Line =
  | { begin: number; key: string; sha256: string | null; sizeBytes: number }
  | { end: number; outcome: 'acknowledged' | 'refused' | 'failed' }
  | { upload: string; key: string }
  | { part: string; number: number; etag: string; name: string; sizeBytes: number }
  /** Completed or aborted from here on. */
  | { ending: string }
  | { ended: string }
  | { committing: number }
  | { committed: number }

export interface Operation {
  id: number
  key: string
  /** null: a deletion. */
  sha256: string | null
  sizeBytes: number
  begun: number
  ended: number
  outcome: 'acknowledged' | 'refused' | 'failed' | 'unknown'
}

export interface OpenUpload {
  uploadId: string
  key: string
  parts: Map<number, { etag: string; name: string; sizeBytes: number }>
  state: 'open' | 'ending' | 'ended'
}

export interface History {
  operations: Operation[]
  uploads: OpenUpload[]
  committing: Set<number>
  committed: Set<number>
}

/** Of the whole record, or of its first bytes. */
export function readHistory(path: string, sizeBytes = Infinity): History {
  const operations = new Map<number, Operation>()
  const uploads = new Map<string, OpenUpload>()
  const history: History = { operations: [], uploads: [], committing: new Set(), committed: new Set() }
  for (const [time, text] of readFileSync(path).subarray(0, sizeBytes).toString().split('\n').entries()) {
    if (text === '') continue
    const line = JSON.parse(text) as Line
    if ('begin' in line) {
      const { begin: id, key, sha256, sizeBytes } = line
      operations.set(id, { id, key, sha256, sizeBytes, begun: time, ended: Infinity, outcome: 'unknown' })
    } else if ('end' in line) {
      const operation = operations.get(line.end)!
      operation.outcome = line.outcome
      if (line.outcome === 'acknowledged') operation.ended = time
    } else if ('upload' in line) {
      uploads.set(line.upload, { uploadId: line.upload, key: line.key, parts: new Map(), state: 'open' })
    } else if ('part' in line) {
      const { etag, name, sizeBytes } = line
      uploads.get(line.part)!.parts.set(line.number, { etag, name, sizeBytes })
    } else if ('ending' in line) uploads.get(line.ending)!.state = 'ending'
    else if ('ended' in line) uploads.get(line.ended)!.state = 'ended'
    else if ('committing' in line) history.committing.add(line.committing)
    else history.committed.add(line.committed)
  }
  history.operations = [...operations.values()]
  history.uploads = [...uploads.values()]
  return history
}

/** The contents that a key may have now; null stands for none. `before` is what it had when the history began. */
export function allowedContents(operations: readonly Operation[], before: string | null): Set<string | null> {
  const effective = operations.filter(({ outcome }) => outcome !== 'refused')
  const acknowledged = effective.filter(({ outcome }) => outcome === 'acknowledged')
  const allowed = effective.filter((one) => !acknowledged.some((other) => other.begun > one.ended))
  const contents = new Set(allowed.map(({ sha256 }) => sha256))
  if (acknowledged.length === 0) contents.add(before)
  return contents
}
