/**
 * What S3 callers were denied, told to control for the audit: counted here, sent every few seconds, kept while control is
 * away. Bounded: of very many different denials the rest is counted without its place.
 */
import { request as httpRequest } from 'node:http'
import type { Logger } from '../../foundation/log.ts'
import type { ObjectDenial, Subject } from '../../identity/gateway.ts'

export interface DeniedObjects {
  record(subject: Subject, address: string, method: string, place: string): void
  /** Sends what is there. */
  close(): Promise<void>
}

const sendEveryMs = 2_000
const mostKinds = 500

export function createDeniedObjects(controlSocket: string, log: Logger): DeniedObjects {
  let counted = new Map<string, ObjectDenial>()
  let sending: Promise<void> = Promise.resolve()
  const timer = setInterval(() => void send(), sendEveryMs).unref()

  function add(denial: ObjectDenial): void {
    const { subjectId, address, target } = denial
    const key = JSON.stringify([subjectId, address, target])
    const known = counted.get(key)
    if (known !== undefined) known.count += denial.count
    else if (counted.size < mostKinds) counted.set(key, denial)
    else if (target !== others) add({ ...denial, address: 'several', target: others })
    else counted.set(key, denial)
  }

  function send(): Promise<void> {
    if (counted.size === 0) return sending
    const denials = [...counted.values()]
    counted = new Map()
    sending = sending.then(() =>
      post(controlSocket, { denials }).catch((error: unknown) => {
        log.debug({ error }, 'denials wait for control')
        for (const denial of denials) add(denial)
      }),
    )
    return sending
  }

  return {
    record({ id, kind, name, actorId }, address, method, place) {
      // A listing of many keys is one place: keys come from outside and may be anything.
      const actor = { subjectId: id, kind, name, ...(actorId !== undefined && { actorId }) }
      add({ ...actor, address, target: `S3 ${method} ${place}`.slice(0, longestTarget), count: 1 })
    },
    async close() {
      clearInterval(timer)
      await send()
    },
  }
}

const longestTarget = 300
const others = 'S3, several places'

function post(socketPath: string, body: unknown): Promise<void> {
  return new Promise((done, failed) => {
    const headers = { 'content-type': 'application/json' }
    const options = { socketPath, method: 'POST', path: '/internal/denials', headers, timeout: 5_000 }
    const request = httpRequest(options, (response) => {
      response.resume()
      response.on('end', () => (response.statusCode === 200 ? done() : failed(new Error(`${response.statusCode}`))))
    })
    request.on('timeout', () => request.destroy(new Error('no answer from control')))
    request.on('error', failed)
    request.end(JSON.stringify(body))
  })
}
