/**
 * Door of the reconstruction room: images to tracks.
 *
 * `openReconstruction` is what the control process starts before compute does: it registers the kinds of jobs and
 * follows closed runs. Errors are Faults of `errors.ts`.
 */
export { reconstructionContract, automaticCampaign, clusterColumns } from './contract.ts'
export type {
  Calibration,
  Cluster,
  Outline,
  ReconstructedEvent,
  ReconstructionSummary,
  ReconstructionTask,
  RunProductsSummary,
  TrendPoint,
  TruthSummary,
} from './contract.ts'
export { reconstructionFaults } from './errors.ts'
export { reconstructionMigrations } from './tables.ts'
export { openReconstruction } from './service.ts'
export type { Reconstruction, ReconstructionOptions } from './service.ts'
export type { ProductStore } from './job-kinds.ts'
export { defaultParameters, parameterCatalogue } from './parameters.ts'
export type { ReconstructionParameters } from './parameters.ts'
