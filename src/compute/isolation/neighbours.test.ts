/** S-29: hogs beside honest work. The honest job ends well, the platform answers, and each hog meets its own bound. */
import { execFileSync } from 'node:child_process'
import { chmodSync, existsSync, mkdtempSync, rmSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { openStand, type Hostile, type Stand } from './stand.ts'

const room = { cpuMilli: 8000, memoryMiB: 8192, interactiveMemoryMiB: 512 }

async function stand(cgroups: 'auto' | 'off'): Promise<Stand> {
  const folder = await temporaryDirectory()
  const opened = await openStand(folder.path, { config: { ...room, cgroups } })
  onTestFinished(() => opened.close())
  return opened
}

const honest = `
import hashlib, os
digest = b""
for n in range(100_000): digest = hashlib.sha256(digest).digest()
open("/out/result", "wb").write(digest)
open(os.path.expanduser("~/note"), "w").write("kept")
print("honest")
`

/** Fills a folder with one file and says why it had to stop. */
const fill = (path: string) => `
import errno
try:
    with open(${JSON.stringify(path)}, "wb", buffering=0) as file:
        while True: file.write(b"x" * (1 << 20))
except OSError as error: print(errno.errorcode[error.errno])
`

const small: Hostile = { spec: { request: { cpuMilli: 500, memoryMiB: 192, walltimeMs: 120_000 } } }

describe.each(['auto', 'off'] as const)('hogs beside an honest job, cgroups %s', (cgroups) => {
  test('each ends within its own bounds', async () => {
    const one = await stand(cgroups)
    const { limits } = await one.compute.sandboxReport()
    const forks = one.run(
      `
import os, time
n = 0
while n < 5_000:
    try:
        if os.fork() == 0: time.sleep(100); os._exit(0)
    except OSError: break
    n += 1
print(n)
`,
      { ...small, limits: { processes: 50 } },
    )
    const memory = one.run(
      'import time\nkept = [bytearray(b"x" * (16 << 20)) for _ in range(64)]\ntime.sleep(60)',
      small,
    )
    const temporary = one.run(fill('/tmp/full'), { ...small, limits: { temporaryMiB: 24 } })
    const shared = one.run(fill('/dev/shm/full'), { ...small, limits: { temporaryMiB: 24 } })
    const device = one.run(fill('/dev/full-of-it'), small)
    const single = one.run(`import signal\nsignal.signal(signal.SIGXFSZ, signal.SIG_IGN)${fill('/out/full')}`, {
      ...small,
      limits: { fileBytes: 8 << 20 },
    })
    const flood = one.run('import os\nwhile True: os.write(1, b"y\\n" * 65536)', {
      ...small,
      limits: { logBytes: 2 << 20 },
    })
    const good = one.run(honest, small)
    // The platform answers meanwhile.
    expect((await one.compute.machine()).jobs.running + (await one.compute.machine()).jobs.waiting).toBeGreaterThan(0)

    expect(await good).toMatchObject({ log: 'honest\n', job: { state: 'done', outputs: [{ name: 'result' }] } })
    expect(Number((await forks).log)).toBeLessThan(50)
    expect((await memory).job).toMatchObject({ state: 'failed', reason: expect.stringMatching(/memory/) })
    expect((await temporary).log).toBe('ENOSPC\n')
    expect((await shared).log).toBe('ENOSPC\n')
    expect((await device).log).toBe('EROFS\n')
    expect((await single).log).toBe('EFBIG\n')
    const flooded = await flood
    expect(flooded.job).toMatchObject({ state: 'failed', reason: 'it printed more than a log may hold' })
    expect(flooded.log.length).toBeLessThan((2 << 20) + 100)
    expect(limits).toBe(cgroups === 'off' ? 'none' : limits)
  })
})

test('without cgroups, /tmp counts as the memory that it is', async () => {
  const one = await stand('off')
  const script = `import time\nopen("/tmp/full", "wb").write(b"x" * (300 << 20))\ntime.sleep(60)`
  const { job } = await one.run(script, { ...small, limits: { temporaryMiB: 512 } })
  expect(job).toMatchObject({ state: 'failed', reason: expect.stringMatching(/memory/) })
})

const mayMount = process.getuid?.() === 0 && existsSync('/usr/sbin/mkfs.ext4') && canLoop()

test.skipIf(!mayMount)(
  `a home has no quota, but who fills the last of the disk is ended${mayMount ? '' : ' (skipped: needs root, loop devices and mkfs.ext4)'}`,
  async () => {
    const disk = loopDisk(512)
    const one = await openStand(disk, { config: { ...room, diskReserveMiB: 128 } })
    try {
      const hog = one.run(`
import os, time
chunk = os.urandom(2 << 20)
for n in range(100_000):
    try: open(os.path.expanduser("~/f%d" % n), "wb").write(chunk)
    except OSError: pass
    time.sleep(0.02)
`)
      const { job } = await hog
      expect(job).toMatchObject({ state: 'failed', reason: 'the disk was nearly full and it went on filling it' })
      // Little is left, but something, and with it honest work goes on.
      const { bavail, bsize } = statfsSync(disk)
      expect(bavail * bsize).toBeGreaterThan(16 << 20)
      expect(await one.run(honest, small)).toMatchObject({ log: 'honest\n', job: { state: 'done' } })
    } finally {
      await one.close()
    }
  },
)

/** An ext4 of its own, in a file. */
function loopDisk(sizeMiB: number): string {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-disk-'))
  const image = join(folder, 'image')
  const mount = mkdtempSync(join(tmpdir(), 'cygnet-mount-'))
  writeFileSync(image, '')
  truncateSync(image, sizeMiB * 1024 * 1024)
  execFileSync('/usr/sbin/mkfs.ext4', ['-q', '-F', '-m', '0', image])
  execFileSync('mount', ['-o', 'loop', image, mount])
  onTestFinished(() => {
    execFileSync('umount', ['-l', mount])
    rmSync(folder, { recursive: true })
    rmSync(mount, { recursive: true })
  })
  chmodSync(mount, 0o711)
  return mount
}

function canLoop(): boolean {
  try {
    execFileSync('losetup', ['-f'], { stdio: 'ignore' })
    return true
  } catch {
    return false
  }
}
