/** The ingest room opened: the receiver follows the store, the routes take the agents' reports. */
import { stat } from 'node:fs/promises'
import type { FastifyInstance } from 'fastify'
import type { RunIndexes } from '../detector/index.ts'
import { transact, type OpenedDatabase } from '../foundation/database.ts'
import type { Facts } from '../foundation/facts.ts'
import { bindRoutes, type Gate } from '../foundation/http.ts'
import type { Jobs } from '../foundation/jobs.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { Run } from '../logbook/contract.ts'
import type { Logbook } from '../logbook/index.ts'
import { midasRunFormat } from './adapters/midas-run-format.ts'
import { listAgents, recordHeartbeat } from './agents.ts'
import { ingestContract, type Agent } from './contract.ts'
import { startReceiver, type StoredFiles } from './receiver.ts'
import { reportClosed, reportFailed, reportOpened, reportProgress, reportRecovered } from './reports.ts'
import type { RunFormat } from './run-format.ts'

export interface IngestOptions {
  database: OpenedDatabase
  facts: Facts
  jobs: Jobs
  logbook: Logbook
  files: StoredFiles
  clock: Clock
  log: Logger
  /** Where agents send the bytes: the S3 endpoint as they reach it, and its region. */
  s3: { url: string; region: string }
  /** The experiment's bucket for raw data; default `<experiment>-raw`. */
  rawBucketOf?: (experiment: string) => string
  /** Default: MIDAS. */
  formats?: readonly RunFormat[]
  /** Reads compressed runs in a thread and keeps an index of each; without it they are read in this one. */
  runIndexes?: Pick<RunIndexes, 'readFacts'>
}

export interface Ingest {
  /** Starts to follow the store; call once, before `jobs.start()`. */
  start(): void
  routes(app: FastifyInstance, gate: Gate): void
  /** Every agent that was ever heard of, by experiment and name. */
  agents(): Promise<(Agent & { experiment: string })[]>
}

export function openIngest(options: IngestOptions): Ingest {
  const { database, facts, jobs, logbook, files, clock, log, s3 } = options
  const formats = options.formats ?? [midasRunFormat(options.runIndexes)]
  const rawBucketOf = options.rawBucketOf ?? ((experiment: string) => `${experiment}-raw`)
  const reports = { logbook, clock, formats, rawBucketOf }
  return {
    agents: () => listAgents(database.kysely, undefined, clock),
    start: () => startReceiver({ logbook, facts, jobs, clock, log, formats, files }),
    routes: (app, gate) =>
      bindRoutes(
        app,
        ingestContract,
        {
          async heartbeat({ params: { experiment }, body }) {
            await logbook.requireExperiment(experiment)
            await transact(database, (trx) => recordHeartbeat(trx, experiment, body, clock))
            return { bucket: rawBucketOf(experiment), s3Url: s3.url, region: s3.region, serverMs: clock.nowMs() }
          },
          openRun: async ({ params, body }) => answerOf(await reportOpened(reports, params.experiment, body)),
          progress: async ({ params, body }) =>
            answerOf(await reportProgress(reports, params.experiment, params.run, body)),
          closed: async ({ params, body }) =>
            answerOf(await reportClosed(reports, params.experiment, params.run, body)),
          failed: async ({ params, body }) =>
            answerOf(await reportFailed(reports, params.experiment, params.run, body)),
          recovered: async ({ params }) => answerOf(await reportRecovered(reports, params.experiment, params.run)),
          async objectStatus({ params: { experiment }, query }) {
            await logbook.requireExperiment(experiment)
            const bucket = rawBucketOf(experiment)
            const file = await logbook.findFile(bucket, query.key)
            const state = file?.state ?? ('unknown' as const)
            // Announced and not there: an agent that had sent it before its removal has to send it again.
            const isGone = state === 'arriving' && !(await isStored(await files.pathOf(bucket, query.key)))
            return {
              state: isGone ? ('lost' as const) : state,
              sizeBytes: file?.sizeBytes ?? null,
              sha256: file?.sha256 ?? null,
              verifiedMs: file?.verifiedMs ?? null,
              reason: file?.reason ?? '',
            }
          },
          async listAgents({ params: { experiment } }) {
            await logbook.requireExperiment(experiment)
            return { items: await listAgents(database.kysely, experiment, clock) }
          },
        },
        gate,
      ),
  }
}

const isStored = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined

const answerOf = (run: Run) => ({ run: run.reference, runId: run.id, state: run.state })
