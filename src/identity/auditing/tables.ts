export interface AuditTable {
  /** From 1 on, without gaps, in the order of the commits. */
  sequence: number
  id: string
  at_ms: number
  /** In whose name: the person or machine, also when a session or job of his acts. */
  actor_id: string
  actor_kind: string
  actor_name: string
  /** What proved it: 'browser session ID', 'token ID of CLIENT', 'access key ID'; never a secret. */
  credential: string
  action: string
  target: string
  experiment: string | null
  decision: 'allow' | 'deny'
  address: string
  request_id: string
  detail: string
  /** SHA-256 of the row before, and of this one (chain.ts). */
  prev_hash: string
  hash: string
}

export interface AuditingTables {
  identity_audit: AuditTable
}
