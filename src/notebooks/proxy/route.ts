/** Which session a request is for: decided on the raw path, and only if that path can be read in one way. */
import { z } from 'zod'

/** One living session, as control publishes it. `key` is a secret. */
export const notebookRoute = z.object({
  sessionId: z.string(),
  ownerId: z.string(),
  ownerName: z.string(),
  /** Where the owner needs the right to it; absent in what an older control publishes. */
  experiment: z.string().optional(),
  /** `/user/<name>/<session>/` */
  basePath: z.string(),
  socketPath: z.string().nullable(),
  key: z.string(),
  state: z.enum(['starting', 'running', 'stopping']),
})
export type NotebookRoute = z.infer<typeof notebookRoute>

export type Located =
  | { kind: 'bad' }
  | { kind: 'none' }
  | { kind: 'bare'; basePath: string }
  | { kind: 'session'; base: string }

/**
 * Refuses what two programs could read differently: dot segments, encoded slashes, backslashes, empty segments in the
 * prefix, control characters, absolute-form targets. `/user/<name>/<session>` without the slash is `bare`.
 */
export function locate(target: string): Located {
  if (!target.startsWith('/')) return { kind: 'bad' }
  const path = target.split(/[?#]/, 1)[0]!
  // oxlint-disable-next-line no-control-regex -- that is the point
  if (/[\u0000-\u0020\u007f\\]/.test(path) || /%(?:2f|5c|00|0a|0d)/i.test(path)) return { kind: 'bad' }
  const segments = path.split('/')
  for (const segment of segments) {
    let plain: string
    try {
      plain = decodeURIComponent(segment)
    } catch {
      return { kind: 'bad' }
    }
    if (plain === '.' || plain === '..') return { kind: 'bad' }
    // Twice encoded: the second reading would differ from ours.
    if (/%(?:2e|2f|5c|00)/i.test(plain)) return { kind: 'bad' }
  }
  if (segments[1] !== 'user') return { kind: 'none' }
  const [, , name, session, ...rest] = segments
  if (name === undefined || session === undefined || !/^[a-z0-9]+$/.test(name) || !/^[a-z0-9]+$/.test(session))
    return { kind: 'bad' }
  if (rest.length === 0) return { kind: 'bare', basePath: `/user/${name}/${session}/` }
  return { kind: 'session', base: `/user/${name}/${session}/` }
}
