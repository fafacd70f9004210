/** The agent's side of the platform's API: it gets itself a token for its key, and a new one when that one ends. */
import { createClient } from '../../foundation/client.ts'
import { Fault } from '../../foundation/errors.ts'
import { identityContract } from '../../identity/contract.ts'
import { ingestContract } from '../contract.ts'
import { ingestFaults } from '../errors.ts'
import type { AgentKey } from './key-file.ts'

export interface PlatformOptions {
  serverUrl: string
  experiment: string
  key: AgentKey
  signal: AbortSignal
}

export type Platform = ReturnType<typeof connectPlatform>

/** A token lives an hour; how old it is the monotonic clock says, for wall clocks jump and differ. */
const renewAfterMs = 55 * 60_000
const answerWithinMs = 15_000

export function connectPlatform({ serverUrl, experiment, key, signal }: PlatformOptions) {
  const identity = createClient(identityContract, { baseUrl: serverUrl })
  let token: Promise<{ accessToken: string }> | undefined
  let askedMs = 0

  async function authorization(): Promise<Record<string, string>> {
    if (performance.now() - askedMs > renewAfterMs) token = undefined
    if (token === undefined) {
      askedMs = performance.now()
      token = identity.token({ body: key }, patience()).catch((error: unknown) => {
        token = undefined
        throw refused(error)
      })
    }
    const { accessToken } = await token
    return { authorization: `Bearer ${accessToken}` }
  }

  const patience = () => ({ signal: AbortSignal.any([signal, AbortSignal.timeout(answerWithinMs)]) })
  const client = createClient(ingestContract, { baseUrl: serverUrl, headers: authorization })
  const params = { experiment }

  /** A refused token is thrown away; the next call asks for a new one. Time-outs become 'unreachable'. */
  async function asking<Answer>(ask: () => Promise<Answer>): Promise<Answer> {
    try {
      return await ask()
    } catch (error) {
      signal.throwIfAborted()
      if (error instanceof Fault && error.status === 401) token = undefined
      if (error instanceof Fault) throw error
      throw ingestFaults.storeUnreachable(`${serverUrl} does not answer.`, {
        cause: error,
        hint: 'Check the network and that the platform is running. Runs stay on disk and are sent later.',
      })
    }
  }

  type Heartbeat = Parameters<typeof client.heartbeat>[0]['body']
  type Opened = Parameters<typeof client.openRun>[0]['body']
  type Progress = Parameters<typeof client.progress>[0]['body']
  type Closed = Parameters<typeof client.closed>[0]['body']
  type Failed = Parameters<typeof client.failed>[0]['body']
  const of = (run: string) => ({ experiment, run })
  return {
    heartbeat: (body: Heartbeat) => asking(() => client.heartbeat({ params, body }, patience())),
    openRun: (body: Opened) => asking(() => client.openRun({ params, body }, patience())),
    progress: (run: string, body: Progress) => asking(() => client.progress({ params: of(run), body }, patience())),
    closed: (run: string, body: Closed) => asking(() => client.closed({ params: of(run), body }, patience())),
    failed: (run: string, body: Failed) => asking(() => client.failed({ params: of(run), body }, patience())),
    recovered: (run: string) => asking(() => client.recovered({ params: of(run) }, patience())),
    objectStatus: (key: string) => asking(() => client.objectStatus({ params, query: { key } }, patience())),
  }
}

function refused(error: unknown): unknown {
  if (!(error instanceof Fault) || (error.status !== 401 && error.status !== 403)) return error
  return ingestFaults.keyRefused(`The server refuses this key (${error.detail}).`, {
    cause: error,
    hint: 'Check the key file: right key, not revoked, made for this server. The agent reads it again at every try.',
  })
}
