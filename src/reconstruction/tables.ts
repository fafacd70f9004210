/** The room's tables as Kysely sees them. Names begin with `reconstruction_`: rooms share one database. */
import { reconstruction0001 } from './migrations/0001-tasks-and-calibrations.ts'
import { reconstruction0002 } from './migrations/0002-campaigns.ts'
import { reconstruction0003 } from './migrations/0003-studies.ts'
import { reconstruction0004 } from './migrations/0004-saved-selections.ts'
import type { Campaign, ReconstructionTask } from './contract.ts'
import type { Study } from './study-contract.ts'

export interface CalibrationTable {
  id: string
  experiment: string
  series: string
  kind: 'pedestal'
  /** 1, 2, ... for each run it was made from. */
  version: number
  /** Valid from this run number on, until a later calibration of the series. */
  from_run: number
  made_from_run_id: string
  made_from_number: number
  bucket: string
  object_key: string
  sha256: string
  size_bytes: number
  code_version: string
  /** JSON, what a person checks before trusting it. */
  quality: string
  task_id: string
  made_at_ms: number
}

/** One wish to process one run with one code and one calibration. Unique by (run, campaign, code, calibration). */
export interface TaskTable {
  id: string
  kind: ReconstructionTask['kind']
  experiment: string
  run_id: string
  series: string
  number: number
  /** '' for a pedestal. */
  campaign: string
  code_version: string
  /** '' while there is none (waiting) and for a pedestal. */
  calibration_id: string
  /** Rises each time the task is run again on somebody's demand. */
  generation: number
  job_id: string | null
  /** Of the run file when the job was made; '' where it was not known. Other bytes make a new generation. */
  raw_sha256: string
  /** Of the truth beside the run that the result was made with, '' for none; null on rows older than this column. */
  truth_sha256: string | null
  /** Version of the campaign whose recipe this follows; 1 for a pedestal. */
  campaign_version: number
  state: ReconstructionTask['state']
  reason: string | null
  requested_by: string
  created_ms: number
  updated_ms: number
}

/** One row per run and campaign: the newest result. The products themselves are objects under bucket/prefix. */
export interface SummaryTable {
  run_id: string
  campaign: string
  experiment: string
  series: string
  number: number
  task_id: string
  code_version: string
  calibration_id: string | null
  bucket: string
  prefix: string
  images: number
  clusters: number
  selected_clusters: number
  selected_light_counts: number
  wall_ms: number
  efficiency: number | null
  purity: number | null
  /** 0 or 1. */
  complete: number
  /** JSON, RunProductsSummary. */
  details: string
  made_at_ms: number
}

/** One row per version of a campaign; never changed. `main` version 1 is implied. */
export interface CampaignTable {
  id: string
  experiment: string
  name: string
  version: number
  kind: Campaign['kind']
  description: string
  /** JSON, what differs from the defaults. */
  parameters: string
  preset: string | null
  /** JSON, CampaignScript; null for the built-in chain. */
  script: string | null
  /** 'script-...' for a script, '' for the built-in chain: there it depends on the program as well. */
  script_version: string
  creator_id: string
  creator_name: string
  created_ms: number
}

/** A job without a run that leaves a report: a validation or a training. */
export interface StudyTable {
  id: string
  experiment: string
  kind: Study['kind']
  /** JSON, checked by its kind. */
  options: string
  state: Study['state']
  reason: string | null
  job_id: string | null
  code_version: string
  bucket: string
  prefix: string
  /** JSON, [{name, sizeBytes}]. */
  files: string
  /** JSON, how the report ends; null before. */
  headline: string | null
  requested_by: string
  created_ms: number
  updated_ms: number
}

/** A selection of results that somebody keeps for the experiment; the name is unique in it. */
export interface SavedSelectionTable {
  id: string
  experiment: string
  name: string
  /** Of the results page, what stands behind `?`. */
  address: string
  owner_id: string
  owner_name: string
  created_ms: number
}

export interface ReconstructionTables {
  reconstruction_campaign: CampaignTable
  reconstruction_calibration: CalibrationTable
  reconstruction_task: TaskTable
  reconstruction_summary: SummaryTable
  reconstruction_study: StudyTable
  reconstruction_saved_selection: SavedSelectionTable
}

/** For `migrate`: the room's migrations in order. */
export const reconstructionMigrations = {
  room: 'reconstruction',
  migrations: {
    '0001-tasks-and-calibrations': reconstruction0001,
    '0002-campaigns': reconstruction0002,
    '0003-studies': reconstruction0003,
    '0004-saved-selections': reconstruction0004,
  },
}
