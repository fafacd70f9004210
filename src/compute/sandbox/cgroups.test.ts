/**
 * Which groups are chosen, and what the shim does with them. A v2 tree with memory and pids cannot be had on every
 * machine that tests: there the choice and the limits are tested on a FAKE tree (plain files in a folder), and freezing,
 * killing and moving out of the way on the machine's real v2 mount.
 */
import { spawn } from 'node:child_process'
import { accessSync, constants, readFileSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rmdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { processIdentity, runCommand } from '../../foundation/processes.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { attemptCgroup, detectCgroups, passOn, releaseCgroups, type AttemptCgroup } from './cgroups.ts'

const compute = join(import.meta.dirname, '..')

async function fakeTree(groups: Record<string, string>): Promise<string> {
  const { path } = await temporaryDirectory()
  for (const [group, controllers] of Object.entries(groups)) {
    const folder = join(path, group)
    await mkdir(folder, { recursive: true })
    await writeFile(join(folder, 'cgroup.controllers'), `${controllers}\n`)
    for (const file of ['cgroup.subtree_control', 'cgroup.procs', 'memory.max', 'pids.max'])
      await writeFile(join(folder, file), '')
  }
  return path
}

const version2 = (top: string) => `tmpfs / tmpfs rw 0 0\ncgroup2 ${top} cgroup2 rw,nosuid 0 0\n`

describe('the choice of cgroups on a FAKE v2 tree', () => {
  const service = '/system.slice/cygnet.service'

  test('a delegated group of a service is the root of everything', async () => {
    const top = await fakeTree({ '': 'cpu memory pids', [service]: 'cpu memory pids', [`${service}/label`]: '' })
    const facts = { mounts: version2(top), own: `0::${service}\n` }
    const found = await detectCgroups('label', { ...facts, isDelegated: () => true })
    expect(found).toEqual({ version: 2, parents: { all: join(top, service, 'label') } })
    expect(await readFile(join(top, service, 'cgroup.subtree_control'), 'utf8')).toBe('+memory +pids +cpu')
    // After the platform has moved into its leaf, the root is still the service's group.
    const later = { ...facts, own: `0::${service}/cygnet-platform\n`, isDelegated: () => true }
    expect(await detectCgroups('label', later)).toEqual(found)
  })

  test('a group that was not delegated is left alone', async () => {
    const top = await fakeTree({ '': 'cpu memory pids', label: '', [service]: 'memory pids' })
    const facts = { mounts: version2(top), own: `0::${service}\n`, isDelegated: () => false }
    expect(await detectCgroups('label', facts)).toEqual({ version: 2, parents: { all: join(top, 'label') } })
    expect(await readFile(join(top, service, 'cgroup.subtree_control'), 'utf8')).toBe('')
  })

  test('a delegation without memory is no delegation, and without any tree there is none', async () => {
    const top = await fakeTree({ '': 'cpu pids', [service]: 'cpu pids' })
    const facts = { mounts: version2(top), own: `0::${service}\n`, isDelegated: () => true }
    expect(await detectCgroups('label', facts)).toBeUndefined()
    expect(await detectCgroups('label', { mounts: '', own: '' })).toBeUndefined()
  })

  test('the shim sets every limit, and refuses to start without one that was promised', async () => {
    const top = await fakeTree({ '': 'cpu memory pids', label: '' })
    const facts = { mounts: version2(top), own: '0::/\n', isDelegated: () => false }
    const cgroup = attemptCgroup((await detectCgroups('label', facts))!, 'job.1')
    const limits = { memoryBytes: 64 << 20, cpuMilli: 1500, processes: 77 }
    await shimSays(cgroup, limits, 'make_cgroup(spec)')
    const file = (name: string) => readFile(join(top, 'label', 'job.1', name), 'utf8')
    expect(await file('memory.max')).toBe(String(64 << 20))
    expect(await file('memory.swap.max')).toBe('0')
    expect(await file('memory.oom.group')).toBe('1')
    expect(await file('pids.max')).toBe('77')
    expect(await file('cpu.weight')).toBe('150')
    await writeFile(join(top, 'label', 'job.1', 'memory.events'), 'low 0\noom 1\noom_kill 3\n')
    await writeFile(join(top, 'label', 'job.1', 'cpu.stat'), 'usage_usec 2500000\n')
    await writeFile(join(top, 'label', 'job.1', 'memory.peak'), '4096\n')
    expect(await shimSays(cgroup, limits, 'print(cgroup_usage(spec))')).toBe('(2.5, 4096, 3)')
    const unwritable: AttemptCgroup = { version: 2, folders: { all: '/proc/self' } }
    await expect(shimSays(unwritable, limits, 'make_cgroup(spec)')).rejects.toThrow(/memory.max cannot be set/)
  })
})

const unified = unifiedMount()

describe(`a REAL v2 tree${unified === undefined ? ' (skipped: none that we may write to)' : ''}`, () => {
  test.skipIf(unified === undefined)(
    'freezes, kills in one stroke and proves it, whoever forks meanwhile',
    async () => {
      const folder = await realGroup()
      const cgroup: AttemptCgroup = { version: 2, folders: { all: folder } }
      // Three fork without end and ignore what can be ignored.
      const script = `trap '' TERM HUP INT; for n in 1 2 3; do (while :; do (sleep 0.01 &) ; sleep 0.01; done) & done; wait`
      const child = spawn('sh', ['-c', `echo $$ > ${folder}/cgroup.procs; ${script}`], {
        detached: true,
        stdio: 'ignore',
      })
      await until(async () => (await members(folder)).length > 4)
      await shimSays(cgroup, {}, 'freeze(spec, True)')
      await until(async () => (await readFile(join(folder, 'cgroup.events'), 'utf8')).includes('frozen 1'))
      const frozen = await members(folder)
      expect(await shimSays(cgroup, {}, 'print(end_all(spec, [], {}))')).toBe('True')
      expect((await members(folder)).filter((pid) => processIdentity(pid) !== undefined)).toEqual([])
      expect(frozen.filter((pid) => processIdentity(pid) !== undefined)).toEqual([])
      expect(processIdentity(child.pid!)).toBeUndefined()
    },
  )

  const controller = unified?.controllers[0]
  test.skipIf(controller === undefined)(
    `processes of a group move into a leaf before groups get limits (${controller ?? 'skipped: no controller'})`,
    async () => {
      const top = join(unified!.folder, 'cgroup.subtree_control')
      const before = await readFile(top, 'utf8')
      if (!before.includes(controller!)) onTestFinished(() => writeFile(top, `-${controller}`))
      await passOn(unified!.folder, [controller!])
      const folder = await realGroup()
      const child = spawn('sleep', ['1000'], { stdio: 'ignore' })
      onTestFinished(() => void child.kill('SIGKILL'))
      await writeFile(join(folder, 'cgroup.procs'), String(child.pid))
      await passOn(folder, [controller!])
      expect(await members(folder)).toEqual([])
      expect(await members(join(folder, 'cygnet-platform'))).toEqual([child.pid])
      expect(await readFile(join(folder, 'cgroup.subtree_control'), 'utf8')).toBe(`${controller}\n`)
      const ended = new Promise((done) => child.once('exit', done))
      child.kill('SIGKILL')
      await ended
      await rmdir(join(folder, 'cygnet-platform'))
    },
  )
})

test('groups of this machine come and go', async () => {
  const found = await detectCgroups(`cygnet-test-${process.pid}`)
  if (found === undefined) return
  for (const folder of Object.values(found.parents)) accessSync(folder)
  await releaseCgroups(found)
  for (const folder of Object.values(found.parents)) expect(() => accessSync(folder)).toThrow()
})

/** Runs a line of Python with the shim's functions and a specification with this group. */
async function shimSays(cgroup: AttemptCgroup, limits: Record<string, number>, line: string): Promise<string> {
  const script = `
import sys, json
sys.path.insert(0, ${JSON.stringify(compute)})
sys.dont_write_bytecode = True
from shim_processes import *
spec = json.loads(sys.argv[1])
${line}`
  const spec = JSON.stringify({ attempt: 'job.1', cgroup, limits })
  const { code, stdout, stderr } = await runCommand(['python3', '-c', script, spec], { timeoutMs: 60_000 })
  if (code !== 0) throw new Error(stderr)
  return stdout.trim()
}

function unifiedMount(): { folder: string; controllers: string[] } | undefined {
  for (const folder of ['/sys/fs/cgroup/unified', '/sys/fs/cgroup']) {
    try {
      accessSync(join(folder, 'cgroup.controllers'))
      accessSync(join(folder, 'cgroup.procs'), constants.W_OK)
      return { folder, controllers: ['hugetlb', 'pids'].filter((name) => controllersOf(folder).includes(name)) }
    } catch {
      // Another place, or nowhere.
    }
  }
  return undefined
}

function controllersOf(folder: string): string[] {
  return readFileSync(join(folder, 'cgroup.controllers'), 'utf8').trim().split(' ')
}

async function realGroup(): Promise<string> {
  const folder = await mkdtemp(join(unified!.folder, 'cygnet-test-'))
  onTestFinished(async () => {
    await writeFile(join(folder, 'cgroup.kill'), '1').catch(() => undefined)
    await until(async () => (await members(folder)).length === 0)
    await rmdir(folder)
  })
  return folder
}

async function members(folder: string): Promise<number[]> {
  return (await readFile(join(folder, 'cgroup.procs'), 'utf8')).split('\n').filter(Boolean).map(Number)
}

async function until(what: () => Promise<boolean>): Promise<void> {
  while (!(await what())) await new Promise((resolve) => setTimeout(resolve, 10))
}
