/** Storage: buckets of plain files that are also S3 objects. See README.md for what it promises. */
export { openStorage, type Storage, type StorageOptions } from './storage.ts'
export { createS3Handler, createS3Server, type S3Handler, type S3Options, type S3Subject } from './s3/handler.ts'
export { registerStorageRoutes } from './routes.ts'
export { followStorageChanges, type StorageFollower } from './change-follower.ts'
export { storageContract } from './contract.ts'
export { storageFaults } from './errors.ts'
export { storageMigrations } from './tables.ts'
export { bucketNameOf } from './bucket-name.ts'
export type {
  Bucket,
  ByteRange,
  Change,
  ChangePosition,
  Changes,
  ChecksumName,
  Digests,
  GotObject,
  Listing,
  ListOptions,
  ObjectDescription,
  ObjectInfo,
  ObjectRow,
  OpenObject,
  Purpose,
  PutObject,
  PutRules,
  Stored,
  StoredChecksum,
  Upload,
  UploadedPart,
} from './model.ts'
