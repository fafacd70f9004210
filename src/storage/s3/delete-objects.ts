import { storageFaults } from '../errors.ts'
import { checkKey } from '../key-place.ts'
import { faultOf, s3CodeOf } from './error-answer.ts'
import { readXml, sendXml, type Operation, type OperationContext } from './operation.ts'
import { childText, xmlDocument } from './xml.ts'

const maxKeys = 1000
const maxBodyBytes = 4 * 1024 * 1024
/** Deletions going on at once: they share syncs of folders and of the index. */
const together = 64

/** Every key is permitted, deleted and answered for by itself. */
export const deleteObjects: Operation = {
  name: 'DeleteObjects',
  method: 'POST',
  on: 'bucket',
  query: ['delete'],
  async run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    const document = await readXml(context, maxBodyBytes)
    const wanted = document.children
      .filter((child) => child.name === 'Object')
      .map((child) => ({ key: childText(child, 'Key') ?? '', version: childText(child, 'VersionId') }))
    if (document.name !== 'Delete' || wanted.length === 0 || wanted.length > maxKeys) {
      throw storageFaults.malformedXml(`The list must name 1 to ${maxKeys} objects.`)
    }
    const isQuiet = childText(document, 'Quiet')?.trim().toLowerCase() === 'true'
    const results: Result[] = []
    for (let at = 0; at < wanted.length; at += together) {
      results.push(
        ...(await Promise.all(wanted.slice(at, at + together).map((one) => remove(context, bucket.name, one)))),
      )
    }
    sendXml(
      context,
      xmlDocument('DeleteResult', {
        Deleted: isQuiet ? [] : results.filter((one) => one.error === undefined).map(({ key }) => ({ Key: key })),
        Error: results.flatMap(({ key, error }) => (error === undefined ? [] : [{ Key: key, ...error }])),
      }),
    )
  },
}

interface Result {
  key: string
  error?: { Code: string; Message: string }
}

async function remove(
  context: OperationContext,
  name: string,
  { key, version }: { key: string; version: string | undefined },
): Promise<Result> {
  try {
    const bucket = context.storage.headBucket(name)
    context.allow('data.modify', { bucket, key: checkKey(key) })
    if (version !== undefined && version !== '' && version !== 'null')
      throw storageFaults.noSuchVersion('The only version is "null".')
    await context.storage.deleteObject({ bucket: name, key })
    return { key }
  } catch (error) {
    const fault = faultOf(error, context.log, context.requestId)
    return { key, error: { Code: s3CodeOf(fault), Message: fault.detail } }
  }
}
