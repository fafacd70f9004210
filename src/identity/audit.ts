/**
 * Who did what to whom, when and from where, and what was denied. Rows are only ever added, each bound to the one before
 * (auditing/chain.ts); they never hold a secret. Nothing else writes the table.
 */
import { transact } from '../foundation/database.ts'
import { takeTurn } from '../foundation/facts.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Clock } from '../foundation/time.ts'
import { beginning, chained, type Head } from './auditing/chain.ts'
import { keepDetail, keepText } from './auditing/kept-words.ts'
import { ownTables, type IdentityKysely, type IdentityTransaction } from './tables.ts'

/** On whose behalf something happens, and from where; goes into every audit row. */
export interface Origin {
  actor: { id: string; kind: string; name: string }
  /** What proved it: 'browser session ID', 'token ID of CLIENT'; never a secret. */
  credential?: string
  address: string
  requestId: string
}

/** What the platform does by itself: first start, sweeps, the composition root. */
export const platformOrigin: Origin = {
  actor: { id: 'platform', kind: 'platform', name: 'cygnet' },
  address: 'local',
  requestId: '-',
}

export type AuditAction =
  | 'sign-in'
  | 'sign-in-refused'
  | 'request-denied'
  | 'requests-denied'
  | 'audit-exported'
  | 'audit-loss-accepted'
  | 'invitation-created'
  | 'invitation-renewed'
  | 'invitation-revoked'
  | 'invitation-declined'
  | 'invitation-accepted'
  | 'invitation-code-refused'
  | 'join-waits-for-sponsor'
  | 'join-confirmed'
  | 'join-refused'
  | 'class-ended'
  | 'terms-published'
  | 'terms-accepted'
  | 'access-notice'
  | 'access-renewed'
  | 'access-ended'
  | 'person-archived'
  | 'person-erased'
  | 'sponsor-left'
  | 'role-passed-on'
  | 'experiment-requested'
  | 'experiment-request-confirmed'
  | 'experiment-request-approved'
  | 'experiment-request-rejected'
  | 'contact-changed'
  | 'mail-failed'
  | 'sign-out'
  | 'sign-out-everywhere'
  | 'proved'
  | 'passkey-added'
  | 'passkey-renamed'
  | 'passkey-removed'
  | 'passkey-suspect'
  | 'password-set'
  | 'password-removed'
  | 'authenticator-confirmed'
  | 'recovery-codes-created'
  | 'recovery-code-used'
  | 'factors-removed'
  | 'alias-added'
  | 'alias-removed'
  | 'issuer-added'
  | 'issuer-changed'
  | 'issuer-enabled'
  | 'issuer-disabled'
  | 'import-rule-added'
  | 'import-rule-removed'
  | 'identity-linked'
  | 'identity-unlinked'
  | 'institute-sign-out'
  | 'institute-refused'
  | 'token-issued'
  | 'device-approved'
  | 'device-denied'
  | 'application-approved'
  | 'application-denied'
  | 'sign-in-link-created'
  | 'person-created'
  | 'person-suspended'
  | 'person-reinstated'
  | 'glass-broken'
  | 'glass-mended'
  | 'role-granted'
  | 'role-removed'
  | 'membership-ended'
  | 'group-created'
  | 'group-archived'
  | 'group-restored'
  | 'policy-changed'
  | 'client-registered'
  | 'client-revoked'
  | 'access-key-created'
  | 'access-key-revoked'
  | 'temporary-key-created'
  | 'temporary-key-refused'
  | 'device-revoked'
  | 'personal-token-created'
  | 'personal-token-revoked'
  | 'enrolment-requested'
  | 'enrolment-denied'
  | 'machine-enrolled'
  | 'machine-owners-changed'
  | 'machine-owner-left'
  | 'machine-renewed'
  | 'machine-key-added'
  | 'machine-key-removed'
  | 'signing-key-rotated'
  | 'signing-key-removed'

export interface AuditEvent {
  action: AuditAction
  target: string
  experiment?: string | undefined
  /** 'deny': somebody wanted it and was refused; so are all actions that end with '-refused'. */
  decision?: 'allow' | 'deny'
  /** Of edits: what it was `before` and `after`. */
  detail?: Record<string, unknown>
}

/**
 * Adds a row to the chain in the caller's transaction (or, given none, in one of its own). Whoever audits or appends a
 * fact takes one and the same turn, so that no two transactions ever wait for each other's.
 */
export async function writeAudit(
  trx: IdentityTransaction | IdentityKysely,
  clock: Clock,
  origin: Origin,
  event: AuditEvent,
): Promise<void> {
  if (!trx.isTransaction) {
    return await transact({ kysely: trx }, (own) => writeAudit(ownTables(own), clock, origin, event))
  }
  await takeTurn(trx as IdentityTransaction)
  const head = await auditHead(trx)
  const atMs = clock.nowMs()
  const row = chained(head, {
    id: uuid7(atMs),
    at_ms: atMs,
    actor_id: keepText(origin.actor.id),
    actor_kind: keepText(origin.actor.kind),
    actor_name: keepText(origin.actor.name),
    credential: keepText(origin.credential ?? ''),
    action: event.action,
    target: keepText(event.target),
    experiment: event.experiment === undefined ? null : keepText(event.experiment),
    decision: event.decision ?? (event.action.endsWith('-refused') ? 'deny' : 'allow'),
    address: keepText(origin.address),
    request_id: keepText(origin.requestId),
    detail: keepDetail(event.detail ?? {}),
  })
  await trx.insertInto('identity_audit').values(row).execute()
}

/** The last row there is. */
export async function auditHead(kysely: IdentityKysely): Promise<Head> {
  const last = await kysely
    .selectFrom('identity_audit')
    .select(['sequence', 'hash'])
    .orderBy('sequence', 'desc')
    .limit(1)
    .executeTakeFirst()
  return last ?? beginning
}
