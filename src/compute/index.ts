/** The door of `compute`. */
export { openCompute, type Compute, type ComputeOptions, type JobFilter } from './room.ts'
export { computeRoutes } from './routes.ts'
export { computeMigrations } from './migrations/index.ts'
export { computeErrors } from './errors.ts'
export {
  computeConfig,
  computeContract,
  type Job,
  type JobState,
  type JobClass,
  type JobRequest,
  type JobOutput,
  type SandboxStatus,
} from './contract.ts'
export type {
  JobSpec,
  JobKind,
  JobDone,
  RunningJob,
  Launch,
  Mount,
  WorkLimits,
  Workspace,
  DoneMarker,
} from './model.ts'
export { fitted, requireEnvironment, requireWithin } from './work-limits.ts'
export type { EnvironmentResolver, ResolvedEnvironment } from './command-kind.ts'
export { findPython, closedFolder, type Python } from './sandbox/python.ts'
export { bubblewrapRequirement } from './sandbox/bubblewrap.ts'
export { stopWork } from './stop-work.ts'
export { inspectIsolation } from './sandbox/inspect.ts'
