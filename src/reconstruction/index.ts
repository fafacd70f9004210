/**
 * Door of the reconstruction room: images to tracks.
 *
 * `openReconstruction` is what the control process starts; the kernels and `reconstructImage` are pure functions
 * for notebooks' servers, benches and other rooms that hold an image in memory.
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
export { defaultParameters, parameterCatalogue } from './parameters.ts'
export type { ReconstructionParameters } from './parameters.ts'
export { registerReconstructionCommands } from './commands.ts'
