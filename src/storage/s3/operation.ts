/** What every S3 operation is given, and what it is: a row of the table in operations.ts and a file of its own. */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Logger } from '../../foundation/log.ts'
import type { Bucket } from '../model.ts'
import type { Storage } from '../storage.ts'
import { readWhole, type Payload } from './payload.ts'
import type { RequestTarget } from './request-target.ts'
import { parseXml, type XmlElement } from './xml.ts'

export type DataAction = 'data.read' | 'data.create' | 'data.modify' | 'experiment.admin'

export interface Place {
  experiment: string
  bucket: string
  purpose: Bucket['purpose']
  key?: string
  /** `key` is the beginning of names, and everything that begins so is asked for. */
  listing?: boolean
}

export interface OperationContext {
  storage: Storage
  region: string
  log: Logger
  requestId: string
  target: RequestTarget
  /** '' for operations on the service. */
  bucketName: string
  /** '' for operations on a bucket. */
  key: string
  /** Who asks, for uploads that belong to somebody. */
  subjectId: string
  request: IncomingMessage
  response: ServerResponse
  /** First value of a query parameter. */
  query(name: string): string | undefined
  header(name: string): string | undefined
  /** Throws unless the caller may do this with the key (or prefix) in the bucket. */
  allow(action: DataAction, place: { bucket: Bucket; key?: string; listing?: boolean }): void
  may(action: DataAction, place: { bucket: Bucket; key?: string; listing?: boolean }): boolean
  /** The same for a bucket that does not exist yet. */
  allowNew(place: Place): void
  payload(): Payload
  send(status: number, headers: Record<string, string | number>, body?: string): void
}

export interface Operation {
  name: string
  method: 'GET' | 'PUT' | 'POST' | 'DELETE' | 'HEAD'
  on: 'service' | 'bucket' | 'object'
  /** A query parameter, all of which must be there. */
  query?: readonly string[]
  /** A header that must be there. */
  header?: string
  run(context: OperationContext): Promise<void> | void
}

export function sendXml(context: OperationContext, body: string, headers: Record<string, string> = {}): void {
  context.send(200, { 'content-type': 'application/xml', ...headers }, body)
}

export async function readXml(context: OperationContext, maxBytes: number): Promise<XmlElement> {
  return parseXml((await readWhole(context.payload(), maxBytes)).toString('utf8'))
}
