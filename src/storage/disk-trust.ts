/**
 * Whether the data disk is still to be trusted. After a failed fsync the kernel may have dropped pages and says so only
 * once: a second fsync that succeeds proves nothing. So the first failure ends all writing of this process, and nothing
 * that was under way is acknowledged any more; reading goes on. A restart begins with what the disk really holds.
 */
import { closeSync, constants, fsync, openSync } from 'node:fs'
import type { Logger } from '../foundation/log.ts'
import { storageFaults } from './errors.ts'

export interface DiskTrust {
  /** Syncs an open file. A failure, unless the disk is only full, makes the disk suspect. */
  syncFile(fd: number): Promise<void>
  /** Makes creations, renames and removals inside a folder survive a power cut; fails like `syncFile`. */
  syncDirectory(path: string): Promise<void>
  /** Throws 'storage.read_only' on a suspect disk. */
  requireTrust(): void
  /** From now on writes are refused. */
  suspect(reason: string): void
  suspicion(): string | undefined
}

/** Errors that leave the disk as it was: there was no room. Whoever asked is refused, others are not. */
const fullCodes = new Set(['ENOSPC', 'EDQUOT'])
const brokenCodes = new Set(['EIO', 'EROFS', 'ENXIO', 'ENODEV', 'EBADMSG', 'EUCLEAN'])

export function isDiskFull(error: unknown): boolean {
  const { code, errno } = error as NodeJS.ErrnoException
  // Node has no name for EDQUOT: its code is 'Unknown system error -122'.
  return fullCodes.has(code ?? '') || errno === -122
}

/** The disk refused: what it holds now nobody knows. */
export function isDiskBroken(error: unknown): boolean {
  return brokenCodes.has((error as NodeJS.ErrnoException).code ?? '')
}

export function createDiskTrust(log: Logger): DiskTrust {
  let suspicion: string | undefined

  function suspect(reason: string): void {
    if (suspicion === undefined)
      log.error({ reason }, 'the data disk failed; storage refuses writes until it is restarted')
    suspicion ??= reason
  }

  function requireTrust(): void {
    if (suspicion !== undefined) throw storageFaults.readOnly(`Storage refuses writes: ${suspicion}.`)
  }

  async function synced(fd: number, what: string): Promise<void> {
    requireTrust()
    try {
      await new Promise<void>((resolve, reject) => fsync(fd, (error) => (error === null ? resolve() : reject(error))))
    } catch (error) {
      if (!isDiskFull(error)) suspect(`${what} could not be synced to the data disk`)
      throw error
    }
    // Somebody else's fsync failed meanwhile: what it dropped may have been ours.
    requireTrust()
  }

  return {
    suspect,
    requireTrust,
    suspicion: () => suspicion,
    syncFile: async (fd) => await synced(fd, 'a file'),
    async syncDirectory(path) {
      // O_DIRECTORY: people may put a FIFO in the place of their folder, and opening that would wait for ever.
      const fd = openSync(path, constants.O_RDONLY | constants.O_DIRECTORY)
      try {
        await synced(fd, 'a folder')
      } finally {
        closeSync(fd)
      }
    },
  }
}
