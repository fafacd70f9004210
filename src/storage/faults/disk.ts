/**
 * A disk whose plug can be pulled: a file system on a loop file. `cut` is the GOINGDOWN ioctl, after which nothing
 * reaches the file any more, not even the journal; `snapshot` is the loop file as it is at one instant (a reflink).
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, openSync, closeSync, ftruncateSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'

export type FileSystem = 'ext4' | 'xfs'

export interface LoopDisk {
  /** Where it is mounted. */
  path: string
  /** A hand at the plug; `record` is the file on another disk where somebody writes down what was acknowledged. */
  plug(record: string): Promise<Plug>
  /** Unmounts and mounts again, as after power comes back. */
  revive(): Promise<void>
  /** A disk with the content of this instant. */
  snapshot(): Promise<LoopDisk>
  dispose(): Promise<void>
}

export interface Plug {
  /** No write that has not reached the disk yet ever will. Answers how long the record was in the instant before. */
  pull(): Promise<number>
  release(): void
}

/** Why no power can be cut here; undefined if it can. */
export function noPowerCuts(): string | undefined {
  if (process.getuid?.() !== 0) return 'needs root'
  for (const program of ['/usr/sbin/mkfs.ext4', '/usr/sbin/mkfs.xfs'])
    if (!existsSync(program)) return `needs ${program} (Debian: xfsprogs, e2fsprogs)`
  const { status, stdout } = spawnSync('losetup', ['-f'], { encoding: 'utf8' })
  return status === 0 && existsSync(stdout.trim()) ? undefined : 'needs a free loop device'
}

const imageMebibytes = 512

/**
 * Disks in a folder of their own under the system's temporary folder. The loop files lie on an XFS of its own, because
 * a reflink there is one instant; all of it is sparse.
 */
export async function openDisks(): Promise<{
  make(fileSystem: FileSystem): Promise<LoopDisk>
  close(): Promise<void>
}> {
  const folder = mkdtempSync(join(tmpdir(), 'cygnet-disks-'))
  const outer = join(folder, 'outer')
  const disks = new Set<LoopDisk>()
  let counter = 0
  format(join(folder, 'outer.img'), 'xfs', 6 * 1024)
  mount(join(folder, 'outer.img'), outer)

  function copyOf(image: string): string {
    const copy = join(outer, `${(counter += 1)}.img`)
    execFileSync('cp', ['--reflink=always', image, copy])
    return copy
  }

  function diskOf(first: string): LoopDisk {
    let image = first
    const path = `${image}.mnt`
    mount(image, path)
    const disk: LoopDisk = {
      path,
      plug: (record) => plugOf(path, record),
      async revive() {
        await unmount(path)
        if (!(await isDetached(image))) {
          const held = image
          image = copyOf(held)
          rmSync(held)
        }
        mount(image, path)
      },
      snapshot: async () => diskOf(copyOf(image)),
      async dispose() {
        disks.delete(disk)
        await unmount(path)
        rmSync(path, { recursive: true, force: true })
        rmSync(image, { force: true })
      },
    }
    disks.add(disk)
    return disk
  }

  return {
    async make(fileSystem) {
      const image = join(outer, `${(counter += 1)}.img`)
      format(image, fileSystem, imageMebibytes)
      return diskOf(image)
    },
    async close() {
      for (const disk of disks) await disk.dispose()
      await unmount(outer)
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

async function plugOf(path: string, record: string): Promise<Plug> {
  const child = spawn('python3', ['-S', join(import.meta.dirname, 'pull_plug.py'), path, record], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const ended = once(child, 'close')
  const said = createInterface(child.stdout)[Symbol.asyncIterator]()
  const line = async () => ((await said.next()) as { value: string | undefined }).value
  if ((await line()) !== 'ready') throw new Error(`nobody can pull the plug of ${path}`)
  return {
    async pull() {
      child.stdin.end('now\n')
      const sizeBytes = Number(await line())
      await ended
      if (!Number.isSafeInteger(sizeBytes)) throw new Error(`the plug of ${path} could not be pulled`)
      return sizeBytes
    },
    release: () => void child.kill(),
  }
}

/** A sandbox that somebody else has just made may hold a copy of every mount: then the dead one would be mounted again. */
async function isDetached(image: string): Promise<boolean> {
  for (let attempt = 0; attempt < 40; attempt += 1) {
    if (execFileSync('losetup', ['-j', image], { encoding: 'utf8' }).trim() === '') return true
    await sleep(25)
  }
  return false
}

function format(image: string, fileSystem: FileSystem, mebibytes: number): void {
  const fd = openSync(image, 'w')
  ftruncateSync(fd, mebibytes * 1024 ** 2)
  closeSync(fd)
  const options = fileSystem === 'xfs' ? ['-q', '-f'] : ['-q', '-F', '-E', 'lazy_itable_init=1,lazy_journal_init=1']
  execFileSync(`mkfs.${fileSystem}`, [...options, image], { stdio: 'ignore' })
}

function mount(image: string, path: string): void {
  mkdirSync(path, { recursive: true })
  const kind = execFileSync('blkid', ['-p', '-s', 'TYPE', '-o', 'value', image], { encoding: 'utf8' }).trim()
  // An XFS that is mounted already lends its UUID to nobody.
  execFileSync('mount', ['-t', kind, '-o', kind === 'xfs' ? 'loop,nouuid' : 'loop', image, path])
}

/** Whoever has just been killed may still hold it for a moment. */
async function unmount(path: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    const { status, stderr } = spawnSync('umount', [path], { encoding: 'utf8' })
    if (status === 0) return
    if (attempt === 200) throw new Error(`umount ${path}: ${stderr}`)
    await sleep(25)
  }
}
