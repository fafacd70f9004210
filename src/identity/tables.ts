import type { Kysely, Transaction } from 'kysely'
import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import type { GroupTables } from './groups/tables.ts'
import type { FederationTables } from './federation/tables.ts'
import type { FactorTables } from './factors/tables.ts'
import type { InvitationTables } from './invitations/tables.ts'
import type { TokenTables } from './tokens/tables.ts'
import type { AuditingTables } from './auditing/tables.ts'

/** Rows of this room. Ids are uuid7 text unless said otherwise, times UTC milliseconds, JSON as text, booleans 0/1. */
export interface IdentityTables
  extends GroupTables, FederationTables, FactorTables, InvitationTables, TokenTables, AuditingTables {
  /** People and machines. Never deleted, so that an id or a name is never given twice. */
  identity_subject: {
    id: string
    kind: 'person' | 'client'
    name: string
    display_name: string
    state: 'active' | 'suspended'
    epoch: number
    site_admin: number
    /** Clients only. */
    experiment: string | null
    created_at_ms: number
    created_by: string
  }
  identity_role: {
    subject_id: string
    experiment: string
    role: string
    granted_by: string
    granted_at_ms: number
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
    purpose: 'sign-in'
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
  identity_audit: {
    id: string
    at_ms: number
    actor_id: string
    actor_kind: string
    actor_name: string
    action: string
    target: string
    experiment: string | null
    address: string
    request_id: string
    detail: string
  }
}

export type IdentityKysely = Kysely<IdentityTables>
export type IdentityTransaction = Transaction<IdentityTables>

export function tablesOf(database: OpenedDatabase): IdentityKysely {
  return database.kysely as IdentityKysely
}

export function ownTables(trx: AnyTransaction): IdentityTransaction {
  return trx as IdentityTransaction
}
