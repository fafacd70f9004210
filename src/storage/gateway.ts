/** The part of storage's door that gateways use: the data root and the S3 protocol on it. */
export { openStorage } from './storage.ts'
export { createS3Handler, createS3Server } from './s3/handler.ts'
