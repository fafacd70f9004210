/** What rooms above say to `compute`, and what it tells them: specifications, launches, done markers, kinds. */
import type { Transaction } from 'kysely'
import { z } from 'zod'
import type { JobClass, JobRequest } from './contract.ts'

/** Accepted work. `payload` is the kind's own JSON and never changes afterwards. */
export interface JobSpec {
  kind: string
  title: string
  experiment: string
  ownerId: string
  ownerName: string
  class: JobClass
  subject?: string
  payload: unknown
  request: JobRequest
  /** Exit codes of the payload worth another try, and how many tries in all. Losses by the machine are counted apart. */
  retry?: { exitCodes?: number[]; maximum?: number; infrastructure?: number }
  idempotencyKey?: string
}

/** A job as a kind sees it. */
export interface RunningJob {
  id: string
  attempt: number
  kind: string
  title: string
  experiment: string
  ownerId: string
  ownerName: string
  subject: string | null
  payload: unknown
  request: JobRequest
  /** The folder of this attempt on the host. `out` inside it is what the payload sees as /out. */
  folder: string
}

export interface Mount {
  source: string
  target: string
  mode: 'ro' | 'rw'
}

/** How to run one attempt. All paths in `argv`, `environment` and `files` are those the payload sees. */
export interface Launch {
  argv: string[]
  /** Working directory inside; default /out. */
  directory?: string
  mounts: Mount[]
  environment: Record<string, string>
  /** uid of the payload when Cygnet runs as root; default the workspace's. */
  uid?: number
  /** none: a network namespace with nothing but loopback; gateway: the platform and S3 ports on 127.0.0.1 as well. */
  network: 'none' | 'gateway'
  /**
   * Appear as /run/cygnet/<name>, readable by the payload only. A name may have folders in it; it must not leave
   * its folder.
   */
  files: { name: string; content: string | Uint8Array; mode?: number }[]
  limits?: {
    processes?: number
    temporaryMiB?: number
    logBytes?: number
    stopGraceMs?: number
    /** No single file may grow beyond this. */
    fileBytes?: number
    /** More files than this are not kept of /out; default 2000. */
    outputFiles?: number
  }
  /** none: neither the owner's home nor the experiment's buckets; the payload sees its mounts and nothing else. */
  workspace?: 'all' | 'none'
  /** true: the folder `session` of the attempt is writable as /run/session (sockets live there). */
  session?: boolean
}

/** What policies leave a person; what is absent does not limit. `by`: whose policy each figure is, and so whom to ask. */
export interface WorkLimits {
  cores?: number | undefined
  memoryBytes?: number | undefined
  walltimeMs?: number | undefined
  /** At once. */
  sessions?: number | undefined
  /** Names of software environments. */
  environments?: readonly string[] | undefined
  by?:
    | Readonly<Partial<Record<'cores' | 'memoryBytes' | 'walltimeMs' | 'sessions' | 'environments', string>>>
    | undefined
}

/** A person's place on the platform: who the payload is on the machine and what it sees. */
export interface Workspace {
  personName: string
  /** >= 300000 when Cygnet runs as root; ignored otherwise. */
  uid: number
  groups: number[]
  buckets: { name: string; path: string; mode: 'ro' | 'rw' }[]
}

const endReason = z.enum([
  'exited',
  'cancelled',
  'walltime',
  'memory',
  'log-too-large',
  'disk-full',
  'launch-failed',
  'revoked',
])

/** done.json, as the shim writes it. */
export const doneMarker = z.object({
  attempt: z.string(),
  reason: endReason,
  detail: z.string().nullable(),
  exitCode: z.number().int().nullable(),
  signal: z.string().nullable(),
  startedMs: z.number().int(),
  endedMs: z.number().int(),
  cpuSeconds: z.number(),
  peakMemoryBytes: z.number().int(),
  outputs: z.array(z.object({ name: z.string(), sizeBytes: z.number().int(), sha256: z.string() })),
  /** What of /out is not among the outputs, and why; null when everything is. */
  note: z.string().nullable().default(null),
})
export type DoneMarker = z.infer<typeof doneMarker>

/** The end of an attempt that the payload itself reached (exit code 0). */
export interface JobDone extends DoneMarker {
  /** Host folder that holds the outputs. Only regular files of the manifest may be read from it. */
  outFolder: string
}

/** A kind of job: how it is launched, and what its success means in the database. */
export interface JobKind<Published = unknown> {
  /** Called before each attempt; may be called again for the same attempt never started. */
  prepare(job: RunningJob): Promise<Launch>
  /**
   * Work outside the database after success (copying outputs). At least once: must be idempotent, keyed by job id.
   * Its answer is handed to `commit`.
   */
  publish?(job: RunningJob, done: JobDone): Promise<Published>
  /** In the transaction that ends the job, exactly once, for the current attempt only. Database calls only. */
  commit?(transaction: Transaction<any>, job: RunningJob, done: JobDone, published: Published): Promise<void>
  /** In the transaction that ends the job as failed or cancelled. Database calls only. */
  ended?(
    transaction: Transaction<any>,
    job: RunningJob,
    how: { state: 'failed' | 'cancelled'; reason: string },
  ): Promise<void>
}
