import { randomBytes } from 'node:crypto'
import { readSync } from 'node:fs'
import type { ServerResponse } from 'node:http'
import { storageFaults } from '../errors.ts'
import { readAt } from '../file-reader.ts'
import type { ByteRange, ObjectInfo, OpenObject } from '../model.ts'
import { parseRanges } from './byte-ranges.ts'
import { checkConditions, matches } from './conditions.ts'
import { headersOf } from './object-headers.ts'
import type { Operation, OperationContext } from './operation.ts'

/** Smaller than this is read at once: a trip to the thread pool costs more than the read. */
const smallBytes = 64 * 1024
const chunkBytes = 512 * 1024

export const getObject: Operation = {
  name: 'GetObject',
  method: 'GET',
  on: 'object',
  async run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    context.allow('data.read', { bucket, key: context.key })
    checkVersion(context)
    const object = context.storage.openObject(bucket.name, context.key)
    try {
      const { info } = object
      checkConditions(context.header, info)
      const ranges = rangesOf(context, info)
      if (ranges === undefined) await sendWhole(context, object)
      else if (ranges.length === 1) await sendOne(context, object, ranges[0]!)
      else await sendMany(context, object, ranges)
    } finally {
      object.close()
    }
  },
}

/** Of a GET or HEAD: by Range (unless If-Range names other content), or by the number of a part. */
export function rangesOf(context: OperationContext, info: ObjectInfo): ByteRange[] | undefined {
  const part = context.query('partNumber')
  if (part !== undefined) {
    if (context.header('range') !== undefined)
      throw storageFaults.invalidRequest('Range and partNumber cannot be given together.')
    return partRange(part, info)
  }
  const ifRange = context.header('if-range')
  if (ifRange !== undefined && !matches(ifRange, info.etag)) return undefined
  return parseRanges(context.header('range'), info.sizeBytes)
}

function partRange(text: string, info: ObjectInfo): ByteRange[] | undefined {
  const number = Number(text)
  const sizes = info.partSizes ?? [info.sizeBytes]
  if (!/^\d{1,5}$/.test(text) || number < 1)
    throw storageFaults.invalidArgument('A part number is between 1 and 10000.')
  if (number > sizes.length) throw storageFaults.invalidPartNumber(`The object has ${sizes.length} parts.`)
  if (info.sizeBytes === 0) return undefined
  const start = sizes.slice(0, number - 1).reduce((sum, size) => sum + size, 0)
  return [{ start, end: start + sizes[number - 1]! - 1 }]
}

/** Without versioning the only version is "null". */
export function checkVersion(context: OperationContext): void {
  const version = context.query('versionId')
  if (version !== undefined && version !== '' && version !== 'null')
    throw storageFaults.noSuchVersion(`There is no version '${version.slice(0, 64)}'.`)
}

export function partsHeader(context: OperationContext, info: ObjectInfo): Record<string, number> {
  return context.query('partNumber') === undefined || info.partSizes === undefined
    ? {}
    : { 'x-amz-mp-parts-count': info.partSizes.length }
}

async function sendWhole(context: OperationContext, { info, fd }: OpenObject): Promise<void> {
  context.response.writeHead(200, { ...headersOf(context, info, true), 'content-length': info.sizeBytes })
  await sendBytes(context.response, fd, { start: 0, end: info.sizeBytes - 1 })
  context.response.end()
}

async function sendOne(context: OperationContext, { info, fd }: OpenObject, range: ByteRange): Promise<void> {
  context.response.writeHead(206, {
    ...headersOf(context, info, false),
    ...partsHeader(context, info),
    'content-range': `bytes ${range.start}-${range.end}/${info.sizeBytes}`,
    'content-length': range.end - range.start + 1,
  })
  await sendBytes(context.response, fd, range)
  context.response.end()
}

/** multipart/byteranges (RFC 9110 section 14.6), ranges unmerged and in the order asked for: ROOT and uproot read baskets so. */
async function sendMany(
  context: OperationContext,
  { info, fd }: OpenObject,
  ranges: readonly ByteRange[],
): Promise<void> {
  const boundary = randomBytes(16).toString('hex')
  const headers = headersOf(context, info, false)
  const head = (range: ByteRange) =>
    `\r\n--${boundary}\r\nContent-Type: ${headers['content-type']}\r\nContent-Range: bytes ${range.start}-${range.end}/${info.sizeBytes}\r\n\r\n`
  const tail = `\r\n--${boundary}--\r\n`
  const sizeBytes = ranges.reduce(
    (sum, range) => sum + Buffer.byteLength(head(range)) + range.end - range.start + 1,
    Buffer.byteLength(tail),
  )
  context.response.writeHead(206, {
    ...headers,
    'content-type': `multipart/byteranges; boundary=${boundary}`,
    'content-length': sizeBytes,
  })
  for (const range of ranges) {
    context.response.write(head(range))
    await sendBytes(context.response, fd, range)
  }
  context.response.end(tail)
}

/** With backpressure; a file that became shorter cuts the connection, because its length has been promised. */
async function sendBytes(response: ServerResponse, fd: number, range: ByteRange): Promise<void> {
  const sizeBytes = range.end - range.start + 1
  if (sizeBytes <= 0) return
  if (sizeBytes <= smallBytes) {
    const bytes = Buffer.allocUnsafe(sizeBytes)
    if (readSync(fd, bytes, 0, sizeBytes, range.start) !== sizeBytes)
      throw storageFaults.fileChanged('The file became shorter while it was read.')
    response.write(bytes)
    return
  }
  // Two buffers take turns: one is read into while the other goes out.
  const buffers = [
    Buffer.allocUnsafe(Math.min(chunkBytes, sizeBytes)),
    Buffer.allocUnsafe(Math.min(chunkBytes, sizeBytes)),
  ] as const
  let sending: Promise<void> = Promise.resolve()
  for (let at = range.start, turn = 0; at <= range.end; turn ^= 1) {
    const buffer = buffers[turn as 0 | 1]
    const chunk = await readAt(fd, buffer.subarray(0, Math.min(buffer.length, range.end - at + 1)), at)
    if (chunk.length === 0) throw storageFaults.fileChanged('The file became shorter while it was read.')
    at += chunk.length
    await sending
    if (response.destroyed) return
    sending = sent(response, chunk)
  }
  await sending
}

/** Resolves when the bytes have left, or the client has. */
async function sent(response: ServerResponse, chunk: Buffer): Promise<void> {
  await new Promise<void>((resolve) => {
    const done = () => {
      response.off('close', done)
      resolve()
    }
    response.on('close', done)
    response.write(chunk, done)
  })
}
