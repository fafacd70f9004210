/** Random histories against a map in memory, through real files; with other people writing into the same tree. */
import fc from 'fast-check'
import { createHash } from 'node:crypto'
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { silentLogger } from '../foundation/log.ts'
import { systemClock } from '../foundation/time.ts'
import { openStorage, type Storage } from './storage.ts'
import { bodyOf, readAll, testMacKey } from './testing.ts'

const bucket = 'demo-work'
/** Few, so that they meet: files in the way of folders, odd names, order above U+FFFF. */
const keys = [
  'a',
  'a/b',
  'a/b/c',
  'a/',
  'a//b',
  'obj',
  'obj+',
  'obj/x',
  'obj1',
  'ü/é',
  '\u{1f9a2}',
  '\uffee',
  '.cygnet/x',
  `${'n'.repeat(300)}/x`,
  'b/c/d/e',
  'b/c/f',
]
const keyArbitrary = fc.constantFrom(...keys)
const contentArbitrary = fc.string({ maxLength: 12 })

type Model = Map<string, string>
interface Real {
  storage: Storage
  root: string
}

const compareKeys = (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** What S3 would list. */
function expectedListing(model: Model, prefix: string, delimiter: string) {
  const objects: string[] = []
  const prefixes = new Set<string>()
  for (const key of [...model.keys()].sort(compareKeys)) {
    if (!key.startsWith(prefix)) continue
    const at = delimiter === '' ? -1 : key.indexOf(delimiter, prefix.length)
    if (at === -1) objects.push(key)
    else prefixes.add(key.slice(0, at + delimiter.length))
  }
  return { objects, prefixes: [...prefixes] }
}

class Put implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  readonly content: string
  constructor(key: string, content: string) {
    this.key = key
    this.content = content
  }
  check = () => true
  async run(model: Model, { storage }: Real) {
    const stored = await storage.putObject({ bucket, key: this.key, body: bodyOf(this.content) })
    expect(stored.etag).toBe(createHash('md5').update(this.content).digest('hex'))
    model.set(this.key, this.content)
  }
  toString = () => `put ${JSON.stringify(this.key)}`
}

class PutOnce implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = () => true
  async run(model: Model, { storage }: Real) {
    const put = storage.putObject({ bucket, key: this.key, body: bodyOf('once'), ifAbsent: true })
    if (model.has(this.key)) await expect(put).rejects.toMatchObject({ code: 'storage.precondition_failed' })
    else await put
    if (!model.has(this.key)) model.set(this.key, 'once')
  }
  toString = () => `put once ${JSON.stringify(this.key)}`
}

class Remove implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = () => true
  async run(model: Model, { storage }: Real) {
    expect(await storage.deleteObject({ bucket, key: this.key })).toEqual({ deleted: model.delete(this.key) })
  }
  toString = () => `delete ${JSON.stringify(this.key)}`
}

class Get implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = () => true
  async run(model: Model, { storage }: Real) {
    const content = model.get(this.key)
    if (content === undefined) {
      expect(() => storage.headObject(bucket, this.key)).toThrow(
        expect.objectContaining({ code: 'storage.no_such_key' }),
      )
      return
    }
    expect((await readAll((await storage.getObject({ bucket, key: this.key })).body)).toString()).toBe(content)
  }
  toString = () => `get ${JSON.stringify(this.key)}`
}

class List implements fc.AsyncCommand<Model, Real> {
  readonly prefix: string
  readonly delimiter: string
  readonly limit: number
  constructor(prefix: string, delimiter: string, limit: number) {
    this.prefix = prefix
    this.delimiter = delimiter
    this.limit = limit
  }
  check = () => true
  async run(model: Model, { storage }: Real) {
    const objects: string[] = []
    const prefixes: string[] = []
    for (let after: string | undefined; ;) {
      const page = await storage.listObjects({
        bucket,
        prefix: this.prefix,
        delimiter: this.delimiter,
        limit: this.limit,
        ...(after === undefined ? {} : { after }),
      })
      expect(page.objects.length + page.prefixes.length).toBeLessThanOrEqual(this.limit)
      for (const row of page.objects) expect(row.sizeBytes).toBe(Buffer.byteLength(model.get(row.key) ?? 'missing'))
      objects.push(...page.objects.map((row) => row.key))
      prefixes.push(...page.prefixes)
      if (page.next === undefined) break
      after = page.next
    }
    expect({ objects, prefixes }).toEqual(expectedListing(model, this.prefix, this.delimiter))
  }
  toString = () => `list ${JSON.stringify(this.prefix)} ${JSON.stringify(this.delimiter)} by ${this.limit}`
}

/** Somebody with a shell. Only where the path is free: what is in its way stays. */
class WriteFile implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  readonly content: string
  constructor(key: string, content: string) {
    this.key = key
    this.content = content
  }
  check = (model: Readonly<Model>) => !model.has(this.key)
  async run(model: Model, { root }: Real) {
    const path = join(root, bucket, this.key)
    try {
      mkdirSync(dirname(path), { recursive: true })
      writeFileSync(path, this.content)
      model.set(this.key, this.content)
    } catch {
      // A file or folder of that name is in the way, as it would be for anybody.
    }
  }
  toString = () => `write file ${this.key}`
}

class RemoveFile implements fc.AsyncCommand<Model, Real> {
  readonly key: string
  constructor(key: string) {
    this.key = key
  }
  check = (model: Readonly<Model>) => model.has(this.key)
  async run(model: Model, { root, storage }: Real) {
    try {
      expect(readFileSync(storage.pathOf(bucket, this.key), 'utf8')).toBe(model.get(this.key))
    } catch (error) {
      expect(error).toMatchObject({ code: 'storage.no_posix_path' })
      return
    }
    rmSync(join(root, bucket, this.key))
    model.delete(this.key)
  }
  toString = () => `remove file ${this.key}`
}

class Rebuild implements fc.AsyncCommand<Model, Real> {
  check = () => true
  async run(_model: Model, { storage }: Real) {
    const before = storage.lastChange().epoch
    await storage.rebuildIndex()
    expect(storage.lastChange().epoch).not.toBe(before)
  }
  toString = () => 'rebuild'
}

class Reopen implements fc.AsyncCommand<Model, Real> {
  check = () => true
  async run(_model: Model, real: Real) {
    await real.storage.close()
    real.storage = await open(real.root)
  }
  toString = () => 'reopen'
}

const open = (root: string) =>
  openStorage({ root, clock: systemClock(), log: silentLogger(), macKey: testMacKey, freeFloorBytes: 0 })

test('any history of S3 and of the shell gives what a map would give', async () => {
  const pathKeys = fc.constantFrom('a', 'a/b', 'a/b/c', 'obj', 'obj/x', 'ü/é', 'b/c/d/e', 'new/deep/er/file')
  const list = fc
    .record({
      prefix: fc.constantFrom('', 'a', 'a/', 'a/b', 'b/c/', 'obj', 'zz'),
      delimiter: fc.constantFrom('', '/', '/', 'b'),
      limit: fc.constantFrom(1, 2, 3, 1000),
    })
    .map(({ prefix, delimiter, limit }) => new List(prefix, delimiter, limit))
  const commands = fc.commands(
    [
      fc.tuple(keyArbitrary, contentArbitrary).map(([key, content]) => new Put(key, content)),
      keyArbitrary.map((key) => new PutOnce(key)),
      keyArbitrary.map((key) => new Remove(key)),
      keyArbitrary.map((key) => new Get(key)),
      list,
      list,
      fc.tuple(pathKeys, contentArbitrary).map(([key, content]) => new WriteFile(key, content)),
      pathKeys.map((key) => new RemoveFile(key)),
      fc.constant(new Rebuild()),
      fc.constant(new Reopen()),
    ],
    { maxCommands: 30 },
  )
  await fc.assert(
    fc.asyncProperty(commands, async (history) => {
      await using folder = await temporaryDirectory('cygnet-model-')
      const real: Real = { root: folder.path, storage: await open(folder.path) }
      try {
        await real.storage.createBucket({ name: bucket, experiment: 'demo', purpose: 'work' })
        await fc.asyncModelRun(() => ({ model: new Map<string, string>(), real }), history)
      } finally {
        await real.storage.close()
      }
    }),
    { numRuns: 60 },
  )
}, 180_000)
