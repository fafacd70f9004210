/** The wire contract of `notebooks`: sessions, their tickets, the software environment. */
import { z } from 'zod'
import { defineContract } from '../foundation/contract.ts'
import { runReferenceSchema } from '../logbook/contract.ts'

export const sessionState = z.enum(['waiting', 'starting', 'running', 'stopping', 'stopped', 'failed'])
export type SessionState = z.infer<typeof sessionState>

export const session = z.object({
  id: z.string(),
  /** The compute job that carries the session: its log is the server's log. */
  jobId: z.string(),
  ownerId: z.string(),
  ownerName: z.string(),
  experiment: z.string(),
  state: sessionState,
  reason: z.string().nullable(),
  sinceMs: z.number().int(),
  startedMs: z.number().int().nullable(),
  /** Where JupyterLab answers on the content origin. It opens only after a ticket was handed over. */
  url: z.string(),
  /** What to open first, relative to the home folder: `runs/sim-00002.ipynb`. */
  openPath: z.string().nullable(),
})
export type Session = z.infer<typeof session>

export const ticket = z.object({
  /** Open this once, in a new tab, within `expiresAtMs`: the ticket is in the fragment, which no server log sees. */
  url: z.string(),
  expiresAtMs: z.number().int(),
})
export type Ticket = z.infer<typeof ticket>

export const environmentStatus = z.object({
  name: z.string(),
  hash: z.string(),
  state: z.enum(['absent', 'building', 'ready', 'failed']),
  reason: z.string().nullable(),
  step: z.string().nullable(),
  python: z.string().nullable(),
  packages: z.array(z.object({ name: z.string(), version: z.string() })),
})
export type EnvironmentStatus = z.infer<typeof environmentStatus>

/** Section `notebooks` of cygnet.yaml. */
export const notebooksConfig = z.object({
  cpuMilli: z.number().int().min(100).default(1000),
  memoryMiB: z.number().int().min(256).default(2048),
  /** A session is ended after so long. */
  walltimeHours: z
    .number()
    .min(0.1)
    .max(24 * 365)
    .default(24 * 7),
})

const sessionParams = z.object({ session: z.string().min(1) })

export const notebooksContract = defineContract('notebooks', {
  listSessions: {
    method: 'GET',
    path: '/api/notebooks/sessions',
    summary: 'My sessions: the living ones, and those of the last 30 days',
    permission: 'signed-in',
    query: z.object({ experiment: z.string().optional(), all: z.enum(['yes', 'no']).default('no') }),
    answer: z.object({ items: z.array(session) }),
  },
  startSession: {
    method: 'POST',
    path: '/api/notebooks/sessions',
    summary:
      'Start my notebook session in an experiment, or find the one that is there; with a run, write its starter notebook; with results, one of the same runs, cuts and bins',
    permission: { action: 'sessions.start', of: 'body.experiment' },
    body: z.object({
      experiment: z.string().min(1),
      run: runReferenceSchema.optional(),
      /** What stands behind `?` in the address of a results page: `sel=sim:1-20&cuts=rms+%3E+6`. */
      results: z.string().max(16_000).optional(),
    }),
    answer: session,
  },
  showSession: {
    method: 'GET',
    path: '/api/notebooks/sessions/:session',
    summary: 'One session: state, reason, address',
    permission: { action: 'sessions.start', of: 'loaded' },
    params: sessionParams,
    answer: session,
  },
  stopSession: {
    method: 'POST',
    path: '/api/notebooks/sessions/:session/stop',
    summary: 'Stop a session; it says stopped only when nothing of it is alive',
    permission: { action: 'sessions.stop', of: 'loaded' },
    params: sessionParams,
    answer: session,
  },
  createTicket: {
    method: 'POST',
    path: '/api/notebooks/sessions/:session/ticket',
    summary: 'A single-use address that signs the content origin in and opens the session',
    permission: { action: 'sessions.start', of: 'loaded' },
    params: sessionParams,
    body: z.object({ openPath: z.string().max(1024).optional() }).optional(),
    answer: ticket,
  },
  showEnvironment: {
    method: 'GET',
    path: '/api/notebooks/environment',
    summary: 'The software of notebooks and command jobs',
    permission: 'signed-in',
    answer: environmentStatus,
  },
})
