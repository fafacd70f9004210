/** The moment between two system calls, made as long as it takes: a name that is another file at the second look. */
import { spawnSync } from 'node:child_process'
import { closeSync, linkSync, lstatSync, mkdirSync, openSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import { silentLogger } from '../foundation/log.ts'
import { isEmptyTree, removeEmptyTree } from './empty-tree.ts'
import type { Bucket } from './model.ts'
import { createOwnership, privateName } from './ownership.ts'
import { gids, noRealUids, numbers, ownerOf, stage } from './ownership-testing.ts'
import type { SafeDirectory } from './safe-directory.ts'
import { ownersOf } from './test-service.ts'
import { openVolume } from './volume.ts'

const bucket: Bucket = { name: 'demo-work', experiment: 'demo', purpose: 'work', createdAtMs: 0 }
const isRoot = noRealUids === undefined

async function opened() {
  const { root, outside } = await stage()
  const volume = openVolume({ root, freeFloorBytes: 0, log: silentLogger() })
  onTestFinished(() => volume.close())
  const folder = join(root, bucket.name)
  mkdirSync(folder)
  return { root, outside, volume, folder }
}

/** A folder in which a name leads to each of these paths in turn. */
function turning(...paths: string[]): SafeDirectory {
  const rest = [...paths]
  return { fd: -1, at: () => rest.shift()!, mtimeNs: () => 0n, bornNs: () => 0n, close() {} }
}

describe.each(isRoot ? ['one uid', 'files of people'] : ['one uid'])('%s', (scheme) => {
  test('a folder that is swapped for a link as soon as it is made', async () => {
    const { outside, volume, folder } = await opened()
    const ownership = createOwnership(volume, scheme === 'one uid' ? undefined : ownersOf(numbers), silentLogger())
    ownership.shapeTop(bucket)
    symlinkSync(outside, join(folder, 'link'))
    writeFileSync(join(folder, 'file'), '')
    spawnSync('mkfifo', [join(folder, 'fifo')])
    const before = ownerOf(outside)
    for (const [index, swapped] of ['link', 'file', 'fifo', 'nothing'].entries()) {
      const make = ownership.folderMaker(bucket, { ownerId: 'alice', mayModify: true })
      make(turning(join(folder, `made${index}`), join(folder, swapped)), 'made')
    }
    expect(ownerOf(outside)).toBe(before)
  })
})

test.skipIf(!isRoot)(
  `a file that is swapped for a hard link to another one while it is taken in${isRoot ? '' : ` (SKIPPED: ${noRealUids})`}`,
  async () => {
    const { outside, volume, folder } = await opened()
    const ownership = createOwnership(volume, ownersOf(numbers), silentLogger())
    ownership.shapeTop(bucket)
    writeFileSync(join(outside, 'secret'), 'secret', { mode: 0o600 })
    linkSync(join(outside, 'secret'), join(folder, 'hard'))
    symlinkSync(join(outside, 'secret'), join(folder, 'link'))
    writeFileSync(join(folder, 'own'), 'own', { mode: 0o600 })
    const before = ownerOf(join(outside, 'secret'))
    const fd = openSync(join(folder, 'own'), 'r')
    for (const swapped of ['hard', 'link', 'nothing'])
      ownership.takeIn({ fd, directory: turning(join(folder, swapped)), name: 'own' }, bucket)
    expect(ownerOf(join(outside, 'secret'))).toBe(before)
    // Its own name gives way to the rule; another one is not even looked at.
    ownership.takeIn({ fd, directory: turning(join(folder, 'own')), name: 'own' }, bucket)
    expect(ownerOf(join(folder, 'own'))).toBe(`${numbers.serviceUid}:${gids.demo} 660`)
    expect(privateName(volume, turning(join(folder, 'hard')), 'own', fd)).toBeUndefined()
    closeSync(fd)
  },
)

test('a tree of empty folders is removed without passing through a link', async () => {
  const { outside, folder } = await opened()
  mkdirSync(join(outside, 'empty'))
  mkdirSync(join(folder, 'a', 'b'), { recursive: true })
  expect(isEmptyTree(folder)).toBe(true)
  symlinkSync(outside, join(folder, 'a', 'link'))
  expect(isEmptyTree(folder)).toBe(false)
  expect(() => removeEmptyTree(folder)).toThrow(expect.objectContaining({ code: 'storage.bucket_not_empty' }))
  expect(lstatSync(join(outside, 'empty')).isDirectory()).toBe(true)
})

test('a FIFO in the place of a folder that is to be synced is not waited for', async () => {
  const { folder } = await opened()
  spawnSync('mkfifo', [join(folder, 'fifo')])
  // In a process of its own: whoever opens the FIFO never comes back.
  const script = `
    import { createDirectorySync } from ${JSON.stringify(join(import.meta.dirname, 'directory-sync.ts'))}
    import { createDiskTrust } from ${JSON.stringify(join(import.meta.dirname, 'disk-trust.ts'))}
    import { silentLogger } from ${JSON.stringify(join(import.meta.dirname, '..', 'foundation', 'log.ts'))}
    await createDirectorySync(createDiskTrust(silentLogger())).syncNearest(process.argv[1])
    console.log('synced')`
  const argv = ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', script, join(folder, 'fifo')]
  const { stdout } = spawnSync(process.execPath, argv, { encoding: 'utf8', timeout: 30_000 })
  expect(stdout.trim()).toBe('synced')
})
