/**
 * "Safe" is said only after the bytes in the store were compared with the bytes on this disk. Best is the receiver: it
 * reads the stored file back and tells its SHA-256. Without it (server of another make, platform away for long), the
 * store's own full checksum, reading the object back, or the multipart ETag (MD5 of the parts' MD5s) must do.
 */
import { createHash } from 'node:crypto'
import { open } from 'node:fs/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { Fault } from '../../foundation/errors.ts'
import { ingestFaults } from '../errors.ts'
import type { SafeRecord } from './agent-journal.ts'
import type { Platform } from './platform.ts'
import type { S3Client } from './s3-client.ts'

export interface VerifyOptions {
  s3: S3Client
  platform: Platform
  bucket: string
  key: string
  path: string
  sizeBytes: number
  sha256: string
  /** The receiver knows that these are the bytes to expect. */
  isTold: boolean
  partSizeBytes: number
  signal: AbortSignal
  /** How long the receiver may take before other ways are tried. */
  patienceMs: number
}

type VerifiedBy = SafeRecord['verifiedBy']

/**
 * How the stored copy was verified; undefined when there is no object at all. Throws 'ingest.checksum_mismatch' when
 * the bytes differ and 'ingest.not_verified' when nobody can tell now.
 */
export async function verifyStored(options: VerifyOptions): Promise<VerifiedBy | undefined> {
  const told = await askReceiver(options)
  if (told === 'gone') return undefined
  if (told !== 'unknown') return told
  return await askStore(options)
}

async function askReceiver(options: VerifyOptions): Promise<'receiver' | 'gone' | 'unknown'> {
  const { platform, key, signal, patienceMs } = options
  const deadlineMs = performance.now() + patienceMs
  for (let pauseMs = 50; ; pauseMs = Math.min(2 * pauseMs, 1000)) {
    const status = await platform.objectStatus(key).catch(() => undefined)
    signal.throwIfAborted()
    if (status === undefined) return 'unknown'
    if (status.state === 'lost') return 'gone'
    if (status.sha256 !== null && status.state !== 'arriving') {
      compare(options, status.sizeBytes, status.sha256)
      // Damaged for the receiver alone: it expects what this machine told before its disk lost it, and must hear the new.
      return status.state === 'damaged' && !options.isTold ? 'unknown' : 'receiver'
    }
    if (performance.now() + pauseMs > deadlineMs) return 'unknown'
    await sleep(pauseMs, undefined, { signal })
  }
}

async function askStore(options: VerifyOptions): Promise<VerifiedBy | undefined> {
  const { s3, bucket, key, signal, sizeBytes, sha256 } = options
  const head = await s3.headObject(bucket, key, signal).catch((error: unknown) => {
    if (isRefusal(error)) return 'refused' as const
    throw error
  })
  if (head === undefined) return undefined
  if (head !== 'refused') {
    if (head.sizeBytes !== sizeBytes) compare(options, head.sizeBytes, head.sha256 ?? 'unknown')
    if (head.sha256 !== undefined) {
      compare(options, head.sizeBytes, head.sha256)
      return 'store-checksum'
    }
    const readBack = await hashStored(options)
    if (readBack !== undefined) {
      compare(options, sizeBytes, readBack)
      return 'read-back'
    }
    if (/^[0-9a-f]{32}(?:-\d+)?$/.test(head.etag) && head.etag === (await etagOf(options))) return 'etag'
  }
  throw ingestFaults.notVerified(
    `${bucket}/${key} was sent (SHA-256 ${sha256}), but nobody can tell yet what the store holds.`,
    {
      hint: 'The file stays on the DAQ disk; the agent asks again. If it lasts, check that the platform runs.',
    },
  )
}

function compare(
  { bucket, key, sizeBytes, sha256 }: VerifyOptions,
  storedBytes: number | null,
  storedSha256: string,
): void {
  if (storedBytes === sizeBytes && storedSha256 === sha256) return
  throw ingestFaults.checksumMismatch(
    `The store holds another ${bucket}/${key}: ${storedBytes} bytes with SHA-256 ${storedSha256}, while the file on this disk has ${sizeBytes} bytes with ${sha256}.`,
    {
      hint: 'Keep the file on the DAQ disk. If the stored one is wrong, have it removed by a manager: the agent then sends this one. If this run number was used twice, rename the file.',
    },
  )
}

async function hashStored({ s3, bucket, key, signal }: VerifyOptions): Promise<string | undefined> {
  try {
    const hash = createHash('sha256')
    for await (const chunk of await s3.getObject(bucket, key, signal)) hash.update(chunk as Buffer)
    return hash.digest('hex')
  } catch (error) {
    if (isRefusal(error)) return undefined
    throw error
  }
}

/** The ETag S3 gives these bytes: MD5, or for a multipart upload the MD5 of the parts' MD5s and their number. */
async function etagOf({ path, sizeBytes, partSizeBytes }: VerifyOptions): Promise<string> {
  const file = await open(path, 'r')
  try {
    const digests: Buffer[] = []
    const part = Buffer.alloc(Math.min(partSizeBytes, Math.max(1, sizeBytes)))
    for (let offset = 0; offset < sizeBytes; offset += partSizeBytes) {
      const { bytesRead } = await file.read(part, 0, part.length, offset)
      digests.push(createHash('md5').update(part.subarray(0, bytesRead)).digest())
    }
    if (sizeBytes <= partSizeBytes) return (digests[0] ?? createHash('md5').digest()).toString('hex')
    return `${createHash('md5').update(Buffer.concat(digests)).digest('hex')}-${digests.length}`
  } finally {
    await file.close()
  }
}

const isRefusal = (error: unknown): boolean => error instanceof Fault && error.code === 'ingest.store_refused'
