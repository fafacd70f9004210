/** For the tests of this room: the rooms below it on one database, and an object store that is a folder. */
import { createHash } from 'node:crypto'
import { chmod, copyFile, mkdir, readFile, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { computeConfig, computeMigrations, openCompute } from '../compute/index.ts'
import { migrate, transact } from '../foundation/database.ts'
import type { OpenedDatabase } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { silentLogger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { logbookMigrations, openLogbook } from '../logbook/index.ts'
import type { RunKind } from '../logbook/contract.ts'
import { addCampaign } from './campaigns.ts'
import { neutralDetails } from './cluster-detail-columns.ts'
import type { Cluster } from './contract.ts'
import type { ProductStore } from './job-kinds.ts'
import { openReconstruction } from './service.ts'
import { reconstructionMigrations } from './tables.ts'

export type TestRoom = Awaited<ReturnType<typeof openTestRoom>>

/** A cluster row like that of a 55Fe spot in the middle of the frame; `given` replaces what the test is about. */
export function testCluster(given: Partial<Cluster> = {}): Cluster {
  return {
    event: 0,
    camera: 0,
    cluster: 0,
    sizePx: 1600,
    hitsPx: 900,
    macroPixels: 100,
    integralCounts: 9000,
    rmsCounts: 12,
    xMeanPx: 1152,
    yMeanPx: 1152,
    xMinPx: 1132,
    xMaxPx: 1171,
    yMinPx: 1132,
    yMaxPx: 1171,
    lengthPx: 42,
    widthPx: 39,
    longRmsPx: 5.2,
    latRmsPx: 5,
    thetaDeg: 10,
    densityCountsPerPx: 10,
    selected: true,
    ...neutralDetails,
    truthTrack: -1,
    truthPurity: -1,
    ...given,
  }
}

export function folderStore(root: string): ProductStore & { puts: string[] } {
  const puts: string[] = []
  return {
    puts,
    pathOf: (bucket, key) => join(root, bucket, key),
    async putObject({ bucket, key, body }) {
      const chunks: Uint8Array[] = []
      for await (const chunk of body) chunks.push(chunk)
      const bytes = Buffer.concat(chunks)
      const path = join(root, bucket, key)
      await mkdir(dirname(path), { recursive: true })
      await writeFile(path, bytes)
      puts.push(`${bucket}/${key}`)
      return {
        etag: '',
        sizeBytes: bytes.length,
        modifiedMs: 0,
        sha256: undefined,
        checksum: undefined,
        unchanged: false,
      }
    },
  }
}

/** Experiment demo with setup lime and series sim. Jobs are accepted; they run after `compute.start()`. */
export async function openTestRoom(database: OpenedDatabase, folder: string) {
  const clock = systemClock()
  const log = silentLogger()
  await migrate(database, [logbookMigrations, computeMigrations, reconstructionMigrations])
  // Jobs run as another user where the tests run as root.
  await chmod(folder, 0o711)
  const home = join(folder, 'home')
  await mkdir(join(home, 'run', 'gateway'), { recursive: true })
  const facts = openFacts({ database, clock, log })
  const logbook = openLogbook({ database, facts, clock })
  const compute = openCompute({
    database,
    clock,
    log,
    home,
    cacheFolder: process.env.CYGNET_CACHE ?? join('/tmp', `cygnet-test-cache-${process.getuid?.() ?? 0}`),
    config: computeConfig.parse({ cpuMilli: 2000, memoryMiB: 4096, interactiveMemoryMiB: 512 }),
    ports: { platform: 8410, s3: 8411 },
    trustedOwnerIds: () => ['platform'],
    workspaceOf: async () => ({ personName: 'cygnet', uid: 300_000, groups: [], buckets: [] }),
    searchPath: process.env.PATH ?? '',
  })
  const storage = folderStore(join(folder, 'data'))
  const reconstruction = await openReconstruction({
    database,
    facts,
    clock,
    log,
    logbook,
    storage,
    compute,
    programFolder: join(import.meta.dirname, '../..'),
    owner: { id: 'platform', name: 'Cygnet' },
    coresPerJob: 1,
  })
  await transact(database, (trx) =>
    logbook.createExperiment(trx, {
      name: 'demo',
      title: 'Demo',
      template: 'single-setup',
      setup: 'lime',
      series: 'sim',
    }),
  )

  /** A closed run; with `source` its file (and truth beside it) is in the store. */
  async function closeRun(number: number, kind: RunKind, source?: string) {
    const stem = `lime/sim/run${String(number).padStart(5, '0')}`
    const key = `${stem}.mid`
    const path = join(folder, 'data', 'demo-raw', key)
    await mkdir(dirname(path), { recursive: true })
    if (source === undefined) await writeFile(path, '')
    else {
      await copyFile(source, path)
      const truth = source.replace(/\.mid$/, '.truth.json')
      if (await stat(truth).catch(() => undefined))
        await copyFile(truth, join(dirname(path), `run${String(number).padStart(5, '0')}.truth.json`))
    }
    const bytes = await readFile(path)
    return await transact(database, async (trx) => {
      const { run } = await logbook.openRun(trx, {
        experiment: 'demo',
        setup: 'lime',
        series: 'sim',
        number,
        state: 'closing',
        startedMs: 0,
      })
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      await logbook.recordFile(trx, run.id, {
        bucket: 'demo-raw',
        key,
        role: 'raw',
        state: 'safe',
        sizeBytes: bytes.length,
        sha256,
      })
      const closing = {
        state: 'closed' as const,
        kind,
        description: '',
        startedMs: 0,
        endedMs: 1,
        images: 0,
        triggers: 0,
        sizeBytes: bytes.length,
      }
      return await logbook.closeRun(trx, run.id, closing, { sameBytes: false })
    })
  }
  /** A campaign of the built-in chain, without asking the API. */
  const campaign = (name: string, parameters: Record<string, number> = {}, after?: number) =>
    transact(database, (trx) =>
      addCampaign(
        trx,
        {
          experiment: 'demo',
          name,
          recipe: { description: '', parameters, preset: null, script: null },
          creator: { id: 'person', name: 'person' },
        },
        after,
        { clock, codeVersion: reconstruction.codeVersion },
      ),
    )

  /** A truth file beside a run comes, or another one, and the receiver has read it. */
  async function truthArrives(number: number, content: string) {
    const key = `lime/sim/run${String(number).padStart(5, '0')}.truth.json`
    await writeFile(join(folder, 'data', 'demo-raw', key), content)
    await transact(database, async (trx) => {
      const run = await logbook.requireRun('demo', `sim:${number}`, trx)
      const sha256 = createHash('sha256').update(content).digest('hex')
      const sizeBytes = Buffer.byteLength(content)
      const file = { bucket: 'demo-raw', key, role: 'sidecar', state: 'safe', sizeBytes, sha256 } as const
      await logbook.recordFile(trx, run.id, file)
    })
  }
  return {
    database,
    campaign,
    truthArrives,
    clock,
    facts,
    logbook,
    compute,
    storage,
    reconstruction,
    closeRun,
    async close() {
      await reconstruction.close()
      await facts.close()
      await compute.close()
    },
  }
}
