import type { Kysely, Transaction } from 'kysely'
import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import type { GroupTables } from './groups/tables.ts'
import type { FederationTables } from './federation/tables.ts'
import type { FactorTables } from './factors/tables.ts'
import type { InvitationTables } from './invitations/tables.ts'
import type { TokenTables } from './tokens/tables.ts'
import type { AuditingTables } from './auditing/tables.ts'
import type { DecisionTables } from './decisions/tables.ts'

/** Rows of this room. Ids are uuid7 text unless said otherwise, times UTC milliseconds, JSON as text, booleans 0/1. */
export interface IdentityTables
  extends GroupTables, FederationTables, FactorTables, InvitationTables, TokenTables, AuditingTables, DecisionTables {
  /** People and machines. Never deleted, so that an id or a name is never given twice. */
  identity_subject: {
    id: string
    kind: 'person' | 'client'
    name: string
    display_name: string
    /** People only: 'grace' may still read; 'archived' is gone for good, 'erased' has lost his name too. */
    state: 'active' | 'grace' | 'suspended' | 'archived' | 'erased'
    epoch: number
    site_admin: number
    /** Clients only. */
    experiment: string | null
    created_at_ms: number
    created_by: string
  }
  identity_platform_uid: { uid: number; person_id: string }
  /** The number of who may read; the next one is of who may write. */
  identity_experiment_gid: { gid: number; experiment: string }
  identity_browser_session: {
    id: string
    token_hash: string
    person_id: string
    created_at_ms: number
    last_seen_at_ms: number
    expires_at_ms: number
    address: string
    user_agent: string
    /** How the person proved who he is when the session began: 'link', 'passkey', 'password', 'institute', 'invitation'. */
    method: string
    /** The last proof within this session; what is dangerous asks for a new one. */
    proved_at_ms: number
    /** The last proof by two factors (a passkey counts as two); null: none in this session. */
    two_factors_at_ms: number | null
    /** Of institute logins: whose, and the session there, for its logout. */
    identity_id: string | null
    upstream_session: string | null
    /** Until when the person's command line may use this session's fresh proof. */
    lends_proof_until_ms: number | null
  }
  /** By what else than a link a person is known: an institute's issuer and its subject. Never by e-mail. */
  identity_identity: {
    id: string
    person_id: string
    issuer: string
    subject: string
    /** For showing only: e-mail or name as the issuer said it. */
    label: string
    assurance: string
    created_at_ms: number
    last_used_at_ms: number
  }
  identity_one_time_code: {
    code_hash: string
    person_id: string
    /** 'root': printed on the machine itself, counts as two factors. 'recovery': lets in only to make a new factor. */
    purpose: CodePurpose
    created_at_ms: number
    expires_at_ms: number
    used_at_ms: number | null
  }
  identity_content_ticket: {
    ticket_hash: string
    person_id: string
    session_id: string
    expires_at_ms: number
    used_at_ms: number | null
    /** The browser session that it was asked for in, and the absolute end of that; null: by a token. */
    window_id: string | null
    window_until_ms: number | null
  }
  identity_access_key: {
    access_key_id: string
    subject_id: string
    /** AES-256-GCM under the key-encryption key, bound to the access key id. */
    sealed_secret: string
    label: string
    limits: string
    /** A key of a session or job: it acts for the person, and never as him. */
    actor_kind: 'session' | 'job' | null
    actor_id: string | null
    created_at_ms: number
    expires_at_ms: number | null
    revoked_at_ms: number | null
    /** `sts`: made for a web identity token; it needs its session token, always ends and dies with the epoch. */
    kind: 'key' | 'sts'
    session_token_hash: string | null
    epoch: number | null
    /** What it was made from (`device:ID`, `personal-token:ID`, `machine-key:ID`): it ends with that. */
    source: string | null
  }
  /** Everything the OIDC provider keeps: ids and lookups hashed, payload sealed. */
  identity_oidc: {
    model: string
    id_hash: string
    sealed_payload: string
    grant_hash: string | null
    user_code_hash: string | null
    uid_hash: string | null
    account_id: string | null
    expires_at_ms: number | null
    consumed_at_ms: number | null
  }
}

/** What a one-time code is for; see `identity_one_time_code`. */
export type CodePurpose = 'sign-in' | 'root' | 'recovery'

export type IdentityKysely = Kysely<IdentityTables>
export type IdentityTransaction = Transaction<IdentityTables>

export function tablesOf(database: OpenedDatabase): IdentityKysely {
  return database.kysely as IdentityKysely
}

export function ownTables(trx: AnyTransaction): IdentityTransaction {
  return trx as IdentityTransaction
}
