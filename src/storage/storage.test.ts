import { execFileSync, spawnSync } from 'node:child_process'
import { createHash, randomBytes } from 'node:crypto'
import {
  appendFileSync,
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  statSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { setAttributeSync, getAttributeSync } from '@napi-rs/xattr'
import { temporaryDirectory } from '../foundation/testing.ts'
import { bodyOf, openTestStorage, readAll } from './testing.ts'

const bucket = 'demo-work'
const sha256 = (bytes: string | Uint8Array) => createHash('sha256').update(bytes).digest('hex')

async function opened(options: Parameters<typeof openTestStorage>[0] = {}) {
  const { storage, root } = await openTestStorage(options)
  await storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
  const put = async (key: string, content: string | Uint8Array) =>
    await storage.putObject({ bucket, key, body: bodyOf(content) })
  const get = async (key: string) => (await readAll((await storage.getObject({ bucket, key })).body)).toString()
  const keys = async (prefix = '') => (await storage.listObjects({ bucket, prefix })).objects.map((row) => row.key)
  return { storage, root, folder: join(root, bucket), put, get, keys }
}

describe('the file is the object', () => {
  test('an object is a plain file with its bytes, and knows its checksums', async () => {
    const { storage, folder, put } = await opened()
    const content = randomBytes(3_000_000)
    const stored = await put('lime/sim/run00001.mid', content)
    expect(readFileSync(join(folder, 'lime/sim/run00001.mid')).equals(content)).toBe(true)
    expect(stored).toMatchObject({
      sizeBytes: 3_000_000,
      sha256: sha256(content),
      etag: createHash('md5').update(content).digest('hex'),
    })
    expect(storage.headObject(bucket, 'lime/sim/run00001.mid')).toMatchObject({
      isForeign: false,
      sha256: sha256(content),
    })
    expect(storage.pathOf(bucket, 'lime/sim/run00001.mid')).toBe(join(folder, 'lime/sim/run00001.mid'))
  })

  test('a file that somebody puts there is an object at once, and known after a while', async () => {
    const { storage, folder, get, keys } = await opened()
    mkdirSync(join(folder, 'shell/deep'), { recursive: true })
    writeFileSync(join(folder, 'shell/deep/notes.txt'), 'by hand')
    utimesSync(join(folder, 'shell/deep/notes.txt'), 1e9, 1e9)
    expect(await keys()).toEqual(['shell/deep/notes.txt'])
    expect(await get('shell/deep/notes.txt')).toBe('by hand')
    await storage.adopted()
    expect(storage.headObject(bucket, 'shell/deep/notes.txt')).toMatchObject({
      isForeign: false,
      sha256: sha256('by hand'),
      contentType: 'text/plain',
    })
    const { objects } = await storage.listObjects({ bucket })
    expect(objects[0]!.etag).toBe(createHash('md5').update('by hand').digest('hex'))
  })

  test('a file changed in place is foreign until hashed again; its old checksum is never shown', async () => {
    const { storage, folder, put } = await opened()
    await put('a', 'first')
    appendFileSync(join(folder, 'a'), ' and more')
    expect(storage.headObject(bucket, 'a')).toMatchObject({ isForeign: true, sha256: undefined, sizeBytes: 14 })
    const { objects } = await storage.listObjects({ bucket })
    expect(objects[0]).toMatchObject({ sizeBytes: 14, etag: expect.stringMatching(/^x/) })
    expect(await storage.sha256Of(bucket, 'a')).toBe(sha256('first and more'))
  })

  test('checksums cannot be invented: metadata of another file, or with a wrong MAC, is not believed', async ({
    skip,
  }) => {
    const { storage, folder, put } = await opened()
    if (!storage.health().hasAttributes) skip('no extended attributes on this file system')
    await put('true', 'genuine')
    writeFileSync(join(folder, 'false'), 'GENUINE')
    const genuine = getAttributeSync(join(folder, 'true'), 'user.cygnet')!
    setAttributeSync(join(folder, 'false'), 'user.cygnet', genuine)
    expect(storage.headObject(bucket, 'false').isForeign).toBe(true)
    const changed = Buffer.from(genuine)
    changed[changed.length - 3]! ^= 1
    setAttributeSync(join(folder, 'true'), 'user.cygnet', changed)
    expect(storage.headObject(bucket, 'true').isForeign).toBe(true)
  })

  test('a file moved by hand keeps what is known about it', async () => {
    const { storage, folder, put, keys } = await opened()
    await put('old/name', 'moved')
    renameSync(join(folder, 'old/name'), join(folder, 'new'))
    expect(await keys()).toEqual(['new'])
    expect(storage.headObject(bucket, 'new')).toMatchObject({ isForeign: false, sha256: sha256('moved') })
  })

  test('metadata larger than an attribute lies beside the file and goes with it', async () => {
    const { storage, root, put } = await opened()
    const userMetadata = { note: 'x'.repeat(2000) }
    await storage.putObject({
      bucket,
      key: 'a',
      body: bodyOf('1'),
      userMetadata,
      headers: { 'cache-control': 'y'.repeat(1500) },
    })
    expect(storage.headObject(bucket, 'a').userMetadata).toEqual(userMetadata)
    const sidecars = () =>
      readdirSync(join(root, '.cygnet/meta'), { recursive: true, withFileTypes: true }).filter((entry) =>
        entry.isFile(),
      ).length
    expect(sidecars()).toBe(1)
    await put('a', '2')
    expect(sidecars()).toBe(0)
    expect(storage.headObject(bucket, 'a').userMetadata).toEqual({})
  })
})

describe('keys', () => {
  test('of a file and below it live together, and come back when the way is free', async () => {
    const { storage, folder, put, get, keys } = await opened()
    await put('a/b', 'below')
    await put('a', 'blocked')
    expect(statSync(join(folder, 'a')).isDirectory()).toBe(true)
    expect([await get('a'), await get('a/b')]).toEqual(['blocked', 'below'])
    expect(() => storage.pathOf(bucket, 'a')).toThrow(expect.objectContaining({ code: 'storage.no_posix_path' }))
    await storage.deleteObject({ bucket, key: 'a/b' })
    await put('a', 'free')
    expect(readFileSync(join(folder, 'a'), 'utf8')).toBe('free')
    await put('a/b', 'blocked now')
    expect([await get('a'), await get('a/b'), await keys()]).toEqual(['free', 'blocked now', ['a', 'a/b']])
    await storage.rebuildIndex()
    expect(await keys()).toEqual(['a', 'a/b'])
  })

  test.each(['../x', 'a/../../b', '.', '..', 'a/./b', 'a/..', 'a\0b', '', 'k'.repeat(1025), 'é'.repeat(600), '\ud800'])(
    '%j is refused',
    async (key) => {
      const { root, put } = await opened()
      await expect(put(key, 'x')).rejects.toMatchObject({ status: 400 })
      expect(readdirSync(root).sort()).toEqual(['.cygnet', bucket])
    },
  )

  test.each([
    '/abs',
    'a//b',
    '//',
    'a/',
    '.cygnet/index/index.mdb',
    '.cygnet',
    'CON',
    'é'.repeat(255),
    '\u202egnp.exe',
    '%2e%2e/x',
    '%2f',
    'a\\b',
    'line\nbreak',
    ' ',
    '-rf',
    '~root',
    '$(id)',
  ])('%j is stored literally', async (key) => {
    const { root, put, get, keys } = await opened()
    await put(key, 'literal')
    expect([await get(key), await keys()]).toEqual(['literal', [key]])
    expect(readdirSync(root).sort()).toEqual(['.cygnet', bucket])
  })

  test('links, FIFOs and folders are no objects, and nothing is written or read through a link', async () => {
    const { storage, folder, root, put, keys } = await opened()
    const outside = (await temporaryDirectory()).path
    writeFileSync(join(outside, 'secret'), 'secret')
    symlinkSync(join(outside, 'secret'), join(folder, 'link'))
    symlinkSync(outside, join(folder, 'away'))
    symlinkSync('..', join(folder, 'up'))
    execFileSync('mkfifo', [join(folder, 'fifo')])
    for (const key of ['link', 'away/secret', 'up/.cygnet/index/index.mdb', 'fifo']) {
      expect(() => storage.headObject(bucket, key), key).toThrow(
        expect.objectContaining({ code: 'storage.no_such_key' }),
      )
    }
    await put('link', 'replaces the link itself')
    await put('away/new', 'goes to the attic')
    expect(readdirSync(outside)).toEqual(['secret'])
    expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret')
    expect(await keys()).toEqual(['away/new', 'link'])
    expect(existsSync(join(root, 'new'))).toBe(false)
  })
})

describe('what may be changed', () => {
  test('create-only: a new key, the same bytes again, nothing else', async () => {
    const { storage, get, put } = await opened()
    const create = async (content: string) =>
      await storage.putObject({ bucket, key: 'run', body: bodyOf(content), may: 'create' })
    expect(await create('one')).toMatchObject({ unchanged: false })
    expect(await create('one')).toMatchObject({ unchanged: true })
    await expect(create('two')).rejects.toMatchObject({ code: 'storage.object_exists', status: 403 })
    expect(await get('run')).toBe('one')
    await put('run', 'replaced')
    expect(await get('run')).toBe('replaced')
  })

  test('of many who create the same key at once, one does', async () => {
    const { storage, get } = await opened()
    const results = await Promise.allSettled(
      Array.from({ length: 12 }, (_, index) =>
        storage.putObject({ bucket, key: 'deep/er/one', body: bodyOf(`${index}`), ifAbsent: true }),
      ),
    )
    const won = results.flatMap((result, index) => (result.status === 'fulfilled' ? [index] : []))
    expect(won).toHaveLength(1)
    expect(await get('deep/er/one')).toBe(`${won[0]}`)
  })

  test('replacing only what one has seen', async () => {
    const { storage, put } = await opened()
    const { etag } = await put('a', '1')
    await storage.putObject({ bucket, key: 'a', body: bodyOf('2'), ifEtag: etag })
    await expect(storage.putObject({ bucket, key: 'a', body: bodyOf('3'), ifEtag: etag })).rejects.toMatchObject({
      status: 412,
    })
    await expect(storage.deleteObject({ bucket, key: 'a', ifEtag: etag })).rejects.toMatchObject({ status: 412 })
    await expect(storage.putObject({ bucket, key: 'none', body: bodyOf('3'), ifEtag: etag })).rejects.toMatchObject({
      status: 404,
    })
  })

  test('a body that breaks leaves nothing, and the old object as it was', async () => {
    const { storage, root, put, get, keys } = await opened()
    await put('a', 'old')
    const broken = async function* () {
      yield randomBytes(2_000_000)
      throw new Error('gone')
    }
    await expect(storage.putObject({ bucket, key: 'a', body: broken() })).rejects.toThrow('gone')
    await expect(storage.putObject({ bucket, key: 'b', body: bodyOf('12345'), sizeBytes: 6 })).rejects.toMatchObject({
      code: 'storage.incomplete_body',
    })
    await expect(storage.putObject({ bucket, key: 'b', body: bodyOf('12345'), sizeBytes: 4 })).rejects.toMatchObject({
      code: 'storage.entity_too_large',
    })
    expect([await get('a'), await keys()]).toEqual(['old', ['a']])
    const [worker] = readdirSync(join(root, '.cygnet/tmp'))
    expect(readdirSync(join(root, '.cygnet/tmp', worker!))).toEqual(['worker.json'])
  })

  test('folders made for keys go with the last of them; a folder somebody made stays', async () => {
    const { storage, folder, put } = await opened()
    mkdirSync(join(folder, 'mine'))
    await put('auto/deep/x', '1')
    await put('mine/x', '1')
    for (const key of ['auto/deep/x', 'mine/x']) await storage.deleteObject({ bucket, key })
    expect(readdirSync(folder)).toEqual(['mine'])
    await expect(storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })).rejects.toMatchObject({
      code: 'storage.bucket_already_owned_by_you',
    })
    await put('x', '1')
    await expect(storage.deleteBucket(bucket)).rejects.toMatchObject({ code: 'storage.bucket_not_empty' })
    await storage.deleteObject({ bucket, key: 'x' })
    await storage.deleteBucket(bucket)
    expect(existsSync(folder)).toBe(false)
    expect(storage.listBuckets()).toEqual([])
  })
})

describe('a file that is already here', () => {
  test('becomes an object without a copy on the same file system', async () => {
    const { storage, root, get } = await opened()
    const path = join(root, '.cygnet/tmp/out.bin')
    writeFileSync(path, 'job output')
    const inode = statSync(path).ino
    const stored = await storage.adoptPath({ bucket, key: 'campaign/out.bin', path, userMetadata: { run: '1' } })
    expect(stored).toMatchObject({ sha256: sha256('job output'), unchanged: false })
    expect(existsSync(path)).toBe(false)
    expect(statSync(storage.pathOf(bucket, 'campaign/out.bin')).ino).toBe(inode)
    expect([await get('campaign/out.bin'), storage.headObject(bucket, 'campaign/out.bin').userMetadata]).toEqual([
      'job output',
      { run: '1' },
    ])
  })

  test('is refused if it is a link', async () => {
    const { storage, root } = await opened()
    symlinkSync('/etc/passwd', join(root, '.cygnet/tmp/link'))
    await expect(storage.adoptPath({ bucket, key: 'x', path: join(root, '.cygnet/tmp/link') })).rejects.toThrow()
    expect((await storage.listObjects({ bucket })).objects).toEqual([])
  })
})

describe('changes', () => {
  test('tell what happened, in order, also what was done by hand; a rebuilt index begins anew', async () => {
    const { storage, folder, put, keys } = await opened()
    await put('a', '1')
    const first = storage.changes({ limit: 1 })
    writeFileSync(join(folder, 'b'), 'by hand')
    await keys()
    await storage.deleteObject({ bucket, key: 'a' })
    const rest = storage.changes({ since: first.next })
    expect(rest).toMatchObject({
      epoch: first.epoch,
      reset: false,
      items: [
        { type: 'created', key: 'b', experiment: 'demo', purpose: 'work' },
        { type: 'deleted', key: 'a' },
      ],
    })
    await storage.rebuildIndex()
    const anew = storage.changes({ since: rest.next })
    expect(anew).toMatchObject({ reset: true, items: [{ type: 'created', key: 'b' }] })
    expect(anew.epoch).not.toBe(first.epoch)
  })

  test('the index can be thrown away while nothing runs', async () => {
    const { storage, root, put } = await opened()
    await put('x/y', '1')
    await storage.close()
    execFileSync('rm', ['-rf', join(root, '.cygnet/index')])
    const again = await openTestStorage({ root })
    expect((await again.storage.listObjects({ bucket })).objects.map((row) => row.key)).toEqual(['x/y'])
    expect(again.storage.headBucket(bucket)).toMatchObject({ experiment: 'demo', purpose: 'work' })
  })

  test('files that came while nothing ran are found when it opens', async () => {
    const { storage, root, folder, put } = await opened()
    await put('a/x', '1')
    await storage.close()
    cpSync(join(folder, 'a'), join(folder, 'copied/a'), { recursive: true })
    execFileSync('rm', [join(folder, 'a/x')])
    const again = await openTestStorage({ root })
    expect(again.storage.changes().items.map(({ type, key }) => `${type} ${key}`)).toEqual(
      expect.arrayContaining(['created copied/a/x', 'deleted a/x']),
    )
  })
})

describe('uploads in parts', () => {
  const part = (size: number, fill: number) => Buffer.alloc(size, fill)
  const five = 5 * 1024 * 1024

  async function begun() {
    const all = await opened()
    const { uploadId } = await all.storage.createUpload({ bucket, key: 'big', ownerId: 'me' })
    const address = { bucket, key: 'big', uploadId }
    const send = async (number: number, bytes: Buffer) => {
      const { etag } = await all.storage.putPart({ ...address, number, body: bodyOf(bytes), sizeBytes: bytes.length })
      return { number, etag }
    }
    const content = async () => sha256(await readAll((await all.storage.getObject({ bucket, key: 'big' })).body))
    return { ...all, address, send, content }
  }

  test('of one size are put together without a copy', async () => {
    const { storage, root, address, send, content } = await begun()
    const bytes = [part(five, 1), part(five, 2), part(1000, 3)]
    const parts = await Promise.all([2, 0, 1].map(async (index) => await send(index + 1, bytes[index]!)))
    parts.sort((a, b) => a.number - b.number)
    const data = statSync(join(root, '.cygnet/upload', bucket, address.uploadId, 'data')).ino
    const stored = await storage.completeUpload({ ...address, parts })
    const md5s = Buffer.concat(bytes.map((one) => createHash('md5').update(one).digest()))
    expect(stored.etag).toBe(`${createHash('md5').update(md5s).digest('hex')}-3`)
    expect(await content()).toBe(sha256(Buffer.concat(bytes)))
    expect(statSync(storage.pathOf(bucket, 'big')).ino).toBe(data)
    expect(storage.headObject(bucket, 'big')).toMatchObject({ partSizes: [five, five, 1000], sha256: undefined })
    expect(await storage.sha256Of(bucket, 'big')).toBe(sha256(Buffer.concat(bytes)))
    expect(storage.headObject(bucket, 'big')).toMatchObject({ etag: stored.etag, sha256: sha256(Buffer.concat(bytes)) })
  })

  test('of odd sizes, sent again, out of order and left out are put together all the same', async () => {
    const { storage, address, send, content } = await begun()
    await send(9, part(7, 9))
    await send(1, part(five + 3, 1))
    const first = await send(1, part(five + 1, 4))
    const third = await send(3, part(five, 3))
    await send(4, part(five, 5))
    const last = await send(7, part(10, 7))
    await storage.completeUpload({ ...address, parts: [first, third, last] })
    expect(await content()).toBe(sha256(Buffer.concat([part(five + 1, 4), part(five, 3), part(10, 7)])))
  })

  test('a part sent again replaces the first, also when all others lie in the shared file', async () => {
    const { storage, address, send, content } = await begun()
    const one = await send(1, part(five, 1))
    await send(2, part(five, 2))
    const two = await send(2, part(five, 8))
    const three = await send(3, part(five, 3))
    await storage.completeUpload({ ...address, parts: [one, two, three] })
    expect(await content()).toBe(sha256(Buffer.concat([part(five, 1), part(five, 8), part(five, 3)])))
  })

  test('completed by two at once it becomes one object, and both are told so', async () => {
    const { storage, address, send } = await begun()
    const parts = [await send(1, part(five, 1)), await send(2, part(1, 2))]
    const [a, b] = await Promise.all([
      storage.completeUpload({ ...address, parts }),
      storage.completeUpload({ ...address, parts }),
    ])
    expect(a.etag).toBe(b.etag)
    expect(storage.changes().items.filter((change) => change.key === 'big')).toHaveLength(1)
    expect(await storage.listUploads(bucket)).toEqual([])
  })

  test('survive a restart, and can be aborted', async () => {
    const { storage, root, address, send } = await begun()
    await send(1, part(five, 1))
    await storage.close()
    const again = await openTestStorage({ root })
    expect((await again.storage.listParts(address)).parts).toMatchObject([{ number: 1, sizeBytes: five }])
    await again.storage.abortUpload(address)
    await expect(again.storage.listParts(address)).rejects.toMatchObject({ code: 'storage.no_such_upload' })
    expect(readdirSync(join(root, '.cygnet/upload', bucket))).toEqual([])
  })
})

describe('room', () => {
  test('the floor of free space is kept, and said before the body is read', async () => {
    const { storage } = await opened({ freeFloorBytes: 1e18 })
    let wasRead = false
    const body = (async function* () {
      wasRead = true
      yield Buffer.from('x')
    })()
    await expect(storage.putObject({ bucket, key: 'a', body })).rejects.toMatchObject({
      code: 'storage.insufficient_storage',
      status: 507,
    })
    expect(wasRead).toBe(false)
  })

  const isRoot = process.getuid?.() === 0
  test.skipIf(!isRoot)(
    `a disk that fills up while writing${isRoot ? '' : ' [skipped: only root can mount a small file system]'}`,
    async ({ skip }) => {
      const { path } = await temporaryDirectory()
      const mounted = join(path, 'small')
      mkdirSync(mounted)
      if (spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'tmpfs', mounted]).status !== 0)
        skip('this machine lets nobody mount a tmpfs')
      onTestFinished(() => void spawnSync('umount', ['-l', mounted]))
      const { put, get, keys, storage, root } = await opened({ root: mounted })
      await put('old', 'intact')
      await expect(put('old', randomBytes(20_000_000))).rejects.toMatchObject({ code: 'storage.insufficient_storage' })
      const { uploadId } = await storage.createUpload({ bucket, key: 'm', ownerId: 'me' })
      const send = storage.putPart({
        bucket,
        key: 'm',
        uploadId,
        number: 1,
        body: bodyOf(randomBytes(20_000_000)),
        sizeBytes: 20_000_000,
      })
      await expect(send).rejects.toMatchObject({ code: 'storage.insufficient_storage' })
      await storage.abortUpload({ bucket, key: 'm', uploadId })
      expect([await get('old'), await keys()]).toEqual(['intact', ['old']])
      const [worker] = readdirSync(join(root, '.cygnet/tmp'))
      expect(readdirSync(join(root, '.cygnet/tmp', worker!))).toEqual(['worker.json'])
      expect(storage.health().readOnlyReason).toBeUndefined()
      await put('new', 'there is room again')
    },
  )

  test('one file nobody can read does not break a listing', async () => {
    const { folder, put, keys } = await opened()
    await put('a', '1')
    writeFileSync(join(folder, 'odd'), 'x')
    chmodSync(join(folder, 'odd'), 0)
    expect(await keys()).toEqual(['a', 'odd'])
  })
})
