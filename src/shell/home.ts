/** The folders of one installation (`--home`) and who may enter them. */
import { chmod, chown, lstat, mkdir, stat } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'
import { shellFaults } from './errors.ts'

export interface Home {
  folder: string
  config: string
  database: string
  data: string
  secrets: string
  run: string
  controlSocket: string
  /** Present while control is replaced by another version: gateways hold requests for longer. */
  handOver: string
  /** Present while the platform runs: its addresses. */
  addresses: string
  snapshot: string
  /** Bound into sandboxes: only what payloads may speak to. */
  gatewaySockets: string
  /** Where each process says that it serves (process-health.ts). */
  health: string
  jobs: string
  homes: string
  logs: string
  /** A file of the audit a day (identity). */
  audit: string
  program: string
}

export function homeAt(path: string | undefined): Home {
  const folder = resolve(path ?? defaultHome())
  return {
    folder,
    config: join(folder, 'cygnet.yaml'),
    database: join(folder, 'database', 'cygnet.sqlite'),
    data: join(folder, 'data'),
    secrets: join(folder, 'secrets'),
    run: join(folder, 'run'),
    controlSocket: join(folder, 'run', 'control.sock'),
    handOver: join(folder, 'run', 'hand-over'),
    addresses: join(folder, 'run', 'addresses.json'),
    snapshot: join(folder, 'run', 'snapshot.json'),
    gatewaySockets: join(folder, 'run', 'gateway'),
    health: join(folder, 'run', 'health'),
    jobs: join(folder, 'jobs'),
    homes: join(folder, 'homes'),
    logs: join(folder, 'logs'),
    audit: join(folder, 'audit'),
    program: join(folder, 'program'),
  }
}

function defaultHome(): string {
  return process.getuid?.() === 0 ? '/var/lib/cygnet' : join(homedir(), '.local', 'share', 'cygnet')
}

/** Folder caches shared by installations: Python environments by lock hash, the sandbox program. */
export function cacheFolder(): string {
  if (process.env.CYGNET_CACHE) return process.env.CYGNET_CACHE
  return process.getuid?.() === 0 ? '/var/cache/cygnet' : join(homedir(), '.cache', 'cygnet')
}

/** As root: uid and gid of the gateways, and owner of the files that no person put there. */
export const serviceUid = 299_998

/**
 * As root: the group whose members may pass through `data`. Only sandboxed payloads have it (workspaces.ts), so that
 * other accounts of the machine never come to the folder of a bucket, which lets in its experiment only.
 */
export const dataGroup = 299_999

/**
 * Sandboxed users (their own uid) may pass through `home` to what is bound for them, and into nothing else: secrets,
 * database and run are private to the platform.
 */
export async function prepareHome(home: Home): Promise<void> {
  const asRoot = process.getuid?.() === 0
  const modes: [string, number][] = [
    [home.folder, 0o711],
    [home.program, 0o755],
    [join(home.folder, 'database'), 0o700],
    [home.data, asRoot ? 0o710 : 0o700],
    [home.secrets, 0o700],
    [home.run, 0o711],
    [home.gatewaySockets, 0o755],
    [home.health, 0o700],
    [home.jobs, 0o711],
    [home.homes, 0o711],
    [home.logs, 0o700],
    [home.audit, 0o700],
  ]
  for (const [path, mode] of modes) {
    await mkdir(path, { recursive: true, mode }).catch(ignorePresent)
    await requireOwn(path)
    await chmod(path, mode)
  }
  if (!asRoot) return
  await chown(home.data, 0, dataGroup)
  // Gateways put their sockets there.
  await chown(home.gatewaySockets, serviceUid, serviceUid)
  await chown(home.health, serviceUid, serviceUid)
}

/** Whoever owns a folder can change what is in it: one that somebody else has put there beforehand is not used. */
async function requireOwn(path: string): Promise<void> {
  const owners = new Set([process.getuid?.() ?? 0, process.getuid?.() === 0 ? serviceUid : -1])
  const [entry, folder] = [await lstat(path), await stat(path).catch(() => undefined)]
  if (folder?.isDirectory() && owners.has(entry.uid) && owners.has(folder.uid)) return
  const what = folder?.isDirectory()
    ? `belongs to uid ${owners.has(entry.uid) ? folder.uid : entry.uid}`
    : 'is no folder'
  throw shellFaults.foreignFolder(`${path} ${what}, not to who starts Cygnet.`)
}

/** Something is there that is no folder, or a link to nothing. */
function ignorePresent(error: unknown): void {
  if (!['EEXIST', 'ENOENT', 'ENOTDIR'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error
}

export const s3Region = 'cygnet'

export { addressesOf, type Addresses } from './addresses.ts'
