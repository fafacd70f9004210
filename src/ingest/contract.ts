/**
 * The ingest room's contract: what the agent on a DAQ machine reports while it takes runs, and what pages read about
 * agents. The bytes themselves travel by S3; every report is idempotent and none is needed for a run to arrive.
 */
import { z } from 'zod'
import { defineContract } from '../foundation/contract.ts'
import { nameSchema, runReferenceSchema } from '../logbook/contract.ts'

export const agentNameSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/, 'letters, digits, dots and dashes')
const runNumberSchema = z.int().min(0).max(999_999_999)
const sha256Schema = z.string().regex(/^[0-9a-f]{64}$/, '64 lower-case hex digits')

/** What the agent last said about itself. `silent` = no heartbeat for a minute. */
export const agentSchema = z.object({
  name: agentNameSchema,
  setup: nameSchema,
  series: nameSchema,
  host: z.string(),
  directory: z.string(),
  version: z.string(),
  state: z.enum(['working', 'silent']),
  firstSeenMs: z.int(),
  lastSeenMs: z.int(),
  /** Runs seen on the DAQ disk that are not yet safe in the store, and their bytes. */
  waitingRuns: z.int(),
  waitingBytes: z.int(),
  freeBytes: z.int().nullable(),
  /** What hinders the agent now, in words; empty when nothing does. */
  trouble: z.string(),
})

const experimentParams = z.object({ experiment: nameSchema })
const runParams = z.object({ experiment: nameSchema, run: runReferenceSchema })
const base = '/api/experiments/:experiment/ingest'
const writes = { action: 'daq.write', of: 'params.experiment' } as const
const runAnswer = z.object({
  run: runReferenceSchema,
  runId: z.string(),
  state: z.enum(['recording', 'closing', 'closed', 'crashed']),
})

export const ingestContract = defineContract('ingest', {
  heartbeat: {
    method: 'POST',
    path: `${base}/heartbeat`,
    summary: 'The agent says it is there; the answer tells where to put the files',
    permission: writes,
    params: experimentParams,
    body: z
      .object({
        agent: agentNameSchema,
        setup: nameSchema,
        series: nameSchema,
        host: z.string().max(200),
        directory: z.string().max(1000),
        version: z.string().max(50),
        waitingRuns: z.int().min(0),
        waitingBytes: z.int().min(0),
        freeBytes: z.int().min(0).nullable(),
        trouble: z.string().max(2000),
      })
      .strict(),
    answer: z.object({ bucket: z.string(), s3Url: z.string(), region: z.string(), serverMs: z.int() }),
  },
  openRun: {
    method: 'POST',
    path: `${base}/runs`,
    summary: 'A run file appeared on the DAQ machine',
    permission: writes,
    params: experimentParams,
    body: z
      .object({
        setup: nameSchema,
        series: nameSchema,
        number: runNumberSchema,
        startedMs: z.int().nullable(),
        path: z.string().max(1000),
        agent: agentNameSchema,
        pedestal: z.boolean().optional(),
        description: z.string().max(2000).optional(),
      })
      .strict(),
    answer: runAnswer,
  },
  progress: {
    method: 'POST',
    path: `${base}/runs/:run/progress`,
    summary: 'How far the run file has grown',
    permission: writes,
    params: runParams,
    body: z.object({ bytes: z.int().min(0), events: z.int().min(0), atMs: z.int() }).strict(),
    answer: runAnswer,
  },
  closed: {
    method: 'POST',
    path: `${base}/runs/:run/closed`,
    summary: 'The run file will not grow any more; with the hash of the bytes the agent read, once it is known',
    permission: writes,
    params: runParams,
    body: z
      .object({
        key: z.string().max(1024),
        sizeBytes: z.int().min(0),
        sha256: sha256Schema.optional(),
        /** What was told before, null: nothing. Anything else expected by now: 409, with it in `expectedSha256`. */
        replaces: sha256Schema.nullable().optional(),
        endOfRunSeen: z.boolean(),
        endedMs: z.int().nullable(),
      })
      .strict(),
    answer: runAnswer,
  },
  failed: {
    method: 'POST',
    path: `${base}/runs/:run/failed`,
    summary: 'The agent cannot bring this run to safety for now, and why',
    permission: writes,
    params: runParams,
    body: z
      .object({
        code: z.string().regex(/^ingest\.[a-z_]+$/),
        detail: z.string().max(2000),
        hint: z.string().max(2000),
        place: z.string().max(1000),
      })
      .strict(),
    answer: runAnswer,
  },
  recovered: {
    method: 'POST',
    path: `${base}/runs/:run/recovered`,
    summary: 'What the agent reported as failed is over',
    permission: writes,
    params: runParams,
    answer: runAnswer,
  },
  objectStatus: {
    method: 'GET',
    path: `${base}/objects`,
    summary: 'What the receiver found when it read a stored file back: size and SHA-256',
    permission: writes,
    params: experimentParams,
    query: z.object({ key: z.string().min(1).max(1024) }),
    answer: z.object({
      state: z.enum(['unknown', 'arriving', 'safe', 'damaged', 'lost']),
      sizeBytes: z.int().nullable(),
      sha256: z.string().nullable(),
      verifiedMs: z.int().nullable(),
      reason: z.string(),
    }),
  },
  listAgents: {
    method: 'GET',
    path: `${base}/agents`,
    summary: 'The agents of an experiment and when each was last heard of',
    permission: { action: 'logbook.read', of: 'params.experiment' },
    params: experimentParams,
    answer: z.object({ items: z.array(agentSchema) }),
  },
})

export type Agent = z.infer<typeof agentSchema>
