/** Memberships end by themselves: `decide` looks at the clock. Here those are told who act on what has ended. */
import type { Logger } from '../../foundation/log.ts'
import { platformOrigin } from '../audit.ts'
import type { Room } from '../room.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import { sweepMemberships } from './memberships.ts'

const everyMs = 15_000

export interface Ends {
  /** Removes memberships that are over and announces everybody whose rights have ended since the last time. */
  tend(): Promise<void>
  close(): void
}

export function watchEnds(room: Room, snapshot: () => IdentitySnapshot, log: Logger): Ends {
  // After a start everything that ever ended is announced once: what runs may have outlived it meanwhile.
  let tendedMs = 0

  async function tend(): Promise<void> {
    const nowMs = room.clock.nowMs()
    const ended = Object.values(snapshot().subjects).filter(({ roles }) =>
      roles.some(({ untilMs = Infinity }) => untilMs > tendedMs && untilMs <= nowMs),
    )
    if (ended.length > 0)
      await room.change(async (trx) => {
        const swept = await sweepMemberships(room, trx, platformOrigin)
        for (const { id } of ended) if (!swept.has(id)) await room.changed(trx, id, 'membership-ended')
      })
    tendedMs = nowMs
  }

  const timer = setInterval(() => {
    tend().catch((error: unknown) => log.error({ error }, 'the end of memberships could not be announced'))
  }, everyMs).unref()
  return { tend, close: () => clearInterval(timer) }
}
