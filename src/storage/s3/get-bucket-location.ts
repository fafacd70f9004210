import { sendXml, type Operation } from './operation.ts'
import { xmlDocument } from './xml.ts'

export const getBucketLocation: Operation = {
  name: 'GetBucketLocation',
  method: 'GET',
  on: 'bucket',
  query: ['location'],
  run(context) {
    const bucket = context.storage.headBucket(context.bucketName)
    if (!context.may('data.create', { bucket })) context.allow('data.read', { bucket })
    sendXml(context, xmlDocument('LocationConstraint', context.region === 'us-east-1' ? '' : context.region))
  },
}
