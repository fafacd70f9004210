/**
 * Is there an order in which each operation takes effect at one instant between its call and its answer, and which
 * explains all answers? The search of Wing and Gong with Lowe's memory of where it has been, for one key.
 */

/** `etag`: what was written or is demanded; null: nothing there. */
export type Request =
  | { kind: 'put'; etag: string }
  | { kind: 'put if absent'; etag: string }
  | { kind: 'put if match'; etag: string; wanted: string }
  | { kind: 'delete' }
  /** A GET, a HEAD, or a line of a listing. */
  | { kind: 'read' }

export type Response =
  | { kind: 'done' }
  | { kind: 'read'; etag: string | null }
  | { kind: 'precondition failed' }
  | { kind: 'not found' }
  /** No answer: it may have happened, may happen later, or never. */
  | { kind: 'unknown' }

export interface Call {
  request: Request
  response: Response
  calledAt: number
  /** Infinity without an answer. */
  answeredAt: number
}

type State = string | null

/** The state afterwards; undefined if that answer could not have been given in that state. */
function step(state: State, { request, response }: Call): { state: State } | undefined {
  const isUnknown = response.kind === 'unknown'
  if (request.kind === 'read')
    return isUnknown || (response.kind === 'read' && response.etag === state) ? { state } : undefined
  if (request.kind === 'put') return { state: request.etag }
  if (request.kind === 'delete') return { state: null }
  const isAllowed = request.kind === 'put if absent' ? state === null : state === request.wanted
  if (isUnknown) return { state: isAllowed ? request.etag : state }
  if (response.kind === 'done') return isAllowed ? { state: request.etag } : undefined
  if (isAllowed) return undefined
  const isMissing = request.kind === 'put if match' && state === null
  return isMissing === (response.kind === 'not found') ? { state } : undefined
}

/** True if the calls on one key, which holds nothing at first, are linearizable. */
export function isLinearizable(calls: readonly Call[]): boolean {
  const seen = new Set<string>()
  const search = (left: readonly number[], state: State): boolean => {
    const answered = left.filter((index) => calls[index]!.response.kind !== 'unknown')
    if (answered.length === 0) return true
    const place = `${left.join(',')}|${state}`
    if (seen.has(place)) return false
    seen.add(place)
    const firstAnswer = Math.min(...answered.map((index) => calls[index]!.answeredAt))
    return left.some((index) => {
      const call = calls[index]!
      if (call.calledAt > firstAnswer) return false
      const next = step(state, call)
      return (
        next !== undefined &&
        search(
          left.filter((other) => other !== index),
          next.state,
        )
      )
    })
  }
  return search([...calls.keys()], null)
}
