/** The part of storage's door that gateways use: the data root and the S3 protocol on it. */
export { openStorage } from './storage.ts'
export type { FileOwners } from './ownership.ts'
export { createS3Handler } from './s3/handler.ts'
export { storageFaults } from './errors.ts'
