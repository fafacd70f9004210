/** What policies leave a person of this machine: what is asked for beyond it is refused, what is usual is made to fit. */
import type { JobRequest } from './contract.ts'
import { computeErrors } from './errors.ts'
import type { WorkLimits } from './model.ts'

const mebibyte = 1024 * 1024

/** The usual request, cut to what the person may have. */
export function fitted(usual: JobRequest, limits: WorkLimits): JobRequest {
  const { cores = Infinity, memoryBytes = Infinity, walltimeMs = Infinity } = limits
  return {
    cpuMilli: Math.min(usual.cpuMilli, Math.floor(cores * 1000)),
    memoryMiB: Math.min(usual.memoryMiB, Math.floor(memoryBytes / mebibyte)),
    walltimeMs: Math.min(usual.walltimeMs, walltimeMs),
  }
}

/** @throws Fault compute.beyond_policy */
export function requireWithin({ cpuMilli, memoryMiB, walltimeMs }: JobRequest, limits: WorkLimits): void {
  if (limits.cores !== undefined && cpuMilli > limits.cores * 1000)
    throw beyond(limits, 'cores', `${limits.cores} cores`, `${cpuMilli / 1000}`)
  if (limits.memoryBytes !== undefined && memoryMiB * mebibyte > limits.memoryBytes)
    throw beyond(
      limits,
      'memoryBytes',
      `${Math.floor(limits.memoryBytes / mebibyte)} MiB of memory`,
      `${memoryMiB} MiB`,
    )
  if (limits.walltimeMs !== undefined && walltimeMs > limits.walltimeMs)
    throw beyond(limits, 'walltimeMs', `${inWords(limits.walltimeMs)} of time`, inWords(walltimeMs))
}

/** `sessions` with the new one counted. @throws Fault compute.beyond_policy */
export function requireSessions(sessions: number, limits: WorkLimits): void {
  if (limits.sessions === undefined || sessions <= limits.sessions) return
  const most = limits.sessions === 1 ? 'one session' : `${limits.sessions} sessions`
  throw beyond(limits, 'sessions', `${most} at once`, `${sessions}`)
}

/** @throws Fault compute.beyond_policy */
export function requireEnvironment(name: string, limits: WorkLimits): void {
  if (limits.environments === undefined || limits.environments.includes(name)) return
  const allowed = limits.environments.length === 0 ? 'no environment' : limits.environments.join(', ')
  throw beyond(limits, 'environments', allowed, name)
}

function beyond(limits: WorkLimits, figure: keyof NonNullable<WorkLimits['by']>, most: string, asked: string): Error {
  const group = limits.by?.[figure]
  return computeErrors.beyondPolicy(
    `The policy of ${group ?? 'your group'} leaves you ${most}; this asks for ${asked}.`,
    {
      hint: `Ask for less, or ask whoever sets the ceiling of ${group ?? 'the group'}: a manager there knows.`,
    },
  )
}

function inWords(durationMs: number): string {
  return durationMs >= 3_600_000 ? `${Math.round(durationMs / 360_000) / 10} h` : `${Math.round(durationMs / 1000)} s`
}
