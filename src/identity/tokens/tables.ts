/** Tables of this area. Ids are uuid7 text unless said otherwise. */
export interface TokenTables {
  /** Long-lived bearer tokens of people: opaque, hashed, always with an end and named capabilities. */
  identity_personal_token: {
    id: string
    person_id: string
    token_hash: string
    label: string
    /** JSON of Limits. */
    limits: string
    created_at_ms: number
    expires_at_ms: number
    last_used_at_ms: number | null
    revoked_at_ms: number | null
  }
  /** A command line or application a person let in. The provider's grant has the same hash. */
  identity_device: {
    id: string
    grant_hash: string
    person_id: string
    client_id: string
    scope: string
    address: string
    created_at_ms: number
    last_used_at_ms: number
    revoked_at_ms: number | null
  }
  /** What a key-bound machine may do and until when; machines that only have an access key have no row. */
  identity_machine: {
    client_id: string
    /** JSON: list of capabilities as text. */
    capabilities: string
    expires_at_ms: number
  }
  identity_machine_owner: { client_id: string; person_id: string; since_ms: number; added_by: string }
  identity_machine_key: {
    /** RFC 7638 thumbprint of the public key: never given twice. */
    key_id: string
    client_id: string
    jwk: string
    algorithm: 'ES256' | 'EdDSA'
    created_at_ms: number
    last_used_at_ms: number | null
    revoked_at_ms: number | null
  }
  /** Assertions seen: each signs in once. */
  identity_assertion: { client_id: string; jti_hash: string; expires_at_ms: number }
  identity_enrolment: {
    id: string
    device_code_hash: string
    user_code_hash: string
    experiment: string
    name: string
    jwk: string
    key_id: string
    address: string
    state: 'waiting' | 'approved' | 'denied'
    client_id: string | null
    created_at_ms: number
    expires_at_ms: number
  }
}
