/** Settings that clients ask for although we do not have them: answered with what is true, so that they go on. */
import { storageFaults } from '../errors.ts'
import { sendXml, type Operation, type OperationContext } from './operation.ts'
import { xmlDocument } from './xml.ts'

type Answer = (context: OperationContext) => string | Error

const grants = (id: string) =>
  `<Owner><ID>${id}</ID></Owner><AccessControlList><Grant><Grantee xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" xsi:type="CanonicalUser"><ID>${id}</ID></Grantee><Permission>FULL_CONTROL</Permission></Grant></AccessControlList>`
/** Rights come from roles in the experiment; to clients it looks like one owner. */
const acl: Answer = () =>
  xmlDocument('AccessControlPolicy', {}).replace(
    '></AccessControlPolicy>',
    `>${grants('cygnet')}</AccessControlPolicy>`,
  )

const ofBucket: Record<string, Answer> = {
  acl,
  versioning: () => xmlDocument('VersioningConfiguration', {}),
  notification: () => xmlDocument('NotificationConfiguration', {}),
  logging: () => xmlDocument('BucketLoggingStatus', {}),
  accelerate: () => xmlDocument('AccelerateConfiguration', {}),
  requestPayment: () => xmlDocument('RequestPaymentConfiguration', { Payer: 'BucketOwner' }),
  ownershipControls: () => xmlDocument('OwnershipControls', { Rule: { ObjectOwnership: 'BucketOwnerEnforced' } }),
  policyStatus: () => xmlDocument('PolicyStatus', { IsPublic: false }),
  policy: () => storageFaults.noSuchBucketPolicy('Buckets have no policy; rights come from roles in the experiment.'),
  tagging: () => storageFaults.noSuchTagSet('The bucket has no tags.'),
  cors: () => storageFaults.noSuchCorsConfiguration('The bucket has no CORS configuration.'),
  lifecycle: () => storageFaults.noSuchLifecycleConfiguration('The bucket has no lifecycle configuration.'),
  website: () => storageFaults.noSuchWebsiteConfiguration('The bucket has no website configuration.'),
  encryption: () =>
    storageFaults.serverSideEncryptionConfigurationNotFoundError('Objects are plain files; they are not encrypted.'),
  replication: () => storageFaults.replicationConfigurationNotFoundError('The bucket is not replicated.'),
  publicAccessBlock: () => storageFaults.noSuchPublicAccessBlockConfiguration('Nothing is public here.'),
  'object-lock': () => storageFaults.objectLockConfigurationNotFoundError('The bucket has no object lock.'),
}

const ofObject: Record<string, Answer> = {
  acl,
  tagging: () => xmlDocument('Tagging', { TagSet: {} }),
}

function setting(on: 'bucket' | 'object', name: string, answer: Answer): Operation {
  return {
    name: `Get?${name}`,
    method: 'GET',
    on,
    query: [name],
    run(context) {
      const bucket = context.storage.headBucket(context.bucketName)
      context.allow('data.read', { bucket, ...(on === 'object' ? { key: context.key } : {}) })
      if (on === 'object') context.storage.headObject(bucket.name, context.key)
      const given = answer(context)
      if (typeof given !== 'string') throw given
      sendXml(context, given)
    },
  }
}

export const bucketSettings: readonly Operation[] = [
  ...Object.entries(ofBucket).map(([name, answer]) => setting('bucket', name, answer)),
  ...Object.entries(ofObject).map(([name, answer]) => setting('object', name, answer)),
]
