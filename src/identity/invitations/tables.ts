/** Rows of invitations, of accounts from the first to the last day, of requests for experiments, and of mail. */
export interface InvitationTables {
  identity_invitation: {
    id: string
    kind: 'person' | 'class'
    /** SHA-256 of the code in the link; a renewed invitation has another one. */
    code_hash: string
    experiment: string
    /** '/cygno/students' */
    group_path: string
    role: string
    invited_by: string
    sponsor_id: string
    /** For whom it is; an institute that says otherwise makes the sponsor confirm. */
    addressed_to: string | null
    /** JSON list of issuers that may vouch; null: any way in. */
    issuers: string | null
    message: string
    /** When the access that it gives ends; null: it does not (never for guests). */
    access_end_ms: number | null
    max_uses: number
    used: number
    created_at_ms: number
    expires_at_ms: number
    state: 'open' | 'used' | 'revoked' | 'declined'
    mail_id: string | null
  }
  /** One opened landing page: what the browser holds in its cookie, hashed. */
  identity_join_ticket: {
    ticket_hash: string
    invitation_id: string
    created_at_ms: number
    expires_at_ms: number
    /** The version of the site's rules that was agreed to here. */
    terms_version: number | null
    language: string
    /** Somebody came in with it, or waits for the sponsor. */
    used_at_ms: number | null
    person_id: string | null
    confirmation_id: string | null
  }
  /** Somebody whom an institute knows by another address than the invitation; his sponsor says by name who it is. */
  identity_join_confirmation: {
    id: string
    invitation_id: string
    name: string | null
    display_name: string
    email: string
    issuer: string
    subject: string
    label: string
    assurance: string
    /** Who is signed in already keeps his account. */
    person_id: string | null
    terms_version: number
    language: string
    address: string
    created_at_ms: number
    state: 'waiting' | 'confirmed' | 'refused'
    decided_by: string | null
    decided_at_ms: number | null
  }
  /** What is known of a person's account beyond `identity_subject`. Absent: no end, no sponsor, no address. */
  identity_account: {
    person_id: string
    guest: number
    sponsor_id: string | null
    invitation_id: string | null
    access_end_ms: number | null
    /** Since when the present state holds. */
    state_since_ms: number
    /** The state was reached because the access ended, not because an admin said so: it goes on by itself. */
    by_end: number
    /** Since when the person's sponsor is gone. */
    orphan_since_ms: number | null
    /** Of somebody archived: where his home was and to which experiment it goes. */
    home_name: string | null
    heir_experiment: string | null
    email: string | null
    email_verified: number
    language: string
  }
  /** A notice that has been given: for this end, so many days before. */
  identity_notice: { person_id: string; access_end_ms: number; days: number; at_ms: number }
  identity_terms: {
    version: number
    text: string
    text_hash: string
    published_at_ms: number
    published_by: string
  }
  identity_terms_acceptance: {
    person_id: string
    version: number
    text_hash: string
    accepted_at_ms: number
    address: string
  }
  /** Names of people who were erased, hashed: nobody gets one of them again. */
  identity_former_name: { name_hash: string }
  /** The outbox. What a mail says is sealed, and gone when it is sent. */
  identity_mail: {
    id: string
    recipient: string
    template: string
    language: string
    sealed_data: string | null
    state: 'waiting' | 'sending' | 'sent' | 'dead' | 'dropped'
    attempts: number
    next_at_ms: number
    /** After this it would be of no use to anybody. */
    useful_until_ms: number
    created_at_ms: number
    ended_at_ms: number | null
    reason: string | null
    /** A second mail of the same key is not made. */
    once_key: string | null
  }
  identity_experiment_request: {
    id: string
    name: string
    title: string
    purpose: string
    people: number
    storage_bytes: number
    ends_at_ms: number
    applicant: string
    email: string
    language: string
    /** How the applicant is known. */
    known_by: 'nothing' | 'mail' | 'account'
    person_id: string | null
    confirm_hash: string | null
    state: 'unconfirmed' | 'waiting' | 'approved' | 'rejected'
    created_at_ms: number
    decided_at_ms: number | null
    decided_by: string | null
    reason: string | null
    invitation_id: string | null
    address: string
  }
}
