/** Headers of objects, both ways. */
import { storageFaults } from '../errors.ts'
import type { ContentHeader, ObjectDescription, ObjectInfo } from '../model.ts'
import type { OperationContext } from './operation.ts'

const contentHeaders: readonly ContentHeader[] = [
  'cache-control',
  'content-disposition',
  'content-encoding',
  'content-language',
  'expires',
]
const maxUserMetadataBytes = 2048

/** What the client says about an object it sends. Throws for what would be promised and not kept. */
export function descriptionOf(context: OperationContext): ObjectDescription {
  refuseUnsupported(context)
  const { headers } = context.target
  const kept: ObjectDescription['headers'] = {}
  for (const name of contentHeaders) {
    const value = headers.get(name)
    if (value !== undefined) kept[name] = value
  }
  const encoding = kept['content-encoding']
  if (encoding !== undefined) {
    // The framing of the upload is not a property of the object.
    const rest = encoding
      .split(',')
      .map((token) => token.trim())
      .filter((token) => token !== '' && token !== 'aws-chunked')
    if (rest.length === 0) delete kept['content-encoding']
    else kept['content-encoding'] = rest.join(',')
  }
  const userMetadata: Record<string, string> = {}
  let sizeBytes = 0
  for (const [name, value] of headers) {
    if (!name.startsWith('x-amz-meta-')) continue
    const short = name.slice('x-amz-meta-'.length)
    sizeBytes += short.length + value.length
    userMetadata[short] = value
  }
  if (sizeBytes > maxUserMetadataBytes)
    throw storageFaults.metadataTooLarge(`The user metadata has ${sizeBytes} bytes.`)
  const contentType = headers.get('content-type')
  return { headers: kept, userMetadata, ...(contentType === undefined || contentType === '' ? {} : { contentType }) }
}

const unsupported: Record<string, string> = {
  'x-amz-server-side-encryption': 'Server-side encryption',
  'x-amz-server-side-encryption-customer-algorithm': 'Encryption with a customer key',
  'x-amz-object-lock-mode': 'Object lock',
  'x-amz-object-lock-legal-hold': 'Object lock',
  'x-amz-tagging': 'Tagging',
  'x-amz-website-redirect-location': 'Website redirection',
  'x-amz-write-offset-bytes': 'Appending',
}

function refuseUnsupported({ target }: OperationContext): void {
  for (const [name, feature] of Object.entries(unsupported)) {
    if (target.headers.has(name)) throw storageFaults.notImplemented(`${feature} is not implemented (${name}).`)
  }
  const acl = target.headers.get('x-amz-acl')
  if (acl !== undefined && acl !== 'private' && acl !== 'bucket-owner-full-control') {
    throw storageFaults.accessControlListNotSupported(`The canned ACL '${acl.slice(0, 40)}' is not supported.`)
  }
  const storageClass = target.headers.get('x-amz-storage-class')
  if (storageClass !== undefined && storageClass !== 'STANDARD')
    throw storageFaults.invalidStorageClass(`There is no storage class '${storageClass.slice(0, 40)}' here.`)
}

/** What the store says about an object. Checksums are given when asked for, of whole objects only. */
export function headersOf(
  context: OperationContext,
  info: ObjectInfo,
  isWhole: boolean,
): Record<string, string | number> {
  const headers: Record<string, string | number> = {
    etag: `"${info.etag}"`,
    'last-modified': new Date(info.modifiedMs).toUTCString(),
    'accept-ranges': 'bytes',
    'content-type': info.contentType,
    ...info.headers,
  }
  for (const [name, value] of Object.entries(info.userMetadata)) headers[`x-amz-meta-${name}`] = value
  if (isWhole && context.header('x-amz-checksum-mode')?.toUpperCase() === 'ENABLED')
    Object.assign(headers, checksumHeaders(info))
  for (const [name, value] of context.target.query) {
    const overridden = overrides[name]
    // oxlint-disable-next-line no-control-regex
    if (overridden !== undefined && !/[\u0000-\u001f\u007f]/.test(value)) headers[overridden] = latin1(value)
  }
  return headers
}

const overrides: Record<string, string> = {
  'response-content-type': 'content-type',
  'response-content-language': 'content-language',
  'response-expires': 'expires',
  'response-cache-control': 'cache-control',
  'response-content-disposition': 'content-disposition',
  'response-content-encoding': 'content-encoding',
}

export function checksumHeaders({ checksum, sha256 }: Pick<ObjectInfo, 'checksum' | 'sha256'>): Record<string, string> {
  if (checksum !== undefined)
    return { [`x-amz-checksum-${checksum.algorithm}`]: checksum.value, 'x-amz-checksum-type': checksum.type }
  if (sha256 === undefined) return {}
  return {
    'x-amz-checksum-sha256': Buffer.from(sha256, 'hex').toString('base64'),
    'x-amz-checksum-type': 'FULL_OBJECT',
  }
}

/** Node sends header values one byte per character: UTF-8 is given as its bytes. */
function latin1(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}
