/** Errors as S3 clients know them: a code, a message, the request's id. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import { Fault } from '../../foundation/errors.ts'
import type { Logger } from '../../foundation/log.ts'
import { storageFaults } from '../errors.ts'
import { xmlDocument } from './xml.ts'

/** Codes that are not our name in another case. */
const spelling: Record<string, string> = {
  malformed_xml: 'MalformedXML',
  malformed_acl_error: 'MalformedACLError',
  invalid_uri: 'InvalidURI',
  x_amz_content_sha256_mismatch: 'XAmzContentSHA256Mismatch',
  no_such_cors_configuration: 'NoSuchCORSConfiguration',
  object_exists: 'AccessDenied',
  no_posix_path: 'InvalidRequest',
  device_failed: 'InternalError',
  damaged_object: 'InternalError',
  damaged_index: 'InternalError',
  read_only: 'ServiceUnavailable',
  file_changed: 'OperationAborted',
  unsupported_file_system: 'InternalError',
}

export function s3CodeOf(fault: Fault): string {
  const [room, name = ''] = fault.code.split('.')
  if (room === 'storage')
    return spelling[name] ?? name.replace(/(?:^|_)([a-z0-9])/g, (_all, letter: string) => letter.toUpperCase())
  if (fault.status === 401 || fault.status === 403) return 'AccessDenied'
  if (fault.status === 429 || fault.status === 503) return 'SlowDown'
  return fault.status < 500 ? 'InvalidRequest' : 'InternalError'
}

/** Anything thrown as a Fault; what is none is logged and hidden. */
export function faultOf(error: unknown, log: Logger, requestId: string): Fault {
  if (error instanceof Fault) {
    // Refusals of other rooms (who may do what) keep their words; the status of S3 for "may not" is always 403.
    return error.status === 401 ? storageFaults.accessDenied(error.detail, { cause: error }) : error
  }
  log.error({ error, requestId }, 's3 request failed')
  return storageFaults.internalError('Something went wrong on our side; the log of the gateway has it.', {
    cause: error,
  })
}

export function errorXml(fault: Fault, resource: string, requestId: string): string {
  return xmlDocument(
    'Error',
    {
      Code: s3CodeOf(fault),
      Message: fault.hint === undefined ? fault.detail : `${fault.detail} ${fault.hint}`,
      Resource: resource,
      RequestId: requestId,
      HostId: 'cygnet',
    },
    false,
  )
}

const drainedBytes = 1024 * 1024
const drainMs = 2000

/**
 * Answers with the error. If the body of the request has not been read, the connection ends with this answer; what is
 * already on its way is read for a moment, because a client that is still sending would lose the answer to a reset.
 */
export function sendError(
  request: IncomingMessage,
  response: ServerResponse,
  fault: Fault,
  resource: string,
  requestId: string,
): void {
  if (response.headersSent) {
    // Too late to say it: cutting the connection is the only way not to pass the part off as the whole.
    response.destroy()
    return
  }
  const isUnread = !request.complete
  const body = fault.status === 304 || request.method === 'HEAD' ? '' : errorXml(fault, resource, requestId)
  response.writeHead(fault.status, {
    ...(body === '' ? {} : { 'content-type': 'application/xml', 'content-length': Buffer.byteLength(body) }),
    ...(isUnread ? { connection: 'close' } : {}),
    ...(fault.retry && fault.status === 503 ? { 'retry-after': '2' } : {}),
  })
  response.end(body)
  if (isUnread) drain(request)
}

function drain(request: IncomingMessage): void {
  let left = drainedBytes
  const end = () => request.destroy()
  const timer = setTimeout(end, drainMs)
  timer.unref()
  request.on('data', (chunk: Buffer) => {
    left -= chunk.length
    if (left < 0) end()
  })
  request.once('close', () => clearTimeout(timer))
  request.on('error', () => {})
  request.resume()
}
