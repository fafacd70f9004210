/** Files that are either wholly there or not there, also after a power cut. */
import { randomBytes } from 'node:crypto'
import { mkdir, open, readdir, readFile, realpath, rename, rm, statfs, chmod } from 'node:fs/promises'
import { dirname, join } from 'node:path'
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

/**
 * Removes what killed processes left of `writeFileDurable` in this folder, for files of these names. Only for who alone
 * writes them, before it does.
 */
export async function removeTornWrites(folder: string, isOurs: (name: string) => boolean): Promise<void> {
  for (const file of await readdir(folder).catch(() => [])) {
    const name = /^(.+)\.[0-9a-f]{12}\.tmp$/.exec(file)?.[1]
    if (name !== undefined && isOurs(name)) await rm(join(folder, file), { force: true })
  }
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
  0x6b414653: 'kafs',
  0x00c36400: 'ceph',
  0x0bd00bd0: 'lustre',
  0x47504653: 'gpfs',
  0x19830326: 'beegfs',
  0x7461636f: 'ocfs2',
  0x01161970: 'gfs2',
  0x73757245: 'coda',
  0x20030528: 'orangefs',
}

/** As the mount table names them; some of them answer `statfs` with a number of their own. */
const networkNames =
  /^(nfs\d?|cifs|smb\d*|smbfs|9p|k?afs|ceph|lustre|gpfs|mmfs|beegfs|beegfs_nodev|ocfs2|gfs2|coda|orangefs|pvfs2|glusterfs|panfs|wekafs|ncpfs)$/
/** What names itself behind FUSE and is a disk of this machine all the same. */
const remoteFuse = /^fuse\.(?!ext|ntfs|exfat|btrfs|zfs|overlay|fuse-overlayfs|unionfs|mergerfs|encfs|gocryptfs|lxcfs)/

/** The kind of network file system that holds `path` ('nfs4', 'fuse.sshfs', ...), or `undefined` for a local disk. */
export async function networkFileSystemOf(path: string): Promise<string | undefined> {
  const [{ type }, real, mounts] = await Promise.all([
    statfs(path),
    realpath(path),
    readFile('/proc/self/mountinfo', 'utf8').catch(() => ''),
  ])
  return networkMountOf(mounts, real) ?? networkFileSystems[type >>> 0]
}

/**
 * What a mount table (the text of /proc/self/mountinfo) says of the file system that holds an absolute path: its kind if
 * it is a network one. Of several mounts on one place the last one counts. Behind FUSE there are local and remote ones:
 * only those known as local are let in.
 */
export function networkMountOf(mountInfo: string, path: string): string | undefined {
  let longest = ''
  let kind: string | undefined
  for (const line of mountInfo.split('\n')) {
    const fields = line.split(' ')
    const dash = fields.indexOf('-', 6)
    if (dash < 0) continue
    const point = fields[4]!.replaceAll(/\\(\d{3})/g, (_all, code: string) =>
      String.fromCharCode(Number.parseInt(code, 8)),
    )
    const holds = point === '/' || path === point || path.startsWith(`${point}/`)
    if (!holds || point.length < longest.length) continue
    longest = point
    kind = fields[dash + 1]
  }
  return kind !== undefined && (networkNames.test(kind) || remoteFuse.test(kind)) ? kind : undefined
}
