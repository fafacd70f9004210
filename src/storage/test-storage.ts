/** Storage as the processes of tests open it: a key of their own, no reserve on the disk. Knows nothing of the test runner. */
import { silentLogger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { openStorage, type Storage, type StorageOptions } from './storage.ts'

export const testMacKey = Buffer.alloc(32, 7)

export async function openStorageOfTest(root: string, more: Partial<StorageOptions> = {}): Promise<Storage> {
  return await openStorage({
    clock: systemClock(),
    log: silentLogger(),
    macKey: testMacKey,
    freeFloorBytes: 0,
    ...more,
    root,
  })
}
