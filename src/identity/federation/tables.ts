/** Rows of institute login. Secrets of others (client secrets, refresh tokens, ID tokens) lie sealed, our own hashed. */
export interface FederationTables {
  identity_issuer: {
    id: string
    /** Exactly as it calls itself in `iss`. */
    issuer: string
    label: string
    vouches: string
    /** Null: nobody signs in there. */
    client_id: string | null
    /** Null: a public client, which PKCE protects. */
    sealed_secret: string | null
    scopes: string
    groups_claim: string
    recheck_minutes: number
    /** JSON of `trustSchema`; null: its access tokens are not accepted here. */
    trust: string | null
    state: 'enabled' | 'disabled'
    /** Public keys of a trusted issuer as published, JSON, and when they were fetched. */
    keys: string | null
    keys_at_ms: number | null
    /** What the last attempt to reach it said, if it failed. */
    problem: string | null
    created_at_ms: number
    created_by: string
  }
  identity_import_rule: {
    id: string
    issuer_id: string
    claim: string
    value: string
    /** Full path, `/cygno/analysis`. */
    group_path: string
    role: string
    lifetime_ms: number | null
    created_at_ms: number
    created_by: string
  }
  /** One visit to an institute, from our page and back to it; bound to one browser by a cookie. */
  identity_login_attempt: {
    state_hash: string
    browser_hash: string
    issuer_id: string
    purpose: 'login' | 'link' | 'join' | 'leave'
    /** Nonce, PKCE verifier, next page; after the visit what the institute said. */
    sealed: string
    /** `away` until the institute has answered, which it may once. */
    stage: 'away' | 'landed' | 'failed'
    /** Of linking: the account and the session in which it was asked for. */
    person_id: string | null
    session_id: string | null
    created_at_ms: number
    expires_at_ms: number
  }
  /** What an institute said last about an identity, and the right to ask again. */
  identity_upstream_grant: {
    identity_id: string
    issuer_id: string
    sealed_refresh: string | null
    /** JSON: claim to its values, without names and addresses; what import rules look at. */
    claims: string
    /** When the person signed in there last; lifetimes of rules count from here. */
    signed_in_at_ms: number
    checked_at_ms: number
    tried_at_ms: number
    problem: string | null
  }
  /** The sessions at an institute behind our browser sessions, to end them there too. */
  identity_upstream_session: {
    session_id: string
    identity_id: string
    issuer_id: string
    sealed_id_token: string
    created_at_ms: number
  }
  /** `jti` of logout tokens: each works once. */
  identity_spent_statement: { issuer_id: string; jti_hash: string; expires_at_ms: number }
}
