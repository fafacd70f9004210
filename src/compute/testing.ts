/** For the tests and benches of `compute`: a room on its own folder, with real shims and the real sandbox. */
import { chmod, mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { z } from 'zod'
import { migrate, transact, type OpenedDatabase } from '../foundation/database.ts'
import { ensureDirectory } from '../foundation/files.ts'
import { silentLogger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { computeConfig } from './contract.ts'
import { openCompute, type Compute, type ComputeOptions } from './room.ts'
import { computeMigrations } from './migrations/index.ts'
import type { Job } from './contract.ts'
import type { JobSpec } from './model.ts'

/** Shared by tests, so that bubblewrap's wheel is fetched once on a machine without bubblewrap. */
export const testCacheFolder = process.env.CYGNET_CACHE ?? join('/tmp', `cygnet-test-cache-${process.getuid?.() ?? 0}`)

export interface TestRoom {
  compute: Compute
  database: OpenedDatabase
  home: string
  submit(spec?: Partial<JobSpec>): Promise<Job>
}

export type TestRoomOptions = Partial<Omit<ComputeOptions, 'config'>> & { config?: z.input<typeof computeConfig> }

/** Opens a room below `folder`; `options` replaces parts. The caller closes `compute`. */
export async function openTestRoom(
  database: OpenedDatabase,
  folder: string,
  { config, ...options }: TestRoomOptions = {},
): Promise<TestRoom> {
  await ensureDirectory(testCacheFolder, 0o755)
  await chmod(folder, 0o711)
  const home = join(folder, 'home')
  await ensureDirectory(home, 0o711)
  await ensureDirectory(join(home, 'run'), 0o711)
  await ensureDirectory(join(home, 'run', 'gateway'), 0o755)
  await migrate(database, [computeMigrations])
  const work = join(folder, 'data', 'demo-work')
  await mkdir(work, { recursive: true, mode: 0o777 })
  await chmod(work, 0o777)
  const compute = openCompute({
    database,
    clock: systemClock(),
    log: silentLogger(),
    home,
    cacheFolder: testCacheFolder,
    config: computeConfig.parse(config ?? { cpuMilli: 4000, memoryMiB: 4096, interactiveMemoryMiB: 512 }),
    ports: { platform: 8410, s3: 8411 },
    trustedOwnerIds: () => [],
    async workspaceOf(ownerId) {
      return {
        personName: ownerId === 'person-b' ? 'bob' : 'alice',
        uid: ownerId === 'person-b' ? 300_002 : 300_001,
        groups: [],
        buckets: [{ name: 'demo-work', path: work, mode: 'rw' }],
      }
    },
    searchPath: process.env.PATH ?? '',
    ...options,
  })
  return {
    compute,
    database,
    home,
    async submit(spec = {}) {
      return await transact(database, (trx) => compute.submit(trx, { ...commandSpec(['true']), ...spec }))
    },
  }
}

export function commandSpec(argv: string[], more: Partial<JobSpec> = {}): JobSpec {
  return {
    kind: 'command',
    title: argv.join(' '),
    experiment: 'demo',
    ownerId: 'person-a',
    ownerName: 'alice',
    class: 'batch',
    payload: { argv, environment: 'system' },
    request: { cpuMilli: 500, memoryMiB: 256, walltimeMs: 60_000 },
    ...more,
  }
}

export const shell = (script: string, more: Partial<JobSpec> = {}): JobSpec => commandSpec(['sh', '-c', script], more)
