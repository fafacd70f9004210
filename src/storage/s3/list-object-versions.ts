import { limitOf, nameWriter } from './list-objects.ts'
import { sendXml, type Operation } from './operation.ts'
import { xmlHead } from './xml.ts'

/** Without versioning every object has the one version "null". Tools that empty a bucket ask for this. */
export const listObjectVersions: Operation = {
  name: 'ListObjectVersions',
  method: 'GET',
  on: 'bucket',
  query: ['versions'],
  async run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    const prefix = context.query('prefix') ?? ''
    const delimiter = context.query('delimiter') ?? ''
    const marker = context.query('key-marker') ?? ''
    context.allow('data.read', { bucket, key: prefix, listing: true })
    const write = nameWriter(context)
    const limit = limitOf(context, 'max-keys')
    const { objects, prefixes, next } = await context.storage.listObjects({
      bucket: bucket.name,
      prefix,
      delimiter,
      after: marker,
      limit,
    })
    const versions = objects.map(
      ({ key, modifiedMs, etag, sizeBytes }) =>
        `<Version><Key>${write(key)}</Key><VersionId>null</VersionId><IsLatest>true</IsLatest><LastModified>${new Date(modifiedMs).toISOString()}</LastModified><ETag>&quot;${etag}&quot;</ETag><Size>${sizeBytes}</Size><StorageClass>STANDARD</StorageClass></Version>`,
    )
    sendXml(
      context,
      `${xmlHead}<ListVersionsResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>${bucket.name}</Name><Prefix>${write(prefix)}</Prefix>` +
        `<KeyMarker>${write(marker)}</KeyMarker><VersionIdMarker></VersionIdMarker><MaxKeys>${limit}</MaxKeys><IsTruncated>${next !== undefined}</IsTruncated>` +
        (context.query('encoding-type') === undefined ? '' : '<EncodingType>url</EncodingType>') +
        (next === undefined
          ? ''
          : `<NextKeyMarker>${write(next)}</NextKeyMarker><NextVersionIdMarker>null</NextVersionIdMarker>`) +
        versions.join('') +
        prefixes.map((one) => `<CommonPrefixes><Prefix>${write(one)}</Prefix></CommonPrefixes>`).join('') +
        '</ListVersionsResult>',
    )
  },
}
