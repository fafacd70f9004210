/**
 * Locks between processes: a file that names its holder by pid, start time and boot, so that the lock of a dead
 * process is no lock, and a reused pid or a reboot cannot revive it. Local disks only.
 */
import { randomBytes } from 'node:crypto'
import { link, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { foundationFaults } from './errors.ts'
import { isSameProcess, processIdentity, type ProcessIdentity } from './processes.ts'

export interface Lock {
  readonly path: string
  release(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

interface Holder extends ProcessIdentity {
  nonce: string
}

/**
 * Takes the lock or fails at once with 'foundation.locked', whose `extra.holder` says who has it. Not reentrant: the
 * same process is refused as well.
 */
export async function acquireLock(path: string): Promise<Lock> {
  const holder: Holder = { ...processIdentity(process.pid)!, nonce: randomBytes(12).toString('hex') }
  const content = JSON.stringify(holder)
  const temporary = `${path}.${holder.nonce}`
  await writeFile(temporary, content, { mode: 0o644, flag: 'wx' })
  try {
    for (;;) {
      if (await linked(temporary, path)) break
      const present = await read(path)
      if (present === undefined) continue
      if (isHeld(present)) throw lockedBy(path, present)
      if (await tookOver(temporary, path, present)) break
    }
  } finally {
    await rm(temporary, { force: true })
  }
  const release = async () => {
    if ((await read(path)) === content) await rm(path, { force: true })
  }
  return { path, release, [Symbol.asyncDispose]: release }
}

/** Who holds the lock now, or `undefined`. */
export async function lockHolder(path: string): Promise<ProcessIdentity | undefined> {
  const content = await read(path)
  return content !== undefined && isHeld(content) ? (JSON.parse(content) as ProcessIdentity) : undefined
}

/** A link appears with its whole content and refuses to replace: the atomic "create if absent". */
async function linked(temporary: string, path: string): Promise<boolean> {
  try {
    await link(temporary, path)
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'EEXIST') return false
    throw error
  }
}

/**
 * Replaces the file of a dead holder. Two processes may have read the same dead holder: they agree through a lock of
 * their own, and whoever comes second finds that the file has changed.
 */
async function tookOver(temporary: string, path: string, stale: string): Promise<boolean> {
  await using _guard = await acquireLock(`${path}.takeover`)
  if ((await read(path)) !== stale) return false
  await rename(temporary, path)
  return true
}

async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}

function isHeld(content: string): boolean {
  try {
    return isSameProcess(JSON.parse(content) as ProcessIdentity)
  } catch {
    // Not a lock of ours, or torn by a power cut: nobody holds it.
    return false
  }
}

function lockedBy(path: string, content: string) {
  const { pid } = JSON.parse(content) as ProcessIdentity
  return foundationFaults.locked(`${path} is held by process ${pid}.`, {
    hint: `Stop process ${pid} first, or use another home.`,
    extra: { holder: pid },
  })
}
