/**
 * The door of the ingest room: the receiver that turns stored raw files into runs, the reports of the agents on the
 * DAQ machines, and the agent itself (`runAgent`, which speaks nothing but HTTP and S3).
 */
import { ingest0001 } from './migrations/0001-agents.ts'

export { openIngest } from './ingest.ts'
export type { Ingest, IngestOptions } from './ingest.ts'
export type { StoredFiles } from './receiver.ts'
/** The port: one adapter for each format of raw files. */
export type {
  FileTracker,
  FoundCondition,
  FoundFault,
  FoundRun,
  GrowingRun,
  RunFormat,
  RunPlace,
} from './run-format.ts'
export { runAgent } from './agent/agent.ts'
export type { AgentEvent, AgentOptions } from './agent/agent.ts'
/** A DAQ without a detector. */
export { simulateDaq } from './simulate-daq.ts'
export type { SimulateDaqEvent, SimulateDaqOptions } from './simulate-daq.ts'
/** A small S3 client for uploads: signature version 4, multipart; used by the agent. */
export { createS3Client } from './agent/s3-client.ts'
export type { S3Client, S3ClientOptions } from './agent/s3-client.ts'

/** For `migrate`: the ingest room's migrations in order. */
export const ingestMigrations = { room: 'ingest', migrations: { '0001-agents': ingest0001 } }
