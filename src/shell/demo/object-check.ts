/** Reads what the store holds back by S3, as any client would, and compares it with the DAQ's own files. */
import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { Readable } from 'node:stream'
import { identityContract } from '../../identity/contract.ts'
import { createS3Client } from '../../ingest/index.ts'
import { logbookContract } from '../../logbook/contract.ts'
import { shellFaults } from '../errors.ts'
import { s3Region } from '../home.ts'
import { experiment, series, type Demo } from './demo.ts'

export async function compareObjects(
  demo: Demo,
  runs: { number: number }[],
): Promise<{ count: number; rawBytes: number }> {
  const identity = demo.client(identityContract)
  const key = await identity.createAccessKey({ body: { label: 'demo check', limits: { experiment } } })
  const s3 = createS3Client({ url: demo.platform.addresses.s3Url, region: s3Region, ...key })
  let count = 0
  let rawBytes = 0
  for (const { number } of runs) {
    const { files } = await demo.client(logbookContract).showRun({ params: { experiment, run: `${series}:${number}` } })
    if (!files.some(({ role }) => role === 'raw'))
      throw shellFaults.demoFailed(`Run ${number} has no file in the store.`)
    for (const file of files) {
      const original = join(demo.folder, file.key.slice(file.key.lastIndexOf('/') + 1))
      const stored = await s3.getObject(file.bucket, file.key)
      const [storedSum, originalSum] = await Promise.all([sha256Of(stored), sha256Of(createReadStream(original))])
      if (storedSum !== originalSum)
        throw shellFaults.demoFailed(`${file.bucket}/${file.key} differs from ${original}.`)
      if (file.state !== 'safe' || file.sha256 !== originalSum) {
        throw shellFaults.demoFailed(
          `The logbook says ${file.state} with checksum ${file.sha256} of ${file.key}; it is ${originalSum}.`,
        )
      }
      count++
      if (file.role === 'raw') rawBytes += (await stat(original)).size
    }
  }
  await identity.revokeAccessKey({ params: { accessKey: key.accessKeyId } })
  return { count, rawBytes }
}

async function sha256Of(bytes: Readable): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of bytes) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
