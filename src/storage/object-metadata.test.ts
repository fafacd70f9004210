import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { createCommitQueue } from './commit-queue.ts'
import { createDiskTrust } from './disk-trust.ts'
import type { IndexStore } from './index-store.ts'
import { createMetadataStore, packParts, unpackParts } from './object-metadata.ts'

test('without extended attributes everything lies in sidecars, which follow the file and die with its content', async () => {
  const { path } = await temporaryDirectory()
  const file = join(path, 'file')
  writeFileSync(file, 'content')
  const stat = () => statSync(file, { bigint: true })
  const store = createMetadataStore({
    sidecars: join(path, 'meta'),
    macKey: Buffer.alloc(32, 1),
    probePath: join(path, 'no such file'),
  })
  expect(store.hasAttributes).toBe(false)
  await store.write(file, stat(), { etag: 'a'.repeat(32), userMetadata: { run: '1' } })
  expect(store.read(file, stat())).toEqual({ etag: 'a'.repeat(32), userMetadata: { run: '1' } })
  expect(store.read(join(path, 'moved'), stat())).toBeDefined()
  const stranger = createMetadataStore({
    sidecars: join(path, 'meta'),
    macKey: Buffer.alloc(32, 2),
    probePath: join(path, 'no such file'),
  })
  expect(stranger.read(file, stat())).toBeUndefined()
  writeFileSync(file, 'changed content')
  expect(store.read(file, stat())).toBeUndefined()
})

test('part sizes are kept short', () => {
  const sizes = [...Array.from({ length: 9999 }, () => 8_388_608), 17]
  expect(packParts(sizes)).toEqual([
    [9999, 8_388_608],
    [1, 17],
  ])
  expect(unpackParts(packParts(sizes))).toEqual(sizes)
})

test('a transaction that cannot be committed moves the files back, the last one first', async () => {
  const done: string[] = []
  const index = {
    write(work: () => unknown) {
      work()
      throw new Error('no room for the index')
    },
  } as unknown as IndexStore
  const queue = createCommitQueue(index, createDiskTrust(silentLogger()), silentLogger())
  const commits = ['a', 'b'].map((name) =>
    queue.submit(() => ({ result: name, undo: () => void done.push(name), after: () => void done.push('never') })),
  )
  const results = await Promise.allSettled(commits)
  expect(results.map((result) => result.status)).toEqual(['rejected', 'rejected'])
  expect(done).toEqual(['b', 'a'])
})
