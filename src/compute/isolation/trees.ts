/** Payloads that do not want to die, and the proof that they did. */
import { existsSync, readFileSync, readdirSync, readlinkSync } from 'node:fs'
import { join } from 'node:path'
import { processIdentity } from '../../foundation/processes.ts'
import type { Stand } from './stand.ts'

/** What a tree is made of; each name is a way to be missed by a careless killer. */
const habits = ['daemons', 'deaf', 'storm', 'nameless', 'relay race'] as const

const tree = `
import os, signal, sys, time
habit = sys.argv[1]
print("grown", flush=True)

def deaf():
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)

def daemon(work):
    """Twice forked, a session of its own, no terminal, no open file of the parent."""
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            os.chdir("/")
            os.closerange(0, 64)
            work()
        os._exit(0)

def sit():
    while True:
        time.sleep(1)

def storm():
    while True:
        try:
            if os.fork() == 0:
                continue
        except OSError:
            time.sleep(0.02)

def nameless():
    os.execve("/bin/sleep", ["[kworker/0:1]", "1000"], {})

def race():
    # Each runner ends as soon as the next one runs: a list of pids is old before it is read.
    while True:
        try:
            if os.fork() != 0:
                os._exit(0)
        except OSError:
            pass
        os.setsid()
        time.sleep(0.001)

deaf()
work = {"daemons": sit, "deaf": sit, "storm": storm, "nameless": nameless, "relay race": race}[habit]
for _ in range(4):
    try:
        daemon(work)
    except OSError:
        pass  # the storm was faster
sit()
`

export interface TreeReport {
  trees: number
  processes: number
  survivors: number
  notCancelled: string[]
}

/** Since the machine was started, as /proc counts. */
function ticksNow(): number {
  return Math.ceil(Number(readFileSync('/proc/uptime', 'utf8').split(' ')[0]) * 100)
}

/** Grows `count` trees, a few at a time, cancels each and looks for what is left of it. */
export async function cutTrees(stand: Stand, count: number): Promise<TreeReport> {
  const report: TreeReport = { trees: 0, processes: 0, survivors: 0, notCancelled: [] }
  let next = 0
  const cutOne = async () => {
    while (next < count) {
      const habit = habits[next++ % habits.length]!
      const job = await stand.begin(tree, {
        arguments: [habit],
        limits: { processes: 40, stopGraceMs: 50 },
        spec: { request: { cpuMilli: 500, memoryMiB: 256, walltimeMs: 600_000 } },
      })
      let attempt = 0
      for (;;) {
        const now = await stand.compute.show(job.id)
        attempt = now.attempt
        if (now.endedMs !== null) throw new Error(`a tree ended by itself: ${now.reason}\n${await stand.logOf(now)}`)
        if ((await stand.logOf(now)).includes('grown')) break
        await pause()
      }
      const folder = stand.compute.folderOf(job.id, attempt)
      const grown = await eventually(async () => {
        const { endedMs, reason } = await stand.compute.show(job.id)
        if (endedMs !== null) throw new Error(`a tree ended by itself: ${reason}\n${await stand.logOf(job)}`)
        const living = livingOf(folder)
        return living.pids.length >= 4 ? living : undefined
      })
      report.processes += grown.pids.length
      const cancelledTicks = ticksNow()
      await stand.compute.cancel(job.id)
      const ended = await stand.compute.ended(job.id)
      if (ended.state !== 'cancelled') report.notCancelled.push(`${habit}: ${ended.state} ${ended.reason}`)
      // The number of a namespace that has ended is given to the next one, of somebody else, at once. What lives on has its
      // first process, which is older than the order to end.
      report.survivors += inNamespaces(grown.namespaces).filter((pid) => {
        return (processIdentity(pid)?.startTicks ?? Infinity) <= cancelledTicks
      }).length
      report.survivors += grown.groups.filter((group) => existsSync(group)).length
      report.trees += 1
    }
  }
  await Promise.all([cutOne(), cutOne()])
  return report
}

interface Living {
  pids: number[]
  namespaces: Set<string>
  groups: string[]
}

/** The processes of an attempt: by descent from its shim, and by the pid namespaces these have. */
function livingOf(folder: string): Living {
  const spec = JSON.parse(readFileSync(join(folder, 'spec.json'), 'utf8')) as {
    cgroup: { folders: Record<string, string> } | null
  }
  const shim = JSON.parse(readFileSync(join(folder, 'claim', 'shim.json'), 'utf8')) as { pid: number }
  const ours = readlinkSync('/proc/self/ns/pid')
  const children = new Map<number, number[]>()
  for (const pid of pidsOfMachine()) {
    const parent = Number(/^PPid:\s+(\d+)/m.exec(textOf(`/proc/${pid}/status`))?.[1] ?? -1)
    children.set(parent, [...(children.get(parent) ?? []), pid])
  }
  const found: number[] = []
  const open = [shim.pid]
  while (open.length > 0) {
    const more = children.get(open.pop()!) ?? []
    found.push(...more)
    open.push(...more)
  }
  const namespaces = new Set(found.map(namespaceOf).filter((name) => name !== '' && name !== ours))
  return { pids: inNamespaces(namespaces), namespaces, groups: Object.values(spec.cgroup?.folders ?? {}) }
}

function inNamespaces(namespaces: ReadonlySet<string>): number[] {
  return pidsOfMachine().filter((pid) => namespaces.has(namespaceOf(pid)) && processIdentity(pid) !== undefined)
}

function pidsOfMachine(): number[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .map(Number)
}

function namespaceOf(pid: number): string {
  try {
    return readlinkSync(`/proc/${pid}/ns/pid`)
  } catch {
    return ''
  }
}

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}

async function eventually<Value>(probe: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    const value = await probe()
    if (value !== undefined) return value
    await pause()
  }
}

const pause = () => new Promise((resolve) => setTimeout(resolve, 20))
