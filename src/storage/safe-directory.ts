/**
 * Folders without links. A folder is opened once and compared with the path it must have; everything then happens
 * under /proc/self/fd/N/name, the openat of plain Node: whoever swaps a folder for a link meanwhile moves nothing.
 */
import { closeSync, constants, fstatSync, lstatSync, openSync, readlinkSync, type BigIntStats } from 'node:fs'

const directoryFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW
/** O_NONBLOCK: opening a FIFO must not wait for a writer. */
const fileFlags = constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK

export interface SafeDirectory {
  fd: number
  /** Address of an entry of this very folder. */
  at(name: string): string
  mtimeNs(): bigint
  bornNs(): bigint
  close(): void
}

/** `missing`: not there. `blocked`: something that is no folder, or a link, is in the way. */
export type DirectoryAnswer = SafeDirectory | 'missing' | 'blocked'

/** Opens the folder `root` + `/` + `relative` ('a/b/'); `root` is a real path without links. */
export function openDirectory(root: string, relative: string): DirectoryAnswer {
  const wanted = relative === '' ? root : `${root}/${relative.slice(0, -1)}`
  let fd: number
  try {
    fd = openSync(wanted, directoryFlags)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT') return 'missing'
    if (code === 'ENOTDIR' || code === 'ELOOP' || code === 'ENAMETOOLONG') return 'blocked'
    throw error
  }
  try {
    if (readlinkSync(`/proc/self/fd/${fd}`) === wanted) return safeDirectory(fd)
  } catch (error) {
    closeSync(fd)
    throw error
  }
  closeSync(fd)
  return 'blocked'
}

function safeDirectory(fd: number): SafeDirectory {
  let isOpen = true
  return {
    fd,
    at: (name) => `/proc/self/fd/${fd}/${name}`,
    mtimeNs: () => fstatSync(fd, { bigint: true }).mtimeNs,
    bornNs: () => fstatSync(fd, { bigint: true }).birthtimeNs,
    close() {
      if (isOpen) closeSync(fd)
      isOpen = false
    },
  }
}

/** Opens a regular file for reading; undefined if there is none of that name (links, FIFOs and folders are none). */
export function openRegularFile(directory: SafeDirectory, name: string): { fd: number; stat: BigIntStats } | undefined {
  let fd: number
  try {
    fd = openSync(directory.at(name), fileFlags)
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === 'ENOENT' || code === 'ELOOP' || code === 'ENXIO' || code === 'ENAMETOOLONG') return undefined
    throw error
  }
  const stat = fstatSync(fd, { bigint: true })
  if (stat.isFile()) return { fd, stat }
  closeSync(fd)
  return undefined
}

/** The entry itself, links not followed; undefined if there is none. */
export function statEntry(directory: SafeDirectory, name: string): BigIntStats | undefined {
  return lstatSync(directory.at(name), { bigint: true, throwIfNoEntry: false })
}
