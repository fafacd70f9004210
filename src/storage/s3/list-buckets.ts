import type { Operation } from './operation.ts'
import { sendXml } from './operation.ts'
import { xmlDocument } from './xml.ts'

/** Only the buckets that the caller may read. */
export const listBuckets: Operation = {
  name: 'ListBuckets',
  method: 'GET',
  on: 'service',
  run(context) {
    const buckets = context.storage.listBuckets().filter((bucket) => context.may('data.read', { bucket }))
    sendXml(
      context,
      xmlDocument('ListAllMyBucketsResult', {
        Owner: { ID: context.subjectId, DisplayName: context.subjectId },
        Buckets: {
          Bucket: buckets.map(({ name, createdAtMs }) => ({
            Name: name,
            CreationDate: new Date(createdAtMs).toISOString(),
          })),
        },
      }),
    )
  },
}
