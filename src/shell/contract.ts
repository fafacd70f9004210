/** What the platform says about itself as a whole. */
import { z } from 'zod'
import { defineContract, timeMs } from '../foundation/contract.ts'

const processSchema = z.object({
  name: z.string(),
  pid: z.int(),
  startedMs: timeMs,
  memoryBytes: z.int().describe('proportional set size'),
  uid: z.int().optional().describe('account of this machine that it runs as'),
})

/** Something that somebody should look at now. */
export const concernSchema = z.object({ grave: z.boolean(), what: z.string(), hint: z.string() })

const troubleSchema = z.object({
  atMs: timeMs,
  level: z.enum(['warn', 'error', 'fatal']),
  process: z.string(),
  message: z.string(),
  requestId: z.string().optional(),
  jobId: z.string().optional(),
  run: z.string().optional(),
})

const usedOf = z.object({ used: z.int(), total: z.int() })

export const statusSchema = z.object({
  concerns: z.array(concernSchema).describe('the gravest first; empty when everything is as it should be'),
  version: z.string(),
  nowMs: timeMs,
  startedMs: timeMs,
  processes: z.array(processSchema),
  processesWanted: z.int(),
  disk: z.object({ path: z.string(), freeBytes: z.int(), totalBytes: z.int() }),
  storageLagChanges: z.int().describe('changes of objects not yet seen by the logbook'),
  followers: z.array(
    z.object({ name: z.string(), behind: z.int().describe('facts not looked at yet'), failing: z.string().nullable() }),
  ),
  database: z.object({ kind: z.enum(['sqlite', 'postgres']), sizeBytes: z.int() }),
  machine: z.object({ cpuMilli: usedOf, memoryMiB: usedOf, jobs: z.object({ waiting: z.int(), running: z.int() }) }),
  agents: z.array(
    z.object({
      experiment: z.string(),
      name: z.string(),
      state: z.enum(['working', 'silent']),
      lastSeenMs: timeMs,
      waitingRuns: z.int(),
      trouble: z.string(),
    }),
  ),
  backgroundJobs: z.object({ waiting: z.int(), running: z.int(), dead: z.int() }),
  sandbox: z.object({ available: z.boolean(), detail: z.string() }),
  givenUp: z.array(z.object({ atMs: timeMs, what: z.string() })).describe('background jobs that failed for good'),
  recentTrouble: z.array(troubleSchema).describe('the last warnings and errors of the logs, newest first'),
})

export const shellContract = defineContract('shell', {
  health: {
    method: 'GET',
    path: '/api/health',
    summary: 'Whether the platform serves',
    permission: 'public',
    answer: z.object({ status: z.literal('ok'), version: z.string(), nowMs: timeMs }),
  },
  status: {
    method: 'GET',
    path: '/api/status',
    summary: 'Processes, disk, queues and lags of this installation',
    permission: { action: 'ops.read', of: 'site' },
    answer: statusSchema,
  },
  metrics: {
    method: 'GET',
    path: '/metrics',
    summary: 'The same figures in the Prometheus text format',
    permission: { action: 'ops.read', of: 'site' },
    stream: 'bytes',
  },
})
