/**
 * S-2, S-5: what hostile code finds inside a sandbox. The expected report stands here in full: whatever else a payload
 * gets to see or to do makes this red.
 */
import { existsSync, readFileSync } from 'node:fs'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { refusedCalls, syscallFilterHex } from '../sandbox/syscall-filter.ts'
import { asOrdinaryUser, whyNotOrdinary } from './as-ordinary-user.ts'
import { openStand, probe, type ProbeReport, type Stand } from './stand.ts'
import type { TestRoomOptions } from '../testing.ts'

const isRoot = process.getuid?.() === 0
const noFilter = syscallFilterHex(process.arch) === undefined

async function stand(options: TestRoomOptions = {}): Promise<Stand> {
  const folder = await temporaryDirectory()
  const opened = await openStand(folder.path, options)
  onTestFinished(() => opened.close())
  return opened
}

/** The only places of the list that answer anything but that they are not there. */
const seenPaths = {
  '/home': ['alice'],
  '/run': ['cygnet', 'gateway', 'relay.py'],
  '/data': ['demo-work'],
  '/proc/kmsg': 'EACCES',
  '/proc/sys/kernel/cad_pid': 'EACCES',
}
const refusals = ['absent', 'EACCES', 'EPERM', 'EROFS', 'EISDIR']
const onlyForItself = new Set(['/proc/1/oom_score_adj'])

function expectShut(report: ProbeReport, uid: number): void {
  expect(Object.keys(report.paths).length).toBeGreaterThan(70)
  expect(Object.fromEntries(Object.entries(report.paths).filter(([, answer]) => answer !== 'absent'))).toEqual(
    seenPaths,
  )
  expect(Object.keys(report.writes).length).toBeGreaterThan(20)
  for (const [path, answer] of Object.entries(report.writes))
    if (!onlyForItself.has(path)) expect(refusals, path).toContain(answer)
  if (!noFilter) expect(Object.keys(report.calls).length).toBeGreaterThan(50)
  for (const [name, answer] of Object.entries(report.calls)) expect(answer, name).toBe('EPERM')
  expect(report.tricks).toEqual({
    'user namespace': 'EPERM',
    'network namespace': 'EPERM',
    'time namespace': 'EPERM',
    'clone into a user namespace': 'EPERM',
    clone3: 'ENOSYS',
    'become root': 'EINVAL',
    'become another': 'EINVAL',
    groups: 'EPERM',
    'block device': 'EPERM',
    // Its own init, under the same filter and without capabilities: see `init` below.
    'memory of init': 'EIO',
    nice: 'EPERM',
    'more open files': 'EPERM',
    'terminal input': 'EPERM',
    'terminal input, high bits': 'EPERM',
    'console input': 'EPERM',
    vsock: 'EAFNOSUPPORT',
    packet: 'EAFNOSUPPORT',
    'kernel crypto': 'EAFNOSUPPORT',
    raw: expect.stringMatching(/^(EPERM|EPROTONOSUPPORT)$/),
  })
  const { sockets, ...network } = report.network
  expect(network).toEqual({
    'loopback of the host': 'ECONNREFUSED',
    metadata: 'ENETUNREACH',
    'metadata, IPv6': expect.stringMatching(/^(ENETUNREACH|EADDRNOTAVAIL|EAFNOSUPPORT)$/),
    abstract: 'ECONNREFUSED',
    interfaces: ['lo'],
  })
  for (const [path, answer] of Object.entries(sockets)) expect(answer, path).toBe('absent')
  const { groups, descriptors, environment, ...inside } = report.process
  const none = '0000000000000000'
  expect(inside).toEqual({
    uid,
    capabilities: [none, none, none, none, none],
    noNewPrivileges: '1',
    seccomp: '2',
    init: ['2', '1', none, none],
    pids: expect.any(Number),
    session: true,
    terminal: 'ENXIO',
    core: expect.any(Number),
    oomScore: 500,
    directory: '/out',
    threads: true,
    passwd: [
      'root:x:0:0:root:/:/usr/sbin/nologin',
      `alice:x:${uid}:${uid}:alice:/home/alice:/bin/bash`,
      'nobody:x:65534:65534:nobody:/:/usr/sbin/nologin',
    ],
    devices: 'core fd full null ptmx pts random shm stderr stdin stdout tty urandom zero'.split(' '),
    sizes: { '/tmp': 2 ** 30, '/dev/shm': 2 ** 30 },
  })
  // bubblewrap's init, the relay, the payload: nobody else's.
  expect(inside.pids).toBeLessThanOrEqual(4)
  expect(inside.core).toBeLessThanOrEqual(1)
  // The groups of the data, which have no name inside.
  for (const group of groups) expect([65534, uid]).toContain(group)
  for (const target of descriptors) expect(target).toMatch(/^(\/dev\/null|.*\/log( \(deleted\))?)$/)
  for (const name of environment)
    expect(name).toMatch(
      /^(PATH|HOME|USER|LOGNAME|SHELL|LANG|LC_CTYPE|TMPDIR|PWD|CYGNET_(ATTEMPT|EXPERIMENT|URL|S3_URL))$/,
    )
}

describe('hostile code in a sandbox', () => {
  test.runIf(isRoot && !noFilter)('finds nothing with an own uid, whatever the machine has of cgroups', async () => {
    for (const cgroups of ['auto', 'off'] as const) {
      const one = await stand({ config: { cpuMilli: 4000, memoryMiB: 4096, cgroups } })
      expectShut(await probe(one), 300_001)
    }
  })

  const why = whyNotOrdinary() ?? (noFilter ? `no filter for ${process.arch}` : undefined)
  test.skipIf(why !== undefined)(
    `finds nothing when Cygnet is an ordinary user's${why === undefined ? '' : ` (skipped: ${why})`}`,
    async () => {
      const folder = await temporaryDirectory()
      const { identity, found } = await asOrdinaryUser<ProbeReport>(folder.path, 'probe')
      expect(identity).toBe('same-uid')
      expectShut(found, isRoot ? 65_534 : process.getuid!())
    },
  )

  const header = '/usr/include/x86_64-linux-gnu/asm/unistd_64.h'
  test.skipIf(process.arch !== 'x64' || !existsSync(header))(
    `meets a filter whose call numbers are those of the kernel's header${existsSync(header) ? '' : ` (skipped: no ${header})`}`,
    () => {
      const text = readFileSync(header, 'utf8')
      const { refused, clone } = refusedCalls('x64')!
      for (const [name, number] of Object.entries({ ...refused, clone })) {
        const known = new RegExp(`#define __NR_${name} (\\d+)$`, 'm').exec(text)?.[1]
        // Newer than the header.
        if (known !== undefined) expect(Number(known), name).toBe(number)
        else expect(number, name).toBeGreaterThan(440)
      }
      expect(
        Object.keys(refusedCalls('arm64')!.refused)
          .sort()
          .filter((name) => !(name in refused)),
      ).toEqual([])
    },
  )

  test('cannot be handed descriptors, nor leave anything that outlives its mounts', async () => {
    const one = await stand()
    const { log, job } = await one.run(`
import os
for place in ("/dev", "/run", "/home", "/data", "/"):
    try:
        os.mkdir(place + "/kept"); print("made", place)
    except OSError as error: print(error.errno)
for name in os.listdir("/proc/self/fd"):
    number = int(name)
    if number > 2:
        try: print("open", number, os.readlink("/proc/self/fd/" + name))
        except OSError: pass
`)
    expect(job.state, log).toBe('done')
    expect(
      log
        .trim()
        .split('\n')
        .filter((line) => !/\/proc\/\d+\/fd$/.test(line)),
    ).toEqual(['30', '30', '30', '30', '30'])
  })
})

describe('a hostile environment (T42)', () => {
  const evil = {
    LD_PRELOAD: '/tmp/evil.so',
    LD_LIBRARY_PATH: '/tmp',
    BASH_ENV: '/tmp/evil.sh',
    ENV: '/tmp/evil.sh',
    PYTHONPATH: '/tmp',
    PYTHONSTARTUP: '/tmp/evil.py',
    PYTHONHOME: '/tmp',
    NODE_OPTIONS: '--require=/tmp/evil.js',
    PERL5OPT: '-Mevil',
    GLIBC_TUNABLES: 'glibc.malloc.check=3',
    'BASH_FUNC_x%%': '() { echo evil; }',
    CANARY: 'canary-7f31',
  }

  test('reaches the payload and nobody else', async () => {
    const one = await stand()
    one.compute.registerKind('evil', {
      async prepare() {
        // A shell without a loader's tricks: what is asked is who else has them.
        return {
          argv: ['/usr/bin/env', '-u', 'LD_PRELOAD', '-u', 'LD_LIBRARY_PATH', '/bin/sleep', '60'],
          mounts: [],
          environment: evil,
          network: 'none',
          files: [],
        }
      },
    })
    const { id } = await one.submit({ kind: 'evil', payload: {} })
    const job = await one.compute.show(id)
    const folder = () => one.compute.folderOf(id, Math.max(1, job.attempt))
    const inside = await eventually(async () => {
      const all = await holders('canary-7f31')
      return all.some(({ program }) => program === 'sleep') ? all : undefined
    })
    for (const { pid, program, namespaced } of inside) {
      // bubblewrap sets it for its child after it has been started itself.
      expect(program, `process ${pid}`).toBe('sleep')
      expect(namespaced).toBe(true)
    }
    expect(await readFile(join(folder(), 'shim.log'), 'utf8')).toBe('')
    await one.compute.cancel(id)
    await one.compute.ended(id)
  })

  test('of two megabytes ends the job with a reason, once', async () => {
    const one = await stand()
    const { job } = await one.run('print(1)', { environment: { BIG: 'x'.repeat(2 * 1024 * 1024) } })
    expect(job).toMatchObject({ state: 'failed', attempt: 1 })
    expect(job.reason).toMatch(/too long/i)
  })
})

/** Processes of the machine whose environment or arguments hold the word. */
async function holders(word: string): Promise<{ pid: number; program: string; namespaced: boolean }[]> {
  const found = []
  const { readlinkSync } = await import('node:fs')
  for (const name of (await readdir('/proc')).filter((each) => /^\d+$/.test(each))) {
    const text = await readFile(`/proc/${name}/environ`, 'latin1').catch(() => '')
    const argv = await readFile(`/proc/${name}/cmdline`, 'latin1').catch(() => '')
    if (!text.includes(word) && !argv.includes(word)) continue
    try {
      const program = readFileSync(`/proc/${name}/comm`, 'utf8').trim()
      const namespaced = readlinkSync(`/proc/${name}/ns/pid`) !== readlinkSync('/proc/self/ns/pid')
      found.push({ pid: Number(name), program, namespaced })
    } catch {
      // It ended.
    }
  }
  return found
}

async function eventually<Value>(look: () => Promise<Value | undefined>): Promise<Value> {
  for (;;) {
    const value = await look()
    if (value !== undefined) return value
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}
