/** The table of operations: the first row whose method, target, query and header fit is the operation. */
import { storageFaults } from '../errors.ts'
import { abortMultipartUpload } from './abort-multipart-upload.ts'
import { bucketSettings } from './bucket-settings.ts'
import { completeMultipartUpload } from './complete-multipart-upload.ts'
import { copyObject } from './copy-object.ts'
import { createBucketOperation } from './create-bucket.ts'
import { createMultipartUpload } from './create-multipart-upload.ts'
import { deleteBucketOperation } from './delete-bucket.ts'
import { deleteObject } from './delete-object.ts'
import { deleteObjects } from './delete-objects.ts'
import { getBucketLocation } from './get-bucket-location.ts'
import { getObject } from './get-object.ts'
import { headBucket } from './head-bucket.ts'
import { headObject } from './head-object.ts'
import { listBuckets } from './list-buckets.ts'
import { listMultipartUploads } from './list-multipart-uploads.ts'
import { listObjectVersions } from './list-object-versions.ts'
import { listObjectsV1, listObjectsV2 } from './list-objects.ts'
import { listPartsOperation } from './list-parts.ts'
import type { Operation } from './operation.ts'
import { putObjectOperation } from './put-object.ts'
import type { RequestTarget } from './request-target.ts'
import { uploadPartCopy } from './upload-part-copy.ts'
import { uploadPart } from './upload-part.ts'

const operations: readonly Operation[] = [
  listBuckets,
  getBucketLocation,
  listObjectVersions,
  listMultipartUploads,
  listObjectsV2,
  ...bucketSettings,
  listObjectsV1,
  createBucketOperation,
  deleteBucketOperation,
  headBucket,
  deleteObjects,
  listPartsOperation,
  uploadPartCopy,
  uploadPart,
  completeMultipartUpload,
  createMultipartUpload,
  abortMultipartUpload,
  getObject,
  headObject,
  copyObject,
  putObjectOperation,
  deleteObject,
]

/** Sub-resources of S3 that change what a request means: without an operation of their own they are refused, never ignored. */
const subresources = new Set([
  'accelerate',
  'acl',
  'analytics',
  'append',
  'attributes',
  'cors',
  'delete',
  'encryption',
  'intelligent-tiering',
  'inventory',
  'legal-hold',
  'lifecycle',
  'location',
  'logging',
  'metrics',
  'notification',
  'object-lock',
  'ownershipControls',
  'partNumber',
  'policy',
  'policyStatus',
  'publicAccessBlock',
  'renameObject',
  'replication',
  'requestPayment',
  'restore',
  'retention',
  'select',
  'session',
  'tagging',
  'torrent',
  'uploadId',
  'uploads',
  'versioning',
  'versions',
  'website',
])

export function findOperation(target: RequestTarget): Operation {
  const on = target.bucket === undefined ? 'service' : target.key === undefined ? 'bucket' : 'object'
  const given = new Set(target.query.map(([name]) => name))
  const asked = [...given].filter((name) => subresources.has(name))
  const found = operations.find((operation) => {
    if (operation.method !== target.method || operation.on !== on) return false
    const wanted = operation.query ?? []
    if (!wanted.every((name) => given.has(name))) return false
    if (operation.header !== undefined && !target.headers.has(operation.header)) return false
    return asked.every((name) => wanted.includes(name) || (name === 'partNumber' && operation.method !== 'PUT'))
  })
  if (found !== undefined) return found
  if (asked.length > 0) throw storageFaults.notImplemented(`${target.method} ?${asked[0]} is not implemented.`)
  throw storageFaults.methodNotAllowed(`${target.method} means nothing for a ${on}.`)
}
