/**
 * One launcher at a time sets up a checkout. The lock is a file that names its holder by pid, start time and boot;
 * the lock of a dead process is taken over. (The program's own locks, src/foundation/lock.ts, follow the same idea;
 * the launcher cannot import TypeScript.)
 */
import { linkSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { SetUpError, startProgress } from './talk.js'

/** Waits for its turn and says so; resolves with what releases the lock. Also released when the process exits. */
export async function takeTurn(path) {
  makeFolder(dirname(path))
  const own = JSON.stringify(identityOf(process.pid))
  let progress
  while (!tryTake(path, own)) {
    progress ??= startProgress(`waiting for another launcher (process ${holderOf(path)?.pid ?? '?'}) to set up`)
    await sleep(200)
  }
  progress?.done('done')
  const release = () => {
    if (read(path) === own) rmSync(path, { force: true })
  }
  process.once('exit', release)
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.once(signal, () => process.exit(130))
  return release
}

function tryTake(path, own) {
  const temporary = `${path}.${process.pid}.${Date.now()}`
  writeFileSync(temporary, own)
  try {
    // A link appears whole and refuses to replace what is there.
    linkSync(temporary, path)
    return true
  } catch (error) {
    if (error.code !== 'EEXIST') throw error
    const present = read(path)
    if (present === undefined || isAlive(present)) return false
    return tookOver(path, temporary, own, present)
  } finally {
    rmSync(temporary, { force: true })
  }
}

/** Those who find the same dead holder agree by a lock of the same kind; the second one finds the file changed. */
function tookOver(path, temporary, own, stale) {
  const guard = `${path}.takeover`
  if (!tryTake(guard, own)) return false
  try {
    if (read(path) !== stale) return false
    renameSync(temporary, path)
    return true
  } finally {
    rmSync(guard, { force: true })
  }
}

function makeFolder(folder) {
  try {
    mkdirSync(folder, { recursive: true })
    const probe = `${folder}/.probe.${process.pid}`
    writeFileSync(probe, '')
    rmSync(probe)
  } catch (error) {
    const checkout = dirname(folder)
    if (error.code === 'ENOSPC')
      throw new SetUpError(`The disk of ${checkout} is full.`, 'Free about 600 MB and run this again.')
    throw new SetUpError(
      `Cygnet must set itself up, and ${checkout} is not writable for you.`,
      'Run it once as the owner of that folder, or copy the folder to a place of yours.',
    )
  }
}

function read(path) {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return undefined
  }
}

function holderOf(path) {
  try {
    return JSON.parse(read(path))
  } catch {
    return undefined
  }
}

function isAlive(content) {
  try {
    const holder = JSON.parse(content)
    const now = identityOf(holder.pid)
    return now.startTicks === holder.startTicks && now.bootId === holder.bootId
  } catch {
    return false
  }
}

function identityOf(pid) {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const startTicks = Number(stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19])
  return { pid, startTicks, bootId: readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim() }
}
