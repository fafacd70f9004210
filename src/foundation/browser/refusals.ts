/**
 * Refusals that the person in front of the page can lift at once, by proving again who he is: somebody registers for the
 * code, is asked, and the request is sent once more. Pages know nothing of it.
 */
export type Lift = (problem: { code: string; hint?: string }) => Promise<boolean>

const lifts = new Map<string, Lift>()

/** Until the returned function is called, every refusal with this code is put before `lift` first. */
export function liftRefusals(code: string, lift: Lift): () => void {
  lifts.set(code, lift)
  return () => {
    if (lifts.get(code) === lift) lifts.delete(code)
  }
}

/** `fetch`, which comes back with the refusal only if nobody lifted it. */
export async function liftingFetch(input: string | URL | Request, init?: RequestInit): Promise<Response> {
  const response = await fetch(input, init)
  if (response.status !== 403 || lifts.size === 0) return response
  const problem = (await response
    .clone()
    .json()
    .catch(() => ({}))) as { code?: string; hint?: string }
  const lift = problem.code === undefined ? undefined : lifts.get(problem.code)
  if (lift === undefined || !(await lift({ ...problem, code: problem.code! }))) return response
  return await fetch(input, init)
}
