export interface FactorTables {
  identity_passkey: {
    id: string
    person_id: string
    /** As the authenticator gave it, base64url. */
    credential_id: string
    public_key: string
    /** What the authenticator keeps for whose it is: random, one per person, tells nothing. */
    user_handle: string
    /** Of signatures; one that does not grow tells of a copy. 0 for those that do not count. */
    counter: number
    transports: string
    label: string
    backed_up: number
    created_at_ms: number
    last_used_at_ms: number | null
    /** Refused since then: its counter went back. */
    suspect_at_ms: number | null
  }
  identity_password: {
    person_id: string
    /** `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
    hash: string
    set_at_ms: number
    last_used_at_ms: number | null
    /** The last time when the right password came with one wrong code too many. */
    codes_guessed_at_ms: number | null
  }
  identity_totp: {
    person_id: string
    /** Base32, sealed for this person; null until the first one is confirmed. */
    sealed_secret: string | null
    confirmed_at_ms: number | null
    /** Number of the last 30 s step whose code was used: none at or before it is taken again. */
    last_step: number
    /** Shown and not yet confirmed; takes the place of the other when it is. */
    pending_sealed_secret: string | null
    pending_until_ms: number | null
  }
  identity_recovery_code: {
    code_hash: string
    person_id: string
    created_at_ms: number
    used_at_ms: number | null
  }
  /** What a passkey must sign. Taken out by its first use. */
  identity_challenge: {
    challenge_hash: string
    purpose: 'sign-in' | 'proof' | 'new-passkey'
    /** Hash of what binds it to one browser: its challenge cookie, or its session. */
    bound_to: string
    /** Of a new passkey: the handle its authenticator was given. */
    user_handle: string | null
    expires_at_ms: number
  }
  /** Further names. A removed one stays, so that it is never somebody else's. */
  identity_person_alias: {
    /** Folded: small letters, NFKC. */
    alias_key: string
    /** Folded further, so that what looks the same is the same. */
    look: string
    alias: string
    person_id: string
    created_at_ms: number
    removed_at_ms: number | null
  }
}
