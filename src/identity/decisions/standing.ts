/** What the account itself holds back, whatever roles give: pure, for `decide`. */
import type { Action } from '../../foundation/contract.ts'

/**
 * `reading`: the access has ended, and for some days the person may still look and stop what is his.
 * `terms-due`: the rules of the site have changed; until he agrees nothing new starts, and what runs goes on.
 */
export const standings = ['reading', 'terms-due'] as const
export type Standing = (typeof standings)[number]

const looking: ReadonlySet<Action> = new Set<Action>([
  'logbook.read',
  'data.read',
  'jobs.read',
  'jobs.cancel',
  'sessions.stop',
  'audit.read',
])
const starting: ReadonlySet<Action> = new Set<Action>(['sessions.start', 'jobs.submit', 'reconstruction.run'])

/** Why not, in words; undefined: the account does not stand in the way. */
export function heldBack(standing: Standing | undefined, action: Action): string | undefined {
  if (standing === 'reading' && !looking.has(action))
    return 'your access has ended and is read-only for 14 days; your sponsor can renew it'
  if (standing === 'terms-due' && starting.has(action))
    return "the rules of this site have changed; agree to them on the page 'Me' first"
  return undefined
}
