/** The ingest room's tables as Kysely sees them. */
export interface AgentTable {
  experiment: string
  name: string
  setup: string
  series: string
  host: string
  directory: string
  version: string
  first_seen_ms: number
  last_seen_ms: number
  waiting_runs: number
  waiting_bytes: number
  free_bytes: number | null
  trouble: string
}

export interface IngestTables {
  ingest_agent: AgentTable
}
