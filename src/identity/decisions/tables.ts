/** Rows of broken glass: added, ended, never removed. */
export interface DecisionTables {
  identity_break_glass: {
    id: string
    person_id: string
    experiment: string
    reason: string
    taken_at_ms: number
    /** It ends then by itself. */
    until_ms: number
    /** Earlier, by somebody's hand. */
    ended_at_ms: number | null
    ended_by: string | null
  }
}
