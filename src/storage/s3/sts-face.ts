/**
 * STS on the address of S3, where tools look for it: AssumeRoleWithWebIdentity goes on to control, which knows tokens;
 * GetCallerIdentity is answered here. Parameters come in a form, in the query string, or both; nothing of them is logged.
 */
import { createHash } from 'node:crypto'
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from '../../foundation/errors.ts'
import { clientAddressOf } from '../../foundation/http-guard.ts'
import type { Authenticated, SignedFor } from './authenticate.ts'
import { s3CodeOf } from './error-answer.ts'
import type { RequestTarget } from './request-target.ts'
import { xmlDocument } from './xml.ts'

export interface StsPort<Subject> {
  /** Status and XML. */
  assumeRole(request: {
    parameters: Readonly<Record<string, string>>
    address: string
    requestId: string
  }): Promise<{ status: number; body: string }>
  callerOf(subject: Subject): { account: string; arn: string; userId: string }
}

/** A token of 8 KiB and a policy of 2 KiB, both escaped as badly as possible. */
const longestBodyBytes = 48 * 1024
const namespace = 'https://sts.amazonaws.com/doc/2011-06-15/'

/** S3 itself has nothing that is POSTed to the service. */
export function isForSts({ method, bucket }: RequestTarget): boolean {
  return method === 'POST' && bucket === undefined
}

export async function answerSts<Subject>(given: {
  request: IncomingMessage
  response: ServerResponse
  target: RequestTarget
  requestId: string
  port: StsPort<Subject>
  authenticate: (target: RequestTarget, other: SignedFor) => Promise<Authenticated<Subject>>
}): Promise<void> {
  const { request, target, requestId, port } = given
  try {
    const body = await readBody(request)
    if (body === undefined)
      return send(given.response, 413, errorXml('RequestEntityTooLarge', 'The request is too long.', requestId), true)
    const parameters = parametersOf(target, body)
    if (parameters === undefined)
      return send(given.response, 400, errorXml('InvalidParameterValue', 'A parameter is there twice.', requestId))
    if (parameters['Action'] === 'GetCallerIdentity') {
      const payloadHash = createHash('sha256').update(body).digest('hex')
      const who = await given.authenticate(target, { service: 'sts', payloadHash })
      return send(given.response, 200, callerXml(port.callerOf(who.subject), requestId))
    }
    const { status, body: answer } = await port.assumeRole({ parameters, address: clientAddressOf(request), requestId })
    return send(given.response, status, answer)
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    const code = error.code === 'storage.invalid_access_key_id' ? 'InvalidClientTokenId' : s3CodeOf(error)
    return send(given.response, error.status, errorXml(code, error.detail, requestId))
  }
}

/** undefined: too long. */
async function readBody(request: IncomingMessage): Promise<Buffer | undefined> {
  const chunks: Buffer[] = []
  let length = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    length += chunk.length
    if (length > longestBodyBytes) return undefined
    chunks.push(chunk)
  }
  return Buffer.concat(chunks)
}

/** undefined: one is there twice. */
function parametersOf(target: RequestTarget, body: Buffer): Record<string, string> | undefined {
  const isForm = (target.headers.get('content-type') ?? '').startsWith('application/x-www-form-urlencoded')
  const pairs = [...target.query, ...(isForm ? new URLSearchParams(body.toString('utf8')) : [])]
  const parameters = Object.fromEntries(pairs)
  return Object.keys(parameters).length === pairs.length ? parameters : undefined
}

function callerXml({ account, arn, userId }: ReturnType<StsPort<never>['callerOf']>, requestId: string): string {
  const result = { Arn: arn, UserId: userId, Account: account }
  const content = { GetCallerIdentityResult: result, ResponseMetadata: { RequestId: requestId } }
  return inNamespace(xmlDocument('GetCallerIdentityResponse', content, false), 'GetCallerIdentityResponse')
}

function errorXml(code: string, message: string, requestId: string): string {
  const content = { Error: { Type: 'Sender', Code: code, Message: message }, RequestId: requestId }
  return inNamespace(xmlDocument('ErrorResponse', content, false), 'ErrorResponse')
}

function inNamespace(document: string, root: string): string {
  return document.replace(`<${root}>`, `<${root} xmlns="${namespace}">`)
}

function send(response: ServerResponse, status: number, body: string, isUnread = false): void {
  response.writeHead(status, {
    'content-type': 'text/xml',
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
    ...(isUnread && { connection: 'close' }),
  })
  response.end(body)
}
