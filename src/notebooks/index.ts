/** The door of `notebooks`. */
export { openNotebooks, type Notebooks, type NotebooksOptions } from './room.ts'
export { notebookRoutes } from './routes.ts'
export { notebookMigrations } from './migrations/index.ts'
export { notebookErrors } from './errors.ts'
export {
  notebooksConfig,
  notebooksContract,
  type Session,
  type SessionState,
  type Ticket,
  type EnvironmentStatus,
} from './contract.ts'
export { createNotebookProxy, type NotebookProxy, type NotebookProxyOptions } from './proxy/notebook-proxy.ts'
export { notebookRoute, type NotebookRoute } from './proxy/route.ts'
export { openEnvironment, type PythonEnvironment, type ReadyEnvironment } from './environment/environment.ts'
export { downloadWheels } from './environment/wheels.ts'
/** A small client of a kernel through the platform, for checks, tests and benches. */
export { openKernel, type Kernel } from './kernel-client.ts'
