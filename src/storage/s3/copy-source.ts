import { isBucketName } from '../bucket-name.ts'
import { storageFaults } from '../errors.ts'
import { checkKey } from '../key-place.ts'
import type { OpenObject } from '../model.ts'
import { checkConditions } from './conditions.ts'
import type { OperationContext } from './operation.ts'

/** The object that x-amz-copy-source names, opened; the right to read it is checked like that of any other. Close it. */
export function openCopySource(context: OperationContext): OpenObject {
  const [path, version] = context.header('x-amz-copy-source')!.split('?versionId=', 2) as [string, string | undefined]
  const source = decoded(path).replace(/^\//, '')
  const slash = source.indexOf('/')
  const name = source.slice(0, slash)
  if (slash < 1 || !isBucketName(name)) throw storageFaults.invalidArgument('x-amz-copy-source must be BUCKET/KEY.')
  const key = checkKey(source.slice(slash + 1))
  if (version !== undefined && version !== 'null') throw storageFaults.noSuchVersion('The only version is "null".')
  const bucket = context.storage.headBucket(name)
  context.allow('data.read', { bucket, key })
  const object = context.storage.openObject(name, key)
  try {
    checkConditions(context.header, object.info, 'x-amz-copy-source-')
    return object
  } catch (error) {
    object.close()
    throw error
  }
}

function decoded(text: string): string {
  try {
    // The header may also come as raw UTF-8, one character per byte.
    return decodeURIComponent(Buffer.from(text, 'latin1').toString('utf8'))
  } catch {
    throw storageFaults.invalidArgument('x-amz-copy-source is not valid percent-encoded UTF-8.')
  }
}
