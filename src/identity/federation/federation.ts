/** Institute login, opened: what the routes call, and the round that asks institutes again. */
import type { Room } from '../room.ts'
import { recheckDue } from './recheck.ts'
import { refreshTrust } from './trust.ts'
import { openUpstream, type Upstream } from './upstream.ts'

export interface Federation {
  readonly upstream: Upstream
  /** Groups and keys that are due; happens by itself every minute. Never rejects for what an institute does. */
  recheck(): Promise<void>
  /** Keys of trusted issuers, now. */
  refreshTrust(): Promise<void>
  /** Removes what is over. */
  sweep(): Promise<void>
  close(): Promise<void>
}

const roundMs = 60_000

export function openFederation(room: Room): Federation {
  const closing = new AbortController()
  const { signal } = closing
  const upstream = openUpstream(room, signal)
  const tries = new Map<string, number>()
  let running: Promise<void> | undefined

  function recheck(): Promise<void> {
    running ??= round().finally(() => (running = undefined))
    return running
  }

  async function round(): Promise<void> {
    await refreshTrust(room, upstream, { tries, signal })
    await recheckDue(room, upstream, signal)
  }

  const timer = setInterval(() => {
    recheck().catch((error: unknown) => room.log.error({ error }, 'institutes could not be asked again'))
  }, roundMs).unref()

  return {
    upstream,
    recheck,
    refreshTrust: () => refreshTrust(room, upstream, { tries, signal, force: true }),
    async sweep() {
      const nowMs = room.clock.nowMs()
      const { kysely } = room
      await kysely.deleteFrom('identity_login_attempt').where('expires_at_ms', '<=', nowMs).execute()
      await kysely.deleteFrom('identity_spent_statement').where('expires_at_ms', '<=', nowMs).execute()
      const living = kysely.selectFrom('identity_browser_session').select('id')
      await kysely.deleteFrom('identity_upstream_session').where('session_id', 'not in', living).execute()
    },
    async close() {
      clearInterval(timer)
      closing.abort()
      await running?.catch(() => undefined)
    },
  }
}
