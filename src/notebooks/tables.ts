/** Tables of `notebooks`. */
export interface SessionTable {
  /** Short and random: it is part of the address. */
  id: string
  job_id: string
  owner_id: string
  owner_name: string
  experiment: string
  /** Key of the signed identity header, base64url; only this session's server knows it as well. */
  header_key: string
  /** 'yes' until the job has ended, then null: at most one living session per person and experiment. */
  living: 'yes' | null
  /** When JupyterLab first answered; null before. */
  ready_ms: number | null
  /** Run whose starter notebook is still to be written, `sim:2`. */
  wanted_run: string | null
  /** JSON {path, address}: notebook of results still to be written, and what it is made from. */
  wanted_results: string | null
  /** What to open first, relative to the home folder. */
  open_path: string | null
  created_ms: number
}

export interface NotebookTables {
  notebook_session: SessionTable
}
