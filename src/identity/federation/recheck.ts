/**
 * Asking institutes again, with the refresh tokens of those who signed in: what somebody lost there is lost here after the
 * issuer's lag. Refused there: everything that came from there ends. Not reachable: what was said last goes on for
 * twenty-four times the lag, and the page of identity providers says so.
 */
import { sql } from 'kysely'
import { Fault } from '../../foundation/errors.ts'
import { platformOrigin } from '../audit.ts'
import { bumpEpoch } from '../people.ts'
import type { Room } from '../room.ts'
import type { IdentityTables } from '../tables.ts'
import { claimsForRules } from './claims.ts'
import { applyRules, countsUntilMs } from './imports.ts'
import { listLoginIssuers, noteProblem } from './issuers.ts'
import type { LoginIssuer, Upstream } from './upstream.ts'

type GrantRow = IdentityTables['identity_upstream_grant'] & { person_id: string; subject: string }

const atOnce = 4
const mostAtATime = 500
/** An institute that does not answer is asked again after five minutes, however long its lag. */
const retryMs = 5 * 60_000

/** Everything that is due now; one round at a time. */
export async function recheckDue(room: Room, upstream: Upstream, signal: AbortSignal): Promise<void> {
  for (const issuer of await listLoginIssuers(room.kysely)) {
    if (signal.aborted) return
    await recheckIssuer(room, upstream, issuer, signal)
  }
  await endSilent(room)
}

async function recheckIssuer(room: Room, upstream: Upstream, issuer: LoginIssuer, signal: AbortSignal): Promise<void> {
  const nowMs = room.clock.nowMs()
  // A check that is begun a little early is finished in time.
  const lagMs = issuer.recheck_minutes * 60_000 * 0.9
  const due = await room.kysely
    .selectFrom('identity_upstream_grant as grant')
    .innerJoin('identity_identity as identity', 'identity.id', 'grant.identity_id')
    .selectAll('grant')
    .select(['identity.person_id', 'identity.subject'])
    .where('grant.issuer_id', '=', issuer.id)
    .where('grant.sealed_refresh', 'is not', null)
    .where('grant.checked_at_ms', '<=', nowMs - lagMs)
    .where('grant.tried_at_ms', '<=', nowMs - Math.min(retryMs, lagMs))
    .orderBy('grant.tried_at_ms')
    .limit(mostAtATime)
    .execute()
  if (due.length === 0) return
  let problem: string | null = null
  const queue = [...due]
  const work = async (): Promise<void> => {
    for (let grant = queue.shift(); grant !== undefined && !signal.aborted; grant = queue.shift()) {
      problem = (await recheck(room, upstream, issuer, { grant, signal })) ?? problem
      // One that is down is not asked five hundred times.
      if (problem !== null) queue.length = 0
    }
  }
  await Promise.all(Array.from({ length: atOnce }, work))
  if (!signal.aborted) await noteProblem(room.kysely, issuer, problem)
}

/** @returns why the institute could not be asked */
async function recheck(
  room: Room,
  upstream: Upstream,
  issuer: LoginIssuer,
  { grant, signal }: { grant: GrantRow; signal: AbortSignal },
): Promise<string | undefined> {
  const { identity_id: id } = grant
  const purpose = `upstream.${id}`
  const update = async (values: Partial<IdentityTables['identity_upstream_grant']>) => {
    await room.kysely.updateTable('identity_upstream_grant').set(values).where('identity_id', '=', id).execute()
  }
  await update({ tried_at_ms: room.clock.nowMs() })
  try {
    const said = await upstream.refresh(issuer, room.seal.open(grant.sealed_refresh!, purpose), {
      subject: grant.subject,
      // Old ones are dead with the answer: the new one is kept before anything else can go wrong.
      onToken: (token) => update({ sealed_refresh: room.seal.close(token, purpose) }),
    })
    const claims = JSON.stringify(claimsForRules(said.claims, said.userInfo))
    const checked = { checked_at_ms: room.clock.nowMs(), problem: null }
    // What had ended because nothing was heard for long begins again.
    const wasSilent = countsUntilMs(grant, issuer.recheck_minutes) <= room.clock.nowMs()
    if (claims === grant.claims && !wasSilent) await update(checked)
    else
      await room.change(async (trx) => {
        await trx
          .updateTable('identity_upstream_grant')
          .set({ ...checked, claims })
          .where('identity_id', '=', id)
          .execute()
        await applyRules(room, trx, grant.person_id, platformOrigin)
      })
    return undefined
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    if (error.code === 'identity.institute_said_no') {
      await endRefused(room, issuer, grant)
      return undefined
    }
    // Cygnet stops: that says nothing about the institute.
    if (signal.aborted) return undefined
    room.log.warn({ issuer: issuer.issuer, error }, 'an institute could not be asked for groups')
    await update({ problem: error.message.slice(0, 300) })
    return error.message
  }
}

/** The institute no longer knows him, or no longer for us: nothing that came from there goes on. */
async function endRefused(room: Room, issuer: LoginIssuer, grant: GrantRow): Promise<void> {
  const { identity_id: id, person_id: personId } = grant
  await room.change(async (trx) => {
    const changed = await trx
      .updateTable('identity_upstream_grant')
      .set({ sealed_refresh: null, claims: '{}', problem: 'The institute no longer answers for this person.' })
      .where('identity_id', '=', id)
      // Who signed in anew meanwhile has another one.
      .where('signed_in_at_ms', '=', grant.signed_in_at_ms)
      .returning('identity_id')
      .executeTakeFirst()
    if (changed === undefined) return
    await applyRules(room, trx, personId, platformOrigin)
    const ended = await trx
      .deleteFrom('identity_browser_session')
      .where('identity_id', '=', id)
      .returning('id')
      .execute()
    await trx.deleteFrom('identity_upstream_session').where('identity_id', '=', id).execute()
    const detail = { issuer: issuer.issuer, sessions: ended.length }
    await room.audit(trx, platformOrigin, { action: 'institute-refused', target: personId, detail })
    await bumpEpoch(room, trx, personId, 'institute-refused')
  })
}

/** What was said too long ago counts no more; also of institutes that never gave a way to ask again. */
async function endSilent(room: Room): Promise<void> {
  const nowMs = room.clock.nowMs()
  const rows = await room.kysely
    .selectFrom('identity_upstream_grant as grant')
    .innerJoin('identity_identity as identity', 'identity.id', 'grant.identity_id')
    .innerJoin('identity_issuer as issuer', 'issuer.id', 'grant.issuer_id')
    .innerJoin('identity_import_rule as rule', 'rule.issuer_id', 'issuer.id')
    .innerJoin('identity_membership as membership', 'membership.person_id', 'identity.person_id')
    .select(['identity.person_id', 'grant.checked_at_ms', 'issuer.recheck_minutes'])
    .distinct()
    .where(sql<boolean>`membership.source = 'import:' || rule.id`)
    .execute()
  const silent = rows.filter((row) => countsUntilMs(row, row.recheck_minutes) <= nowMs)
  for (const personId of new Set(silent.map((row) => row.person_id)))
    await room.change((trx) => applyRules(room, trx, personId, platformOrigin))
}
