import { storageFaults } from '../errors.ts'
import type { ObjectRow } from '../model.ts'
import { sendXml, type Operation, type OperationContext } from './operation.ts'
import { encodeForSignature } from './signature.ts'
import { escapeXml, xmlHead } from './xml.ts'

/** How names are written: as they are, or percent-encoded for clients that asked for it. */
export function nameWriter(context: OperationContext): (name: string) => string {
  const encoding = context.query('encoding-type')
  if (encoding === undefined || encoding === '') return escapeXml
  if (encoding !== 'url') throw storageFaults.invalidArgument('encoding-type can only be url.')
  return (name) => name.split('/').map(encodeForSignature).join('/')
}

/** 'max-keys' and its like: 0 to 1000, more counts as 1000. */
export function limitOf(context: OperationContext, name: string): number {
  const text = context.query(name)
  if (text === undefined || text === '') return 1000
  if (!/^\d{1,10}$/.test(text)) throw storageFaults.invalidArgument(`${name} is not a number between 0 and 2147483647.`)
  return Math.min(Number(text), 1000)
}

function contents(rows: readonly ObjectRow[], write: (name: string) => string): string {
  let text = ''
  for (const { key, modifiedMs, etag, sizeBytes } of rows) {
    text += `<Contents><Key>${write(key)}</Key><LastModified>${new Date(modifiedMs).toISOString()}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Contents>`
  }
  return text
}

const element = (name: string, value: string | number | boolean | undefined) =>
  value === undefined ? '' : `<${name}>${value}</${name}>`

interface Answer {
  markers: string
  listing: Awaited<ReturnType<OperationContext['storage']['listObjects']>>
  limit: number
}

async function list(
  context: OperationContext,
  after: string,
  page: (answer: Omit<Answer, 'markers'>, write: (name: string) => string) => string,
): Promise<void> {
  const bucket = context.storage.headBucket(context.bucketName)
  const prefix = context.query('prefix') ?? ''
  const delimiter = context.query('delimiter') ?? ''
  context.allow('data.read', { bucket, key: prefix, listing: true })
  const write = nameWriter(context)
  const limit = limitOf(context, 'max-keys')
  const listing = await context.storage.listObjects({ bucket: bucket.name, prefix, delimiter, after, limit })
  const encoding = context.query('encoding-type')
  sendXml(
    context,
    `${xmlHead}<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">` +
      element('Name', bucket.name) +
      element('Prefix', write(prefix)) +
      page({ listing, limit }, write) +
      element('MaxKeys', limit) +
      (delimiter === '' ? '' : element('Delimiter', write(delimiter))) +
      (encoding === undefined ? '' : element('EncodingType', encoding)) +
      element('IsTruncated', listing.next !== undefined) +
      contents(listing.objects, write) +
      listing.prefixes.map((one) => `<CommonPrefixes><Prefix>${write(one)}</Prefix></CommonPrefixes>`).join('') +
      '</ListBucketResult>',
  )
}

export const listObjectsV1: Operation = {
  name: 'ListObjects',
  method: 'GET',
  on: 'bucket',
  async run(context) {
    const marker = context.query('marker') ?? ''
    await list(context, marker, ({ listing }, write) => {
      return (
        element('Marker', write(marker)) +
        (listing.next === undefined ? '' : element('NextMarker', write(listing.next)))
      )
    })
  },
}

export const listObjectsV2: Operation = {
  name: 'ListObjectsV2',
  method: 'GET',
  on: 'bucket',
  query: ['list-type'],
  async run(context) {
    if (context.query('list-type') !== '2') throw storageFaults.invalidArgument('list-type can only be 2.')
    const token = context.query('continuation-token')
    const startAfter = context.query('start-after')
    const after = token === undefined ? (startAfter ?? '') : readToken(token, context.bucketName)
    await list(context, after, ({ listing }, write) => {
      const next = listing.next === undefined ? undefined : writeToken(listing.next, context.bucketName)
      return (
        (token === undefined ? '' : element('ContinuationToken', escapeXml(token))) +
        (startAfter === undefined ? '' : element('StartAfter', write(startAfter))) +
        element('NextContinuationToken', next) +
        element('KeyCount', listing.objects.length + listing.prefixes.length)
      )
    })
  },
}

/** Opaque to the client, and of one bucket only. */
function writeToken(after: string, bucket: string): string {
  return Buffer.from(JSON.stringify([bucket, after])).toString('base64url')
}

function readToken(token: string, bucket: string): string {
  try {
    const [of, after] = JSON.parse(Buffer.from(token, 'base64url').toString('utf8')) as unknown[]
    if (of === bucket && typeof after === 'string') return after
  } catch {
    // Said below.
  }
  throw storageFaults.invalidArgument('The continuation token is not one of this bucket.')
}
