/** What the end of an attempt means for its job: a pure decision. */
import type { DoneMarker } from './model.ts'
import type { RetryRule } from './job-store.ts'
import type { AttemptOutcome } from './tables.ts'

export type Verdict =
  | { next: 'succeed' }
  | { next: 'end'; state: 'failed' | 'cancelled'; outcome: AttemptOutcome; reason: string }
  | {
      next: 'again'
      outcome: AttemptOutcome
      reason: string
      counts: 'infrastructure_losses' | 'user_failures' | undefined
      pauseMs: number
    }

interface Counters {
  retry: RetryRule
  infrastructureLosses: number
  userFailures: number
  memoryMiB: number
  walltimeMs: number
}

/** How bubblewrap tells that its payload ended by SIGKILL: 128 + 9. */
const killedExitCode = 137

/** After a done marker. */
export function judge(done: DoneMarker, job: Counters, lastLogLine: string): Verdict {
  switch (done.reason) {
    case 'cancelled':
    case 'revoked':
      return { next: 'end', state: 'cancelled', outcome: 'cancelled', reason: 'cancelled on request' }
    case 'walltime':
      return failed(`it ran longer than the ${Math.round(job.walltimeMs / 1000)} s it asked for`)
    case 'memory':
      return failed(`it used more than the ${job.memoryMiB} MiB of memory it asked for`)
    case 'log-too-large':
      return failed('it printed more than a log may hold')
    case 'disk-full':
      return failed('the disk was nearly full and it went on filling it')
    case 'launch-failed':
      return lost(`it could not be launched: ${done.detail ?? 'no message'}`, job)
    case 'exited':
      break
  }
  if (done.exitCode === 0) return { next: 'succeed' }
  if (lastLogLine.startsWith('bwrap: ')) return failed(`the sandbox could not be made: ${lastLogLine.slice(7)}`)
  // Nobody of ours did it (that would be cancelled, walltime or memory): the machine is short of memory, or somebody with a shell.
  if (done.signal === 'SIGKILL' || done.exitCode === killedExitCode) return lost('it was killed from outside', job)
  const reason = done.signal === null ? `it exited with code ${done.exitCode ?? '?'}` : `it was ended by ${done.signal}`
  if (
    done.exitCode !== null &&
    job.retry.exitCodes.includes(done.exitCode) &&
    job.userFailures + 1 < job.retry.maximum
  ) {
    return { next: 'again', outcome: 'failed', reason, counts: 'user_failures', pauseMs: pauseAfter(job.userFailures) }
  }
  return failed(reason)
}

/** After the machine lost an attempt: its shim is gone and it is proved that nothing of it lives. */
export function lost(reason: string, job: Counters): Verdict {
  if (job.infrastructureLosses < job.retry.infrastructure) {
    return {
      next: 'again',
      outcome: 'lost',
      reason: `${reason}; trying again`,
      counts: 'infrastructure_losses',
      pauseMs: pauseAfter(job.infrastructureLosses),
    }
  }
  const times = job.infrastructureLosses + 1
  return { next: 'end', state: 'failed', outcome: 'lost', reason: times === 1 ? reason : `${reason}, ${times} times` }
}

function failed(reason: string): Verdict {
  return { next: 'end', state: 'failed', outcome: 'failed', reason }
}

function pauseAfter(tries: number): number {
  return Math.min(30_000, 250 * 2 ** tries)
}
