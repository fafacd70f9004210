/** The wire contract of `compute`: jobs as people, programs and pages see them. Runs in browsers and Node. */
import { z } from 'zod'
import { defineContract, pageOf, pageQuery } from '../foundation/contract.ts'

/** The six words people see. What the executor knows in more detail stays inside the room. */
export const jobState = z.enum(['waiting', 'starting', 'running', 'done', 'failed', 'cancelled'])
export type JobState = z.infer<typeof jobState>

/** interactive: somebody sits in front of it; prompt: a run just closed; batch: everything else. */
export const jobClass = z.enum(['interactive', 'prompt', 'batch'])
export type JobClass = z.infer<typeof jobClass>

export const jobRequest = z.object({
  cpuMilli: z.number().int().min(50).max(1_024_000),
  memoryMiB: z.number().int().min(32).max(16_777_216),
  /** The job is ended after this long. */
  walltimeMs: z.number().int().min(1_000),
})
export type JobRequest = z.infer<typeof jobRequest>

/** A name of one file below the job's `out` folder. */
export const outputName = z.string().min(1).max(1024)

export const jobOutput = z.object({
  name: outputName,
  sizeBytes: z.number().int(),
  sha256: z.string(),
  /** True: its kind has put it where it belongs (objects, notebooks); `readOutput` does not have it any more. */
  published: z.boolean().default(false),
})
export type JobOutput = z.infer<typeof jobOutput>

export const job = z.object({
  id: z.string(),
  kind: z.string(),
  title: z.string(),
  experiment: z.string(),
  ownerId: z.string(),
  ownerName: z.string(),
  class: jobClass,
  /** What the job is about, when it is about something: a run reference such as `sim:2`. */
  subject: z.string().nullable(),
  state: jobState,
  /** Why it is in this state, in words; null when the word says everything. */
  reason: z.string().nullable(),
  /** Since when (UTC ms) it is in this state. */
  sinceMs: z.number().int(),
  /** Until when the reason holds, where that is known (the next try, the walltime). */
  untilMs: z.number().int().nullable(),
  /** Place in line while waiting, 1 = next. Filled by `showJob` only. */
  place: z.number().int().nullable(),
  attempt: z.number().int(),
  /** Somebody asked for its end; it is `cancelled` when nothing of it lives. */
  cancelRequested: z.boolean(),
  submittedMs: z.number().int(),
  startedMs: z.number().int().nullable(),
  endedMs: z.number().int().nullable(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  request: jobRequest,
  used: z
    .object({
      cpuSeconds: z.number(),
      peakMemoryBytes: z.number().int(),
      wallSeconds: z.number(),
    })
    .nullable(),
  outputs: z.array(jobOutput),
})
export type Job = z.infer<typeof job>

/** What the kernel takes as one argument of a program (execve(2)): no NUL, at most 128 KiB; and it must be real text. */
const argument = z
  .string()
  .min(1)
  .refine((text) => !text.includes('\0') && text.isWellFormed(), 'an argument cannot hold a NUL or half a character')
  .refine((text) => text.length < 32_000, 'an argument is too long; put it into a file')

export const submitCommand = z.object({
  /** A program of the environment (or an absolute path inside the sandbox) and its arguments. No shell is involved. */
  argv: z
    .array(argument)
    .min(1)
    .max(1024)
    .refine((all) => all.reduce((sum, one) => sum + one.length, 0) <= 500_000, 'all arguments together are too long'),
  title: z.string().max(200).optional(),
  /** `system` is the machine's own /usr; `notebook` is the environment notebooks use. */
  environment: z
    .string()
    .regex(/^[a-z][a-z0-9-]*$/)
    .default('notebook'),
  class: z.enum(['prompt', 'batch']).default('batch'),
  request: jobRequest.partial().optional(),
  /** Tries after an exit code of the list; the machine's own failures are retried anyway. */
  retry: z
    .object({
      exitCodes: z.array(z.number().int().min(1).max(255)).max(255),
      maximum: z.number().int().min(1).max(20),
    })
    .optional(),
  /** The same key from the same person gives the same job, once. */
  idempotencyKey: z.string().min(1).max(200).optional(),
})
export type SubmitCommand = z.input<typeof submitCommand>

/** One piece of a live log. `id` of the event is `<attempt>:<nextOffset>` and is understood as Last-Event-ID. */
export const logEvent = z.discriminatedUnion('type', [
  z.object({
    type: z.literal('log'),
    attempt: z.number().int(),
    offset: z.number().int(),
    nextOffset: z.number().int(),
    text: z.string(),
  }),
  z.object({ type: z.literal('state'), job }),
])
export type LogEvent = z.infer<typeof logEvent>

export const sandboxStatus = z.object({
  available: z.boolean(),
  /** What is missing, in words, when it is not available. */
  reason: z.string().nullable(),
  bubblewrap: z.object({ path: z.string(), version: z.string(), source: z.enum(['path', 'wheel']) }).nullable(),
  identity: z.enum(['own-uid', 'same-uid']),
  limits: z.enum(['cgroup-v2', 'cgroup-v1', 'none']),
  python: z.object({ path: z.string(), version: z.string() }).nullable(),
  /** Facts an admin should read: weaker than the best, but working. */
  notes: z.array(z.string()),
})
export type SandboxStatus = z.infer<typeof sandboxStatus>

export const machine = z.object({
  cpuMilli: z.object({ total: z.number().int(), used: z.number().int() }),
  memoryMiB: z.object({ total: z.number().int(), used: z.number().int() }),
  jobs: z.object({ waiting: z.number().int(), running: z.number().int() }),
})
export type Machine = z.infer<typeof machine>

/** Section `compute` of cygnet.yaml. */
export const computeConfig = z.object({
  /** What jobs may hold of this machine; default all cores and 80 % of the memory. */
  cpuMilli: z.number().int().min(100).optional(),
  memoryMiB: z.number().int().min(64).optional(),
  /** Memory that only sessions may take, so that a notebook opens while batch is busy. */
  interactiveMemoryMiB: z.number().int().min(0).default(1024),
  /** off: nobody but the owner of this Cygnet runs code. */
  sandbox: z.enum(['auto', 'off']).default('auto'),
  /** off: limits as on a machine whose cgroups cannot be used, by watching. */
  cgroups: z.enum(['auto', 'off']).default('auto'),
  /** What becomes of running jobs of a person who may no longer have them; sessions end in any case. */
  whenRightsEnd: z.enum(['end', 'finish']).default('end'),
  /** With less free than this, a job that goes on filling the disk is ended. */
  diskReserveMiB: z.number().int().min(0).default(2048),
})

const jobParams = z.object({ job: z.string().min(1) })
const experimentParams = z.object({ experiment: z.string().min(1) })

export const computeContract = defineContract('compute', {
  listJobs: {
    method: 'GET',
    path: '/api/experiments/:experiment/jobs',
    summary: 'Jobs of an experiment, newest first',
    permission: { action: 'jobs.read', of: 'params.experiment' },
    params: experimentParams,
    query: pageQuery.extend({
      state: jobState.optional(),
      kind: z.string().optional(),
      subject: z.string().optional(),
      ownerId: z.string().optional(),
    }),
    answer: pageOf(job),
  },
  submitJob: {
    method: 'POST',
    path: '/api/experiments/:experiment/jobs',
    summary: 'Run a command on the platform',
    permission: { action: 'jobs.submit', of: 'params.experiment' },
    params: experimentParams,
    body: submitCommand,
    answer: job,
  },
  showJob: {
    method: 'GET',
    path: '/api/jobs/:job',
    summary: 'One job',
    permission: { action: 'jobs.read', of: 'loaded' },
    params: jobParams,
    answer: job,
  },
  cancelJob: {
    method: 'POST',
    path: '/api/jobs/:job/cancel',
    summary: 'Cancel a job; it says cancelled only when nothing of it is alive',
    permission: { action: 'jobs.cancel', of: 'loaded' },
    params: jobParams,
    answer: job,
  },
  readLog: {
    method: 'GET',
    path: '/api/jobs/:job/log',
    summary: 'What the job has printed, from a byte offset',
    permission: { action: 'jobs.read', of: 'loaded' },
    params: jobParams,
    query: z.object({
      attempt: z.coerce.number().int().min(1).optional(),
      offset: z.coerce.number().int().min(0).default(0),
    }),
    stream: 'bytes',
  },
  followLog: {
    method: 'GET',
    path: '/api/jobs/:job/log/events',
    summary: 'The log and the state of a job, live',
    permission: { action: 'jobs.read', of: 'loaded' },
    params: jobParams,
    query: z.object({
      from: z
        .string()
        .regex(/^\d+:\d+$/)
        .optional(),
    }),
    answer: logEvent,
    stream: 'events',
  },
  readOutput: {
    method: 'GET',
    path: '/api/jobs/:job/output',
    summary: 'One file that the job left in /out',
    permission: { action: 'jobs.read', of: 'loaded' },
    params: jobParams,
    query: z.object({ name: outputName }),
    stream: 'bytes',
  },
  showMachine: {
    method: 'GET',
    path: '/api/compute/machine',
    summary: 'Slots of this machine and how many are taken',
    permission: 'signed-in',
    answer: machine,
  },
  showSandbox: {
    method: 'GET',
    path: '/api/compute/sandbox',
    summary: 'How user code is isolated on this machine',
    permission: { action: 'ops.read', of: 'site' },
    answer: sandboxStatus,
  },
})
