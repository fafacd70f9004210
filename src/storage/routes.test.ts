import { expect, test } from 'vitest'
import { bodyOf, openTestApi } from './testing.ts'

test('browse, upload, download and delete', async () => {
  const { all, baseUrl } = await openTestApi()
  expect((await all.listBuckets({ params: { experiment: 'demo' } })).items.map((bucket) => bucket.posixPath)).toEqual([
    '/data/demo-raw',
    '/data/demo-work',
  ])
  const params = { bucket: 'demo-work' }
  const big = Buffer.alloc(6_000_000, 'cygnet')
  const stored = await all.writeObject({ params, query: { key: 'plots/ü b.bin' } }, { bytes: big })
  expect(stored).toMatchObject({
    sizeBytes: 6_000_000,
    posixPath: '/data/demo-work/plots/ü b.bin',
    sha256: expect.any(String),
  })
  await all.writeObject({ params, query: { key: 'plots/sub/x' } }, { bytes: 'x' })
  const { items, nextCursor } = await all.listObjects({ params, query: { prefix: 'plots/' } })
  expect(items.map(({ kind, name }) => [kind, name])).toEqual([
    ['folder', 'sub/'],
    ['object', 'ü b.bin'],
  ])
  expect(nextCursor).toBeNull()
  const got = await all.readObject({ params, query: { key: 'plots/ü b.bin' } })
  expect(Buffer.from(await got.arrayBuffer()).equals(big)).toBe(true)
  expect(got.headers.get('content-disposition')).toBe("attachment; filename*=UTF-8''%C3%BC%20b.bin")
  const part = await all.readObject({ params, query: { key: 'plots/ü b.bin' } }, { headers: { range: 'bytes=5-9' } })
  expect([part.status, await part.text()]).toEqual([206, big.toString('utf8', 5, 10)])
  await all.deleteObject({ params, query: { key: 'plots/sub/x' } })
  await expect(all.showObject({ params, query: { key: 'plots/sub/x' } })).rejects.toMatchObject({
    code: 'storage.no_such_key',
  })
  expect((await fetch(`${baseUrl}/api/buckets/demo-work/objects`)).status).toBe(401)
})

test('everybody only where and what he may', async () => {
  const { as, all, storage } = await openTestApi()
  await storage.putObject({ bucket: 'demo-work', key: 'k', body: bodyOf('k') })
  const query = { key: 'k' }
  await expect(all.listObjects({ params: { bucket: 'other-work' } })).rejects.toMatchObject({ status: 403 })
  const reader = as('data.read')
  await expect(reader.writeObject({ params: { bucket: 'demo-work' }, query }, { bytes: 'x' })).rejects.toMatchObject({
    status: 403,
  })
  await expect(reader.deleteObject({ params: { bucket: 'demo-work' }, query })).rejects.toMatchObject({ status: 403 })
  const creator = as('data.create')
  await expect(creator.readObject({ params: { bucket: 'demo-work' }, query })).rejects.toMatchObject({ status: 403 })
  await expect(
    creator.writeObject({ params: { bucket: 'demo-work' }, query }, { bytes: 'other' }),
  ).rejects.toMatchObject({ code: 'storage.object_exists' })
  await expect(
    all.writeObject({ params: { bucket: 'demo-work' }, query: { key: '../x' } }, { bytes: 'x' }),
  ).rejects.toMatchObject({ status: 400 })
})
