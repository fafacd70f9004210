/** The folders of one installation (`--home`), who may enter them, and the addresses that follow from its ports. */
import { chmod, chown, mkdir } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join, resolve } from 'node:path'

export interface Home {
  folder: string
  config: string
  database: string
  data: string
  secrets: string
  run: string
  controlSocket: string
  /** Present while the platform runs: its addresses. */
  addresses: string
  snapshot: string
  gatewaySockets: string
  jobs: string
  homes: string
  logs: string
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
    addresses: join(folder, 'run', 'addresses.json'),
    snapshot: join(folder, 'run', 'snapshot.json'),
    gatewaySockets: join(folder, 'run', 'gateway'),
    jobs: join(folder, 'jobs'),
    homes: join(folder, 'homes'),
    logs: join(folder, 'logs'),
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

/**
 * As root: the group whose members may pass through `data`. Only sandboxed payloads have it (workspaces.ts), so that
 * other accounts of the machine see no bucket, whatever the modes below.
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
    [home.jobs, 0o711],
    [home.homes, 0o711],
    [home.logs, 0o700],
  ]
  for (const [path, mode] of modes) {
    await mkdir(path, { recursive: true, mode })
    await chmod(path, mode)
  }
  if (asRoot) await chown(home.data, 0, dataGroup)
}

export const s3Region = 'cygnet'

/** Where people and clients reach an installation. The content origin differs from the platform's in its host name. */
export interface Addresses {
  platformPort: number
  s3Port: number
  publicUrl: string
  contentUrl: string
  s3Url: string
}

export function addressesOf(http: { port: number; s3Port?: number | undefined }): Addresses {
  const s3Port = http.s3Port ?? http.port + 1
  return {
    platformPort: http.port,
    s3Port,
    publicUrl: `http://127.0.0.1:${http.port}`,
    contentUrl: `http://localhost:${http.port}`,
    s3Url: `http://127.0.0.1:${s3Port}`,
  }
}
