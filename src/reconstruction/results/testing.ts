/** For tests of results: an experiment with runs whose tables are made of given clusters, behind real routes. */
import { mkdir } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { unknownSurroundings } from '../../detector/index.ts'
import { createClient } from '../../foundation/client.ts'
import { defineContract } from '../../foundation/contract.ts'
import { migrate, openDatabase, transact } from '../../foundation/database.ts'
import { openFacts } from '../../foundation/facts.ts'
import { bindRoutes, createApp } from '../../foundation/http.ts'
import type { Gate } from '../../foundation/http.ts'
import { silentLogger } from '../../foundation/log.ts'
import { systemClock } from '../../foundation/time.ts'
import { logbookMigrations, openLogbook } from '../../logbook/index.ts'
import type { Cluster } from '../contract.ts'
import { writeClusterFile, writeEventFile } from '../products.ts'
import { resultRoutes } from '../results-contract.ts'
import { putSummary } from '../tasks.ts'
import { reconstructionMigrations } from '../tables.ts'
import { folderStore, testCluster } from '../testing.ts'
import { resultHandlers } from './routes.ts'

export const resultsContract = defineContract('reconstruction', resultRoutes)

const everybody: Gate = {
  authenticate: async () => ({ id: 'person', kind: 'person', name: 'person', subject: undefined }),
  require: () => undefined,
}

/** Writes the tables of one run: clusters in event order. */
export async function writeRun(folder: string, number: number, images: Partial<Cluster>[][]): Promise<void> {
  await mkdir(folder, { recursive: true })
  const rows = images.map((clusters, event) => ({
    row: {
      event,
      camera: 0,
      atMs: 1000 * event,
      widthPx: 2304,
      heightPx: 2304,
      macroHits: 100,
      clusters: clusters.length,
      selectedClusters: clusters.length,
      zeroSuppressedSumCounts: 1e5,
      note: '',
      ...unknownSurroundings,
    },
    clusters: clusters.map((given, cluster) => testCluster({ ...given, event, cluster })),
    outlines: clusters.map(() => '[]'),
  }))
  const lineage = { run: `demo/sim:${number}`, campaign: 'main', codeVersion: 'test', calibrationId: 'none' }
  const about = { ...lineage, parameters: {} } as Parameters<typeof writeClusterFile>[2]
  writeClusterFile(join(folder, 'clusters.parquet'), rows, about)
  writeEventFile(join(folder, 'events.parquet'), rows, about)
}

export async function openTestResults(folder: string) {
  const database = await openDatabase({ url: `sqlite:${join(folder, 'test.sqlite')}` })
  await migrate(database, [logbookMigrations, reconstructionMigrations])
  const clock = systemClock()
  const facts = openFacts({ database, clock, log: silentLogger() })
  const logbook = openLogbook({ database, facts, clock })
  const storage = folderStore(join(folder, 'data'))
  await transact(database, (trx) =>
    logbook.createExperiment(trx, {
      name: 'demo',
      title: 'Demo',
      template: 'single-setup',
      setup: 'lime',
      series: 'sim',
    }),
  )
  const app = createApp({ log: silentLogger() })
  bindRoutes(app, resultsContract, resultHandlers(app, { kysely: database.kysely, logbook, storage }), everybody)
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  const baseUrl = `http://127.0.0.1:${port}`

  /** A closed run of 10 s. Without images it has no results. */
  async function addRun(
    number: number,
    images?: Partial<Cluster>[][],
    campaign = 'main',
    conditions: Readonly<Record<string, number>> = {},
  ): Promise<void> {
    const runId = await transact(database, async (trx) => {
      const opening = { experiment: 'demo', setup: 'lime', series: 'sim', number, state: 'closing' as const }
      const { run } = await logbook.openRun(trx, { ...opening, startedMs: 1e12 + number * 60_000 })
      const closing = { state: 'closed' as const, kind: 'data' as const, description: '', triggers: 0, sizeBytes: 0 }
      const times = { startedMs: 1e12 + number * 60_000, endedMs: 1e12 + number * 60_000 + 10_000 }
      await logbook.closeRun(trx, run.id, { ...closing, ...times, images: images?.length ?? 0 }, { sameBytes: false })
      const values = Object.entries(conditions).map(([path, value]) => ({ path, value }))
      await logbook.replaceConditions(
        trx,
        run.id,
        values.map((one) => ({ ...one, moment: 'begin', name: one.path, unit: '' })),
      )
      return run.id
    })
    if (images === undefined) return
    const prefix = `${campaign}/sim/run${String(number).padStart(5, '0')}`
    await writeRun(dirname(storage.pathOf('demo-reco', `${prefix}/clusters.parquet`)), number, images)
    await transact(database, (trx) =>
      putSummary(trx, {
        run_id: runId,
        campaign,
        experiment: 'demo',
        series: 'sim',
        number,
        task_id: '',
        code_version: 'test',
        calibration_id: null,
        bucket: 'demo-reco',
        prefix,
        images: images.length,
        clusters: images.flat().length,
        selected_clusters: 0,
        selected_light_counts: 0,
        wall_ms: 0,
        efficiency: null,
        purity: null,
        complete: 1,
        details: '{}',
        made_at_ms: 0,
      }),
    )
  }
  return {
    addRun,
    storage,
    baseUrl,
    client: createClient(resultsContract, { baseUrl }),
    async close() {
      await app.close()
      await facts.close()
      await database.close()
    },
  }
}
