/** Trees of nothing but folders, looked at and removed folder by folder: people may swap theirs for links meanwhile. */
import { readdirSync, rmdirSync, type Dirent } from 'node:fs'
import { storageFaults } from './errors.ts'
import { openDirectory, type SafeDirectory } from './safe-directory.ts'

/** True if there is no entry below `root` that is not a folder. */
export function isEmptyTree(root: string, relative = ''): boolean {
  const directory = openDirectory(root, relative)
  if (typeof directory === 'string') return false
  try {
    return entriesOf(directory).every((entry) => entry.isDirectory() && isEmptyTree(root, `${relative}${entry.name}/`))
  } finally {
    directory.close()
  }
}

/** rmdir refuses what somebody has put there since, and follows no link. */
export function removeEmptyTree(root: string): void {
  removeBelow(root, '')
  removeFolder(root)
}

function removeBelow(root: string, relative: string): void {
  const directory = openDirectory(root, relative)
  if (typeof directory === 'string') return
  try {
    for (const { name } of entriesOf(directory)) {
      removeBelow(root, `${relative}${name}/`)
      removeFolder(directory.at(name))
    }
  } finally {
    directory.close()
  }
}

function removeFolder(path: string): void {
  try {
    rmdirSync(path)
  } catch (error) {
    throw storageFaults.bucketNotEmpty('Something was put into the bucket meanwhile.', { cause: error })
  }
}

function entriesOf({ fd }: SafeDirectory): Dirent[] {
  return readdirSync(`/proc/self/fd/${fd}/.`, { withFileTypes: true })
}
