/**
 * Where a key lies. Every key has exactly one place, decided by its characters alone: a path below the bucket's
 * folder, or, for what no file can be called, a file named by hash in the attic.
 */
import { createHash } from 'node:crypto'
import { storageFaults } from './errors.ts'

export const maxKeyBytes = 1024

export type KeyPlace =
  | { kind: 'path'; /** '' or 'a/b/', relative to the bucket's folder. */ directory: string; name: string }
  | { kind: 'attic'; reason: string }

/**
 * Refuses what is no key at all: empty, longer than 1024 bytes, with a NUL, or with `.` or `..` between slashes, which
 * some reader of the same tree would take for another place.
 */
export function checkKey(key: string): string {
  if (key === '') throw storageFaults.invalidArgument('The key is empty.')
  if (Buffer.byteLength(key) > maxKeyBytes) throw storageFaults.keyTooLongError('The key has more than 1024 bytes.')
  if (!key.isWellFormed()) throw storageFaults.invalidArgument('The key is not valid Unicode.')
  if (key.includes('\0')) throw storageFaults.invalidArgument('The key holds a NUL character.')
  if (key.split('/').some((part) => part === '.' || part === '..')) {
    throw storageFaults.invalidArgument("The key has '.' or '..' between slashes.", {
      hint: 'Send the key without dot segments.',
    })
  }
  return key
}

/** The place of a checked key. A path may still turn out to be blocked by a file or folder; then the attic serves. */
export function placeOfKey(key: string): KeyPlace {
  const slash = key.lastIndexOf('/')
  const directory = key.slice(0, slash + 1)
  const name = key.slice(slash + 1)
  if (name === '') return { kind: 'attic', reason: 'it ends in a slash' }
  if (key.startsWith('/') || key.includes('//'))
    return { kind: 'attic', reason: 'it has an empty part between slashes' }
  if (key.startsWith('.cygnet/') || key === '.cygnet') return { kind: 'attic', reason: 'the name .cygnet is reserved' }
  if (Buffer.byteLength(key) > 255 && key.split('/').some((part) => Buffer.byteLength(part) > 255)) {
    return { kind: 'attic', reason: 'a part between slashes has more than 255 bytes' }
  }
  return { kind: 'path', directory, name }
}

/** 'ab/abcdef...': the file of a key in the attic. */
export function atticName(key: string): string {
  const hash = createHash('sha256').update(key).digest('hex')
  return `${hash.slice(0, 2)}/${hash}`
}

/** 'a/b/c/' gives '', 'a/', 'a/b/', 'a/b/c/'. */
export function directoriesTo(directory: string): string[] {
  const found = ['']
  for (let slash = directory.indexOf('/'); slash !== -1; slash = directory.indexOf('/', slash + 1)) {
    found.push(directory.slice(0, slash + 1))
  }
  return found
}
