/** What the platform says about itself as a whole. */
import { z } from 'zod'
import { defineContract, timeMs } from '../foundation/contract.ts'

const processSchema = z.object({
  name: z.string(),
  pid: z.int(),
  startedMs: timeMs,
  memoryBytes: z.int().describe('proportional set size'),
})

export const statusSchema = z.object({
  version: z.string(),
  nowMs: timeMs,
  startedMs: timeMs,
  processes: z.array(processSchema),
  disk: z.object({ path: z.string(), freeBytes: z.int(), totalBytes: z.int() }),
  storageLagChanges: z.int().describe('changes of objects not yet seen by the logbook'),
  backgroundJobs: z.object({ waiting: z.int(), running: z.int(), dead: z.int() }),
  sandbox: z.object({ available: z.boolean(), detail: z.string() }),
  lastErrors: z.array(z.object({ atMs: timeMs, what: z.string() })),
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
