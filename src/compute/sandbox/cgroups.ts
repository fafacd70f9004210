/** Which cgroups this machine offers for limits, and where the groups of an attempt go. v2, v1 or none. */
import { mkdir, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

export interface Cgroups {
  version: 1 | 2
  /** Controller to the folder below which attempts get theirs; for v2 the one key is `all`. */
  parents: Record<string, string>
}

/** The groups of one attempt, as the shim understands them. */
export interface AttemptCgroup {
  version: 1 | 2
  folders: Record<string, string>
}

/** `label` tells installations on one machine apart. Undefined: no limits but what the shim itself polls. */
export async function detectCgroups(label: string): Promise<Cgroups | undefined> {
  const mounts = (await readText('/proc/mounts')).split('\n').map((line) => line.split(' '))
  const own = (await readText('/proc/self/cgroup')).split('\n').map((line) => line.split(':'))
  return (await detectVersion2(mounts, label)) ?? (await detectVersion1(mounts, own, label))
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

async function detectVersion2(mounts: string[][], label: string): Promise<Cgroups | undefined> {
  const top = mounts.find((mount) => mount[2] === 'cgroup2')?.[1]
  if (top === undefined) return undefined
  const controllers = (await readText(join(top, 'cgroup.controllers'))).trim().split(' ')
  if (!controllers.includes('memory') || !controllers.includes('pids')) return undefined
  const wanted = ['memory', 'pids', 'cpu']
    .filter((name) => controllers.includes(name))
    .map((name) => `+${name}`)
    .join(' ')
  const parent = join(top, label)
  try {
    await writeFile(join(top, 'cgroup.subtree_control'), wanted)
    await mkdir(parent, { recursive: true })
    await writeFile(join(parent, 'cgroup.subtree_control'), wanted)
    await probe(parent, 'memory.max')
    return { version: 2, parents: { all: parent } }
  } catch {
    return undefined
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
    try {
      await mkdir(parent, { recursive: true })
      await probe(parent, file)
      parents[controller] = parent
    } catch {
      // Not ours to use.
    }
  }
  return parents.memory !== undefined && parents.pids !== undefined ? { version: 1, parents } : undefined
}

async function probe(parent: string, file: string): Promise<void> {
  const child = join(parent, `probe-${process.pid}`)
  await mkdir(child, { recursive: true })
  try {
    await readFile(join(child, file))
  } finally {
    await rmdir(child)
  }
}

async function readText(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}
