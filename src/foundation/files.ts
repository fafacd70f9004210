/** Files that are either wholly there or not there, also after a power cut. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readFile, realpath, rename, rm, statfs, chmod } from 'node:fs/promises'
import { dirname } from 'node:path'
import type { z } from 'zod'
import { foundationFaults } from './errors.ts'

/**
 * Writes a whole file durably: temporary file beside it, fsync, rename over it, fsync of the folder. When the promise
 * resolves the new content survives a power cut; at any moment a reader sees the old or the new content.
 */
export async function writeFileDurable(
  path: string,
  bytes: Uint8Array | string,
  { mode = 0o644 }: { mode?: number } = {},
): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}.tmp`
  try {
    const file = await open(temporary, 'wx', mode)
    try {
      await file.chmod(mode)
      await file.writeFile(bytes)
      await file.sync()
    } finally {
      await file.close()
    }
    await rename(temporary, path)
  } catch (error) {
    await rm(temporary, { force: true })
    throw error
  }
  await fsyncDirectory(dirname(path))
}

/** Makes creations, renames and removals inside a folder survive a power cut. */
export async function fsyncDirectory(path: string): Promise<void> {
  const directory = await open(path, 'r')
  try {
    await directory.sync()
  } finally {
    await directory.close()
  }
}

/** Bytes that an ordinary user can still write to the file system of `path`. */
export async function freeBytes(path: string): Promise<number> {
  const { bavail, bsize } = await statfs(path)
  return bavail * bsize
}

/** Creates a folder and its parents; with a mode, the folder itself has exactly that mode, umask or not. */
export async function ensureDirectory(path: string, mode?: number): Promise<void> {
  await mkdir(path, { recursive: true, ...(mode === undefined ? {} : { mode }) })
  if (mode !== undefined) await chmod(path, mode)
}

/** The content of a JSON file, checked if a schema is given; `undefined` if there is no such file. */
export async function readJsonFile<Schema extends z.ZodType>(
  path: string,
  schema: Schema,
): Promise<z.output<Schema> | undefined>
export async function readJsonFile<Content = unknown>(path: string): Promise<Content | undefined>
export async function readJsonFile(path: string, schema?: z.ZodType): Promise<unknown> {
  let text: string
  try {
    text = await readFile(path, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
  try {
    const value: unknown = JSON.parse(text)
    return schema === undefined ? value : schema.parse(value)
  } catch (error) {
    throw foundationFaults.invalidFile(`${path} does not hold what it should.`, { cause: error })
  }
}

const networkFileSystems: Record<number, string> = {
  0x6969: 'nfs',
  0xff534d42: 'cifs',
  0xfe534d42: 'smb2',
  0x517b: 'smb',
  0x01021997: '9p',
  0x5346414f: 'afs',
  0x00c36400: 'ceph',
  0x0bd00bd0: 'lustre',
  0x47504653: 'gpfs',
  0x19830326: 'beegfs',
  0x7461636f: 'ocfs2',
  0x01161970: 'gfs2',
}

const fuse = 0x65735546
const remoteFuse = /ssh|s3|rclone|gluster|ceph|gcs|dav|cvmfs|juice|moose|eos|nfs|smb|cifs|grpc/

/** The kind of network file system that holds `path` ('nfs', 'fuse.sshfs', ...), or `undefined` for a local disk. */
export async function networkFileSystemOf(path: string): Promise<string | undefined> {
  const { type } = await statfs(path)
  if (type >>> 0 !== fuse) return networkFileSystems[type >>> 0]
  const kind = await fileSystemNameOf(path)
  return remoteFuse.test(kind) ? kind : undefined
}

/** What the mount table calls the file system of `path`: behind FUSE there are local and remote ones. */
async function fileSystemNameOf(path: string): Promise<string> {
  const real = await realpath(path)
  const mounts = (await readFile('/proc/self/mountinfo', 'utf8')).trim().split('\n')
  const holding = mounts
    .map((line) => line.split(' '))
    .map((fields) => ({ point: fields[4]!, kind: fields[fields.indexOf('-') + 1]! }))
    .filter(({ point }) => point === '/' || real === point || real.startsWith(`${point}/`))
    .toSorted((one, other) => other.point.length - one.point.length)
  return holding[0]?.kind ?? 'fuse'
}
