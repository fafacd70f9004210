import type { Upload } from '../model.ts'
import { limitOf, nameWriter } from './list-objects.ts'
import { sendXml, type Operation } from './operation.ts'
import { xmlHead } from './xml.ts'

/** Whoever may only create sees his own uploads: what a restarted uploader has to go on with. */
export const listMultipartUploads: Operation = {
  name: 'ListMultipartUploads',
  method: 'GET',
  on: 'bucket',
  query: ['uploads'],
  async run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    const prefix = context.query('prefix') ?? ''
    const delimiter = context.query('delimiter') ?? ''
    const keyMarker = context.query('key-marker') ?? ''
    const idMarker = context.query('upload-id-marker') ?? ''
    const seesAll =
      context.may('data.modify', { bucket, key: prefix, listing: true }) ||
      context.may('data.read', { bucket, key: prefix, listing: true })
    if (!seesAll) context.allow('data.create', { bucket, key: prefix, listing: true })
    const write = nameWriter(context)
    const limit = limitOf(context, 'max-uploads')

    const uploads = (await context.storage.listUploads(bucket.name)).filter(
      (upload) => upload.key.startsWith(prefix) && (seesAll || upload.ownerId === context.subjectId),
    )
    const passed = uploads.findIndex((upload) => upload.key === keyMarker && upload.uploadId === idMarker)
    const behind =
      passed === -1 ? uploads.filter((upload) => isBehind(upload.key, keyMarker)) : uploads.slice(passed + 1)
    const page: Upload[] = []
    const prefixes = new Set<string>()
    let isTruncated = false
    for (const upload of behind) {
      const at = delimiter === '' ? -1 : upload.key.indexOf(delimiter, prefix.length)
      const rolled = at === -1 ? undefined : upload.key.slice(0, at + delimiter.length)
      if (rolled !== undefined && prefixes.has(rolled)) continue
      if (page.length + prefixes.size >= limit) {
        isTruncated = true
        break
      }
      if (rolled === undefined) page.push(upload)
      else prefixes.add(rolled)
    }
    const last = page.at(-1)
    sendXml(
      context,
      `${xmlHead}<ListMultipartUploadsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Bucket>${bucket.name}</Bucket>` +
        `<KeyMarker>${write(keyMarker)}</KeyMarker><UploadIdMarker>${write(idMarker)}</UploadIdMarker><Prefix>${write(prefix)}</Prefix>` +
        (delimiter === '' ? '' : `<Delimiter>${write(delimiter)}</Delimiter>`) +
        (context.query('encoding-type') === undefined ? '' : '<EncodingType>url</EncodingType>') +
        (last === undefined
          ? ''
          : `<NextKeyMarker>${write(last.key)}</NextKeyMarker><NextUploadIdMarker>${last.uploadId}</NextUploadIdMarker>`) +
        `<MaxUploads>${limit}</MaxUploads><IsTruncated>${isTruncated}</IsTruncated>` +
        page.map((upload) => uploadXml(upload, write)).join('') +
        [...prefixes].map((one) => `<CommonPrefixes><Prefix>${write(one)}</Prefix></CommonPrefixes>`).join('') +
        '</ListMultipartUploadsResult>',
    )
  },
}

function isBehind(key: string, marker: string): boolean {
  return marker === '' || Buffer.compare(Buffer.from(key), Buffer.from(marker)) > 0
}

function uploadXml({ key, uploadId, ownerId, startedMs }: Upload, write: (name: string) => string): string {
  const owner = `<ID>${write(ownerId)}</ID><DisplayName>${write(ownerId)}</DisplayName>`
  return (
    `<Upload><Key>${write(key)}</Key><UploadId>${uploadId}</UploadId><Initiator>${owner}</Initiator><Owner>${owner}</Owner>` +
    `<StorageClass>STANDARD</StorageClass><Initiated>${new Date(startedMs).toISOString()}</Initiated></Upload>`
  )
}
