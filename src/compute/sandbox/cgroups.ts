/** Which cgroups this machine offers for limits, and where the groups of an attempt go. v2, v1 or none. */
import { getAttributeSync } from '@napi-rs/xattr'
import { accessSync, constants } from 'node:fs'
import { access, mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'

export interface Cgroups {
  version: 1 | 2
  /**
   * Controller to the folder below which attempts get theirs; for v2 the one key is `all`. With v1, `unified` is a v2
   * group without limits, where the machine has that tree as well: it ends everything in one stroke.
   */
  parents: Record<string, string>
}

/** The groups of one attempt, as the shim understands them. */
export interface AttemptCgroup {
  version: 1 | 2
  folders: Record<string, string>
}

/** What the kernel says about cgroups: /proc/mounts and /proc/self/cgroup, or an account of another machine. */
interface CgroupFacts {
  mounts: string
  own: string
  /** Whether a service manager has handed a group over to us; asked of its folder when not said here. */
  isDelegated?: (folder: string) => boolean
}

/** The group our own processes move into when their group must have groups below it: one has either, never both. */
const leafName = 'cygnet-platform'

/** `label` tells installations on one machine apart. Undefined: no limits but what the shim itself polls. */
export async function detectCgroups(label: string, facts?: CgroupFacts): Promise<Cgroups | undefined> {
  const {
    mounts: mountText,
    own: ownText,
    isDelegated = saysDelegated,
  } = facts ?? { mounts: await readText('/proc/mounts'), own: await readText('/proc/self/cgroup') }
  const mounts = mountText.split('\n').map((line) => line.split(' '))
  const own = ownText.split('\n').map((line) => line.split(':'))
  return (await detectVersion2(basesOf(mounts, own, isDelegated), label)) ?? (await detectVersion1(mounts, own, label))
}

export function attemptCgroup(cgroups: Cgroups, attempt: string): AttemptCgroup {
  return {
    version: cgroups.version,
    folders: Object.fromEntries(Object.entries(cgroups.parents).map(([name, parent]) => [name, join(parent, attempt)])),
  }
}

/** Takes the installation's own groups away if no attempt has one below them. */
export async function releaseCgroups(cgroups: Cgroups): Promise<void> {
  for (const parent of Object.values(cgroups.parents)) await rmdir(parent).catch(() => undefined)
}

async function detectVersion2(bases: string[], label: string): Promise<Cgroups | undefined> {
  for (const base of bases) {
    const controllers = (await readText(join(base, 'cgroup.controllers'))).trim().split(' ')
    if (!controllers.includes('memory') || !controllers.includes('pids')) continue
    const wanted = ['memory', 'pids', 'cpu'].filter((name) => controllers.includes(name))
    const parent = join(base, label)
    try {
      await passOn(base, wanted)
      await mkdir(parent, { recursive: true })
      await passOn(parent, wanted)
      for (const file of ['memory.max', 'pids.max']) await readFile(join(parent, file))
      await access(join(parent, 'cgroup.procs'), constants.W_OK)
      return { version: 2, parents: { all: parent } }
    } catch {
      await rmdir(parent).catch(() => undefined)
    }
  }
  return undefined
}

/**
 * Where groups may be made: below our own group when it is ours (delegated by a service manager, `Delegate=yes`), so
 * that what the machine's owner put on us holds for jobs as well; else at the top, for who may write there.
 */
function basesOf(mounts: string[][], own: string[][], isDelegated: (folder: string) => boolean): string[] {
  const top = mounts.find((mount) => mount[2] === 'cgroup2')?.[1]
  if (top === undefined) return []
  const path = own.find((line) => line[0] === '0' && line[1] === '')?.[2] ?? '/'
  const mine = join(top, basename(path) === leafName ? dirname(path) : path)
  return isDelegated(mine) ? [...new Set([mine, top])] : [top]
}

/** systemd marks what it hands over to root; what it hands to others is theirs, and shows by that. */
function saysDelegated(folder: string): boolean {
  const others = process.getuid?.() !== 0
  try {
    if (others) {
      accessSync(join(folder, 'cgroup.procs'), constants.W_OK)
      return true
    }
    return ['trusted.delegate', 'user.delegate'].some((name) => getAttributeSync(folder, name)?.toString() === '1')
  } catch {
    return false
  }
}

/**
 * Lets groups below `folder` have these controllers. A group with processes may not (EBUSY): they, which are our own
 * platform's or our container's, move into a leaf first.
 */
export async function passOn(folder: string, controllers: readonly string[]): Promise<void> {
  const enable = () =>
    writeFile(join(folder, 'cgroup.subtree_control'), controllers.map((name) => `+${name}`).join(' '))
  try {
    await enable()
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EBUSY') throw error
    const leaf = join(folder, leafName)
    await mkdir(leaf, { recursive: true })
    // Processes may be born while we read: a few rounds.
    for (let round = 0; round < 5; round++) {
      const pids = (await readText(join(folder, 'cgroup.procs'))).split('\n').filter(Boolean)
      if (pids.length === 0) break
      for (const pid of pids) await writeFile(join(leaf, 'cgroup.procs'), pid).catch(() => undefined)
    }
    await enable()
  }
}

async function detectVersion1(mounts: string[][], own: string[][], label: string): Promise<Cgroups | undefined> {
  const parents: Record<string, string> = {}
  for (const [controller, file] of [
    ['memory', 'memory.limit_in_bytes'],
    ['pids', 'pids.max'],
    ['cpu', 'cpu.shares'],
    ['cpuacct', 'cpuacct.usage'],
    ['freezer', 'freezer.state'],
  ] as const) {
    const top = mounts.find((mount) => mount[2] === 'cgroup' && mount[3]?.split(',').includes(controller))?.[1]
    const path = own.find((line) => line[1]?.split(',').includes(controller))?.[2]
    if (top === undefined || path === undefined) continue
    // Below our own group, so that a limit which the machine's owner put on us holds for jobs as well.
    const parent = join(top, path, label)
    if (await usable(parent, file)) parents[controller] = parent
  }
  if (parents.memory === undefined || parents.pids === undefined) return undefined
  const unified = mounts.find((mount) => mount[2] === 'cgroup2')?.[1]
  if (unified !== undefined) {
    const path = own.find((line) => line[0] === '0' && line[1] === '')?.[2] ?? '/'
    const parent = join(unified, path, label)
    if (await usable(parent, 'cgroup.kill')) parents.unified = parent
  }
  return { version: 1, parents }
}

/** True when groups with that file can be made below `parent`. */
async function usable(parent: string, file: string): Promise<boolean> {
  const child = join(parent, `probe-${process.pid}`)
  try {
    await mkdir(child, { recursive: true })
    await readFile(join(child, file)).catch((error: NodeJS.ErrnoException) => {
      // cgroup.kill can only be written.
      if (error.code !== 'EINVAL' && error.code !== 'EACCES') throw error
    })
    await access(join(child, file), constants.W_OK)
    return true
  } catch {
    // Not ours to use.
    await rmdir(child).catch(() => undefined)
    await rmdir(parent).catch(() => undefined)
    return false
  } finally {
    await rmdir(child).catch(() => undefined)
  }
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
