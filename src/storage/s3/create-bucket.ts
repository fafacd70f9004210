import { ownerOfBucketName } from '../bucket-name.ts'
import { storageFaults } from '../errors.ts'
import type { Operation } from './operation.ts'

/** A bucket belongs to the experiment that its name begins with, for the purpose that it ends with. */
export const createBucketOperation: Operation = {
  name: 'CreateBucket',
  method: 'PUT',
  on: 'bucket',
  async run(context) {
    const name = context.bucketName
    const owner = ownerOfBucketName(name)
    if (owner === undefined) {
      throw storageFaults.invalidBucketName(`'${name}' does not say whose bucket it is.`, {
        hint: 'Name it <experiment>-raw, <experiment>-reco or <experiment>-work.',
      })
    }
    context.allowNew({ ...owner, bucket: name })
    await context.storage.createBucket({ name, ...owner })
    context.send(200, { location: `/${name}` })
  },
}
