/**
 * What runs, runs only as long as its owner may have it. At each change of rights, at the end of each right that has
 * one, and once at every start everything that lives is asked about again: nothing depends on having heard of a change.
 * Sessions end. Jobs that wait are held, and go on waiting in their place when the right comes back; jobs that run end
 * too, unless the site lets them finish. (S3 keys and tokens are decided at every request, websockets by the gateways.)
 */
import type { Action } from '../foundation/contract.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { Compute, Job, Workspace } from '../compute/index.ts'
import { identityFaults, type Identity } from '../identity/index.ts'

export interface LiveEffectParts {
  identity: Pick<Identity, 'whyNotOn' | 'snapshotPart'>
  compute: Pick<Compute, 'living' | 'hold' | 'release' | 'cancel'>
  clock: Clock
  log: Logger
  /** Whose work is nobody's: the platform's own. */
  ownId: string
  whenRightsEnd: 'end' | 'finish'
}

export interface LiveEffect {
  /** Rights have changed. */
  now(): void
  close(): Promise<void>
}

const held = 'held: '
/** A right that ends in between is seen at once: this is for clocks that are set. */
const longestWaitMs = 60_000

export function openLiveEffect({ identity, compute, clock, log, ownId, whenRightsEnd }: LiveEffectParts): LiveEffect {
  let running: Promise<void> | undefined
  let again = false
  let closed = false
  let timer: NodeJS.Timeout | undefined

  async function look(): Promise<void> {
    for (const job of await compute.living()) {
      if (job.ownerId === ownId) continue
      const reason = identity.whyNotOn(job.ownerId, actionOf(job), job.experiment)
      await (reason === undefined ? mayGoOn(job) : mayNotGoOn(job, reason))
    }
  }

  async function mayGoOn(job: Job): Promise<void> {
    if (job.state === 'waiting' && job.reason?.startsWith(held) === true) await compute.release([job.id])
  }

  async function mayNotGoOn(job: Job, reason: string): Promise<void> {
    if (job.cancelRequested) return
    const isSession = job.class === 'interactive'
    if (job.state === 'waiting' && !isSession) {
      if (job.reason?.startsWith(held) !== true) await compute.hold([job.id], `${held}${reason}`)
      return
    }
    if (!isSession && whenRightsEnd === 'finish') return
    log.info({ jobId: job.id, ownerId: job.ownerId, reason }, 'work of somebody who may no longer have it is ended')
    await compute.cancel(job.id, `ended: ${reason}`)
  }

  function now(): void {
    if (closed) return
    if (running !== undefined) {
      again = true
      return
    }
    clearTimeout(timer)
    running = (async () => {
      do {
        again = false
        await look().catch((error: unknown) => {
          log.error({ error }, 'work of people who may no longer have it could not be ended; trying again')
        })
      } while (again && !closed)
    })().finally(() => {
      running = undefined
      if (!closed) timer = setTimeout(now, nextEndInMs())
    })
  }

  function nextEndInMs(): number {
    const nowMs = clock.nowMs()
    const ends = Object.values(identity.snapshotPart().subjects)
      .flatMap(({ roles }) => roles.map(({ untilMs }) => untilMs))
      .filter((endMs) => endMs !== undefined && endMs > nowMs) as number[]
    return Math.min(longestWaitMs, ...ends.map((endMs) => endMs - nowMs))
  }

  return {
    now,
    async close() {
      closed = true
      clearTimeout(timer)
      await running
    },
  }
}

function actionOf(job: Job): Action {
  return job.class === 'interactive' ? 'sessions.start' : 'jobs.submit'
}

/** Nothing starts for somebody who lost the right between asking for it and its turn. */
export function workersOnly(
  { identity, ownId }: Pick<LiveEffectParts, 'identity' | 'ownId'>,
  workspaceOf: (ownerId: string, experiment: string) => Promise<Workspace>,
) {
  return async (ownerId: string, experiment: string): Promise<Workspace> => {
    const whyNot = (action: Action) => identity.whyNotOn(ownerId, action, experiment)
    const reason = ownerId === ownId ? undefined : whyNot('jobs.submit') && whyNot('sessions.start')
    if (reason !== undefined) throw identityFaults.notAllowed('Its owner may no longer run it.', { hint: reason })
    return await workspaceOf(ownerId, experiment)
  }
}
