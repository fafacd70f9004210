/** The thread that inflates one compressed run, once, for its index and its facts (see run-indexes.ts). */
import { parentPort, workerData } from 'node:worker_threads'
import { Fault } from '../foundation/errors.ts'
import { openRunFile } from './byte-source.ts'
import { isCameraBank } from './camera.ts'
import { stampOf } from './file-stamp.ts'
import type { MidasIndex } from './index-entries.ts'
import { saveIndex } from './index-file.ts'
import type { MidasEvent } from './midas-event.ts'
import { readEventAt } from './midas-index.ts'
import { readRunFacts } from './run-facts.ts'
import type { RunFacts } from './run-facts.ts'

export interface IndexTask {
  path: string
  /** Where the index is saved. */
  indexPath: string
}

/** To the thread: send picture k as soon as it is passed, or at once when it has been. */
export interface PictureWish {
  picture: number
}

export type IndexNews =
  | { kind: 'picture'; picture: number; event: MidasEvent }
  | { kind: 'done'; facts: RunFacts }
  | { kind: 'failed'; code: string; detail: string }

const { path, indexPath } = workerData as IndexTask
const port = parentPort!
const say = (news: IndexNews): void => port.postMessage(news)
const wished = new Set<number>()
let index: MidasIndex | undefined

port.on('message', ({ picture }: PictureWish) => {
  const position = index?.pictures[picture]
  if (!index || position === undefined) wished.add(picture)
  else
    readEventAt(index, position).then(
      (event) => say({ kind: 'picture', picture, event }),
      // Whoever waits learns it when all is done.
      () => undefined,
    )
})

try {
  const handle = await openRunFile(path)
  const stamp = await stampOf(handle).finally(() => handle.close())
  const facts = await readRunFacts(path, {
    onEvent: (event, partial) => {
      index = partial
      const latest = partial.entries.at(-1)
      if (wished.size === 0 || !latest?.banks.some((bank) => isCameraBank(bank.name))) return
      const picture = partial.pictures.length - 1
      if (wished.delete(picture)) say({ kind: 'picture', picture, event })
    },
    onIndex: async (whole) => {
      // An index of a file that changed meanwhile would be of no use.
      if (whole.seek && whole.outcome.fault?.code !== 'changed-while-read') await saveIndex(indexPath, whole, stamp)
    },
  })
  say({ kind: 'done', facts })
} catch (error) {
  const code = error instanceof Fault ? error.code : 'detector.unreadable_file'
  say({ kind: 'failed', code, detail: error instanceof Error ? error.message : String(error) })
} finally {
  port.close()
}
