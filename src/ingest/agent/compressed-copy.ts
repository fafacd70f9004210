/**
 * The compressed copy of a run that is sent in its place: made beside the journal, proved to inflate to the very bytes of the run file, and kept until
 * the stored object was compared. It survives kill -9: a copy that was finished is used again, one that was not is made anew.
 */
import { rename, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { compressRun, hashInflated } from '../../detector/index.ts'
import { failpoint } from '../../foundation/failpoints.ts'
import { ingestFaults } from '../errors.ts'
import { sameStamp, type AgentJournal, type CopyRecord, type Stamp } from './agent-journal.ts'
import type { WatchedFile } from './watched-folder.ts'

/** 70 MB/s and core; camera pictures come out 9 % larger than at level 6, which is eight times slower. */
const level = 1

export interface CompressedCopy {
  path: string
  stamp: Stamp
  sha256: string
  originalStamp: Stamp
  originalSha256: string
}

export const isToBeCompressed = (file: WatchedFile): boolean => file.key.endsWith(`/${file.name}.gz`)

/** `closedStamp`: how the run file was when it counted as closed; nothing made of other bytes is given. */
export async function compressedCopyOf(
  file: WatchedFile,
  closedStamp: Stamp,
  journal: AgentJournal,
  signal: AbortSignal,
): Promise<CompressedCopy> {
  const path = copyPath(journal, file.name)
  const originalStamp = closedStamp
  const known = await journal.readCopy(file.name)
  if (known !== undefined && sameStamp(known.originalStamp, originalStamp)) {
    const stamp = await stampAt(path).catch(() => undefined)
    if (stamp !== undefined && sameStamp(stamp, known.stamp)) return { ...known, path }
  }
  await forgetCopy(journal, file.name)
  const building = `${path}.building`
  const made = await compressRun(file.path, building, {
    level,
    signal,
    onProgress: () => failpoint('agent.while-compressing'),
  }).catch((cause: NodeJS.ErrnoException) => {
    if (cause.code !== 'ENOSPC' && cause.code !== 'EDQUOT') throw cause
    throw ingestFaults.noRoomToCompress(`There is no room for a compressed copy of ${file.path} (${cause.message}).`, {
      cause,
      hint: 'Make room on the DAQ disk (a third of the run file is needed for a while), or start the agent without --compress.',
    })
  })
  if (!sameStamp(await stampAt(file.path), originalStamp) || made.originalBytes !== originalStamp.sizeBytes) {
    throw ingestFaults.fileChanged(`${file.path} changed while it was compressed.`, {
      hint: 'It is sent again when it has stopped changing. Something writes into a closed run.',
    })
  }
  const back = await hashInflated(building, signal)
  if (!back.sound || back.sha256 !== made.originalSha256) {
    throw ingestFaults.badCopy(`The compressed copy of ${file.path} does not inflate to the file.`, {
      hint: 'It is made again. If it happens again, check disk and memory of the DAQ machine.',
    })
  }
  await failpoint('agent.after-compress')
  await rename(building, path)
  const copy = {
    file: file.name,
    originalStamp,
    originalSha256: made.originalSha256,
    stamp: await stampAt(path),
    sha256: made.sha256,
  } satisfies CopyRecord
  await journal.writeCopy(copy)
  return { ...copy, path }
}

/** The copy has done its duty, or is of no use any more. */
export async function forgetCopy(journal: AgentJournal, file: string): Promise<void> {
  await journal.forgetCopy(file)
  await rm(copyPath(journal, file), { force: true })
  await rm(`${copyPath(journal, file)}.building`, { force: true })
}

const copyPath = (journal: AgentJournal, file: string): string => join(journal.folder, `${file}.gz`)

async function stampAt(path: string): Promise<Stamp> {
  const { size, mtimeMs, ino } = await stat(path)
  return { sizeBytes: size, mtimeMs, inode: ino }
}
