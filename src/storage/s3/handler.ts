/** The S3 face as a plain node:http handler: read the target, check the signature, find the operation, run it, answer. */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http'
import { Fault } from '../../foundation/errors.ts'
import { uuid7 } from '../../foundation/ids.ts'
import type { Logger } from '../../foundation/log.ts'
import { systemClock, type Clock } from '../../foundation/time.ts'
import type { Storage } from '../storage.ts'
import { createAuthenticate, type AccessKey, type Authenticated } from './authenticate.ts'
import { faultOf, sendError } from './error-answer.ts'
import type { DataAction, OperationContext, Place } from './operation.ts'
import { findOperation } from './operations.ts'
import { readPayload } from './payload.ts'
import { readTarget, type RequestTarget } from './request-target.ts'
import { answerSts, isForSts, type StsPort } from './sts-face.ts'

/** Identity's Subject, or whatever the permit understands. */
export interface S3Subject {
  id: string
}

export interface S3Options<Subject extends S3Subject> {
  storage: Storage
  /** The secret and the owner of an access key; undefined if it is unknown, expired or revoked. */
  accessKey(id: string): AccessKey<Subject> | undefined | Promise<AccessKey<Subject> | undefined>
  /** Absent: there is no STS at this address. */
  sts?: StsPort<Subject>
  /** Throws a Fault 403 unless the subject may. There is no other way in: without a permit nothing is allowed. */
  permit(subject: Subject, action: DataAction, place: Place): void
  /**
   * Asked once the signature is known to be right: waits for the key's turn, `false` if its client went away meanwhile.
   * Throws 'storage.slow_down' when it has too much under way.
   */
  admit?(accessKeyId: string, request: IncomingMessage, response: ServerResponse): Promise<boolean>
  /** Hears of each rightly signed request that was denied; `place`: bucket, or bucket and key. */
  denied?(subject: Subject, request: IncomingMessage, place: string): void
  log: Logger
  /** What GetBucketLocation says; signatures of every region are accepted. */
  region: string
  /** Host names below which `<bucket>.<host>` names a bucket; path-style always works. */
  hosts?: readonly string[]
  clock?: Clock
}

export interface S3Handler {
  (request: IncomingMessage, response: ServerResponse): void
  /** For the server's 'checkContinue' event: refusals are said before the body is sent. */
  checkContinue(request: IncomingMessage, response: ServerResponse): void
}

/** One handler for any number of connections. */
export function createS3Handler<Subject extends S3Subject>(options: S3Options<Subject>): S3Handler {
  const { storage, permit, log, region } = options
  const hosts = (options.hosts ?? []).map((host) => host.replace(/:\d+$/, '').toLowerCase())
  const authenticate = createAuthenticate<Subject>({
    accessKey: options.accessKey,
    clock: options.clock ?? systemClock(),
  })

  async function answer(request: IncomingMessage, response: ServerResponse, wantsContinue: boolean): Promise<void> {
    const requestId = uuid7()
    response.setHeader('x-amz-request-id', requestId)
    response.setHeader('server', 'cygnet')
    // Bytes of other people come from this origin: no browser may run them.
    response.setHeader('x-content-type-options', 'nosniff')
    response.setHeader('content-security-policy', 'sandbox')
    request.on('error', () => {})
    const resource = (request.url ?? '').split('?', 1)[0]!
    let known: { subject: Subject; place: string } | undefined
    try {
      const target = readTarget(request, hosts)
      if (options.sts !== undefined && isForSts(target)) {
        if (wantsContinue) response.writeContinue()
        return await answerSts({ request, response, target, requestId, port: options.sts, authenticate })
      }
      const who = await authenticate(target)
      known = { subject: who.subject, place: [target.bucket, target.key].filter(Boolean).join('/') }
      if (options.admit && !(await options.admit(who.accessKeyId, request, response))) return
      const context = contextOf({ request, response, target, who, requestId, wantsContinue })
      await findOperation(target).run(context)
      if (!request.complete) finishReading(request)
    } catch (error) {
      if (request.destroyed && !request.complete) {
        log.debug({ requestId, method: request.method, path: resource }, 's3 client went away')
        response.destroy()
        return
      }
      const fault = faultOf(error, log, requestId)
      if (known !== undefined && fault.status === 403) options.denied?.(known.subject, request, known.place)
      const level = fault.status >= 500 ? 'warn' : 'debug'
      log[level](
        {
          requestId,
          method: request.method,
          path: resource,
          code: fault.code,
          status: fault.status,
          detail: fault.detail,
        },
        's3 refusal',
      )
      sendError(request, response, fault, resource, requestId)
    }
  }

  function contextOf(given: {
    request: IncomingMessage
    response: ServerResponse
    target: RequestTarget
    who: Authenticated<Subject>
    requestId: string
    wantsContinue: boolean
  }): OperationContext {
    const { request, response, target, who, requestId } = given
    const allowPlace = (action: DataAction, place: Place) => permit(who.subject, action, place)
    const context: OperationContext = {
      storage,
      region,
      log,
      requestId,
      target,
      bucketName: target.bucket ?? '',
      key: target.key ?? '',
      subjectId: who.subject.id,
      request,
      response,
      query: (name) => target.query.find(([each]) => each === name)?.[1],
      header: (name) => target.headers.get(name),
      allow(action, { bucket, ...where }) {
        const { experiment, name, purpose } = bucket
        allowPlace(action, { experiment, bucket: name, purpose, ...where })
      },
      may(action, place) {
        try {
          context.allow(action, place)
          return true
        } catch (error) {
          if (error instanceof Fault && (error.status === 403 || error.status === 401)) return false
          throw error
        }
      },
      allowNew: (place) => allowPlace('experiment.admin', place),
      payload: () =>
        readPayload(request, target, who, () => {
          if (given.wantsContinue) response.writeContinue()
        }),
      send(status, headers, body = '') {
        response.writeHead(status, {
          ...headers,
          ...(status === 204 ? {} : { 'content-length': Buffer.byteLength(body) }),
        })
        response.end(request.method === 'HEAD' ? undefined : body)
      },
    }
    return context
  }

  const handler = (request: IncomingMessage, response: ServerResponse) => void answer(request, response, false)
  return Object.assign(handler, {
    checkContinue: (request: IncomingMessage, response: ServerResponse) => void answer(request, response, true),
  })
}

/** A body that the operation had no use for must not be taken for the next request. */
function finishReading(request: IncomingMessage): void {
  request.resume()
}

/**
 * A server with the limits an S3 face needs: small headers, no end to an upload that moves, an end to one that does
 * not. Several servers may share one handler.
 */
export function createS3Server<Subject extends S3Subject>(given: S3Handler | S3Options<Subject>): Server {
  const handler = typeof given === 'function' ? given : createS3Handler(given)
  const server = createServer({
    maxHeaderSize: 16 * 1024,
    headersTimeout: 10_000,
    requestTimeout: 0,
    keepAliveTimeout: 65_000,
    noDelay: true,
  })
  server.maxHeadersCount = 200
  server.timeout = 120_000
  server.on('request', handler)
  server.on('checkContinue', handler.checkContinue)
  return server
}
