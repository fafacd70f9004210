/** STS of a gateway: control makes the credentials; this gateway answers once it would accept them. */
import { request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { z } from 'zod'
import type { FollowedSnapshot } from '../../foundation/snapshot.ts'
import { subjectOfAccessKey, type Subject } from '../../identity/gateway.ts'
import { storageFaults } from '../../storage/gateway.ts'
import type { PlatformSnapshot } from '../snapshot.ts'

/** How long a request waits for a control that starts again. */
const patienceMs = 10_000
const retryEveryMs = 100
/** A key made a moment ago, by control or through another gateway, is in the next snapshot. */
const keyPatienceMs = 1500
const lookEveryMs = 20
const answerSchema = z.object({ status: z.int(), body: z.string(), accessKeyId: z.string().optional() })

export interface StsRequest {
  parameters: Readonly<Record<string, string>>
  address: string
  requestId: string
}

type Key = NonNullable<ReturnType<typeof subjectOfAccessKey>>

export function createStsPort(controlSocket: string, followed: Pick<FollowedSnapshot<PlatformSnapshot>, 'current'>) {
  function keyNow(id: string): Key | undefined {
    const snapshot = followed.current()
    return snapshot && subjectOfAccessKey(snapshot.identity, id)
  }

  /** Unknown lasting keys are unknown at once; temporary ones are waited for a moment. */
  function accessKey(id: string): Key | undefined | Promise<Key | undefined> {
    const known = keyNow(id)
    return known !== undefined || !id.startsWith('ASIA') ? known : waitFor(id)
  }

  async function waitFor(id: string): Promise<Key | undefined> {
    const untilMs = performance.now() + keyPatienceMs
    for (;;) {
      const known = keyNow(id)
      if (known !== undefined || performance.now() > untilMs) return known
      await sleep(lookEveryMs)
    }
  }

  async function assumeRole(given: StsRequest): Promise<{ status: number; body: string }> {
    const { accessKeyId, ...answer } = await ask(given)
    if (accessKeyId !== undefined) await waitFor(accessKeyId)
    return answer
  }

  async function ask(given: StsRequest): Promise<z.infer<typeof answerSchema>> {
    const untilMs = performance.now() + patienceMs
    for (;;) {
      try {
        return answerSchema.parse(await post(controlSocket, given))
      } catch (cause) {
        if (performance.now() > untilMs) throw storageFaults.slowDown('The platform is starting again.', { cause })
      }
      await sleep(retryEveryMs)
    }
  }

  return {
    accessKey,
    sts: {
      assumeRole,
      callerOf({ id, kind, limits, roles, actorId }: Subject) {
        const account = limits?.experiment ?? roles[0]?.experiment ?? 'cygnet'
        const role = actorId === undefined ? kind : `${kind}/${actorId}`
        return { account, arn: `arn:aws:sts::${account}:assumed-role/${role}/${id}`, userId: id }
      },
    },
  }
}

/** Nothing of the parameters may get into an address, which logs show. */
function post(socketPath: string, body: StsRequest): Promise<unknown> {
  return new Promise((done, failed) => {
    const text = JSON.stringify(body)
    const headers = { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) }
    const request = httpRequest(
      { socketPath, agent: false, method: 'POST', path: '/internal/sts', headers },
      (answer) => {
        const chunks: Buffer[] = []
        answer.on('data', (chunk: Buffer) => chunks.push(chunk))
        answer.on('error', failed)
        answer.on('end', () => {
          try {
            done(JSON.parse(Buffer.concat(chunks).toString('utf8')))
          } catch (error) {
            failed(error instanceof Error ? error : new Error('no JSON'))
          }
        })
      },
    )
    request.on('error', failed)
    request.end(text)
  })
}
