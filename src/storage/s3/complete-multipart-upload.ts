import { checksumNames } from '../checksums.ts'
import { storageFaults } from '../errors.ts'
import type { CompletePart } from '../complete-upload.ts'
import type { Stored } from '../model.ts'
import { errorXml, faultOf } from './error-answer.ts'
import { readXml, type Operation, type OperationContext } from './operation.ts'
import { rulesOf } from './put-object.ts'
import { childText, xmlDocument, xmlHead } from './xml.ts'

const maxBodyBytes = 8 * 1024 * 1024
/** A client that hears nothing for longer gives up. */
const sayAliveMs = 10_000

export const completeMultipartUpload: Operation = {
  name: 'CompleteMultipartUpload',
  method: 'POST',
  on: 'object',
  query: ['uploadId'],
  async run(context) {
    const rules = rulesOf(context)
    const { storage, key } = context
    const address = { bucket: context.bucketName, key, uploadId: context.query('uploadId') ?? '' }
    await checkOwner(context, address.uploadId)
    const parts = await partsOf(context)
    const checksum = checksumNames.flatMap((algorithm) => {
      const value = context.header(`x-amz-checksum-${algorithm}`)
      return value === undefined ? [] : [{ algorithm, value }]
    })[0]
    const size = context.header('x-amz-mp-object-size')
    const completing = storage.completeUpload({
      ...address,
      ...rules,
      parts,
      ...(checksum === undefined ? {} : { checksum }),
      ...(size === undefined ? {} : { sizeBytes: Number(size) }),
    })
    await answerWhenDone(context, completing)
  },
}

/** Somebody else's upload needs the right to modify; one that has gone may have been completed by a request before. */
async function checkOwner(context: OperationContext, uploadId: string): Promise<void> {
  const bucket = context.storage.headBucket(context.bucketName)
  const upload = await context.storage
    .headUpload({ bucket: bucket.name, key: context.key, uploadId })
    .catch(() => undefined)
  if (upload !== undefined && upload.ownerId !== context.subjectId)
    context.allow('data.modify', { bucket, key: context.key })
}

async function partsOf(context: OperationContext): Promise<CompletePart[]> {
  const document = await readXml(context, maxBodyBytes)
  if (document.name !== 'CompleteMultipartUpload')
    throw storageFaults.malformedXml('The body is not a CompleteMultipartUpload.')
  return document.children
    .filter((child) => child.name === 'Part')
    .map((part) => {
      const number = childText(part, 'PartNumber')?.trim() ?? ''
      const etag = childText(part, 'ETag')
        ?.trim()
        .replace(/^"(.*)"$/, '$1')
      if (!/^\d{1,5}$/.test(number) || etag === undefined)
        throw storageFaults.malformedXml('A part has no number or no ETag.')
      const checksum = checksumNames
        .map((name) => childText(part, `Checksum${name.toUpperCase()}`))
        .find((value) => value !== undefined)
      return { number: Number(number), etag, ...(checksum === undefined ? {} : { checksum }) }
    })
}

/** Long copies are bridged with white space in front of the document; from then on an error can only be said inside it. */
async function answerWhenDone(context: OperationContext, completing: Promise<Stored>): Promise<void> {
  const { response } = context
  let hasBegun = false
  const timer = setInterval(() => {
    if (!hasBegun) {
      response.writeHead(200, { 'content-type': 'application/xml' })
      response.write(xmlHead)
    } else response.write(' ')
    hasBegun = true
  }, sayAliveMs)
  try {
    const document = resultOf(context, await completing)
    if (hasBegun) response.end(document.slice(xmlHead.length))
    else context.send(200, { 'content-type': 'application/xml' }, document)
  } catch (error) {
    if (!hasBegun) throw error
    const fault = faultOf(error, context.log, context.requestId)
    response.end(errorXml(fault, context.target.path, context.requestId).slice(xmlHead.length))
  } finally {
    clearInterval(timer)
  }
}

function resultOf(context: OperationContext, stored: Stored): string {
  const { checksum } = stored
  return xmlDocument('CompleteMultipartUploadResult', {
    Location: `/${context.bucketName}/${context.key}`,
    Bucket: context.bucketName,
    Key: context.key,
    ETag: `"${stored.etag}"`,
    ...(checksum === undefined
      ? {}
      : { [`Checksum${checksum.algorithm.toUpperCase()}`]: checksum.value, ChecksumType: checksum.type }),
  })
}
