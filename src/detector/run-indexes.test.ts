import { readdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { readPictureAt } from './midas-index.ts'
import { readRunFacts } from './run-facts.ts'
import { openRunIndexes } from './run-indexes.ts'
import type { Picture } from './midas-index.ts'
import { gzipped, pictureRun } from './sample-frames.ts'

async function open(options: { maximumBytes?: number } = {}) {
  const { path } = await temporaryDirectory()
  const folder = join(path, 'cache', 'run-indexes')
  const indexes = openRunIndexes({ folder, ...options })
  onTestFinished(() => indexes.close())
  return { folder, indexes }
}

const light = ({ event, frames }: Picture) => [event.serialNumber, frames[0]!.pixels.reduce((sum, one) => sum + one, 0)]

test('pictures of a run compressed by gzip, asked for at once and again later, are those of the plain run', async () => {
  const { folder, indexes } = await open()
  const plain = await pictureRun({ pictures: 8, side: 500 })
  const path = await gzipped(plain, 1)
  const asked = [0, 7, 3, 7, 8, 99]
  const answers = await Promise.allSettled(asked.map((picture) => indexes.readPicture(path, picture)))
  for (const [i, answer] of answers.entries()) {
    if (asked[i]! >= 8) {
      expect(answer).toMatchObject({ reason: { code: 'detector.no_such_event', extra: { pictures: 8 } } })
      continue
    }
    if (answer.status === 'rejected') throw answer.reason
    expect(light(answer.value)).toEqual(light(await readPictureAt(plain, asked[i]!)))
  }
  expect(await readdir(folder)).toHaveLength(1)
  const later = openRunIndexes({ folder })
  onTestFinished(() => later.close())
  for (const picture of [7, 0, 4])
    expect(light(await later.readPicture(path, picture))).toEqual(light(await readPictureAt(plain, picture)))
  expect((await later.index(path)).pictures).toHaveLength(8)
})

test('the facts of a compressed run are those of the plain one and leave its index', async () => {
  const { folder, indexes } = await open()
  const plain = await pictureRun({ pictures: 4, side: 200 })
  const path = await gzipped(plain, 1)
  expect(await indexes.readFacts(path)).toEqual({ ...(await readRunFacts(plain)), sizeBytes: (await stat(path)).size })
  expect(await readdir(folder)).toHaveLength(1)
  expect(await indexes.readFacts(plain)).toEqual(await readRunFacts(plain))
  const members = await pictureRun({ pictures: 4, side: 200, gzip: true })
  expect(await indexes.readFacts(members)).toMatchObject({ images: 4, complete: true })
})

test('plain files and files of event members need no index', async () => {
  const { folder, indexes } = await open()
  for (const gzip of [false, true]) {
    const path = await pictureRun({ pictures: 4, side: 200, gzip })
    expect((await indexes.readPicture(path, 3)).event.serialNumber).toBe(3)
    await expect(indexes.readPicture(path, 4)).rejects.toMatchObject({ extra: { pictures: 4 } })
  }
  expect(await readdir(folder).catch(() => [])).toEqual([])
})

test('a replaced run is indexed anew; a damaged one shows what is sound', async () => {
  const { indexes } = await open()
  const path = await gzipped(await pictureRun({ pictures: 6, side: 400, seed: 1 }), 1)
  const first = light(await indexes.readPicture(path, 2))
  const other = await gzipped(await pictureRun({ pictures: 6, side: 400, seed: 2 }), 1)
  await writeFile(path, await readFile(other))
  const second = light(await indexes.readPicture(path, 2))
  expect(second).not.toEqual(first)
  expect(second).toEqual(light(await readPictureAt(other, 2)))
  await truncate(path, Math.round((await stat(path)).size * 0.6))
  expect(light(await indexes.readPicture(path, 2))).toEqual(second)
  await expect(indexes.readPicture(path, 5)).rejects.toMatchObject({ code: 'detector.no_such_event' })
})

test('the folder stays within its size; what was used last stays', async () => {
  const runs = await Promise.all([0, 1, 2].map((seed) => pictureRun({ pictures: 3, side: 300, seed })))
  const paths = await Promise.all(runs.map((path) => gzipped(path, 1)))
  const { folder, indexes } = await open({ maximumBytes: 30_000 })
  const sizes: number[] = []
  for (const path of paths) {
    await indexes.readFacts(path)
    await expect
      .poll(async () => {
        const all = await Promise.all((await readdir(folder)).map((name) => stat(join(folder, name))))
        sizes.push(all.length)
        return all.reduce((sum, one) => sum + one.size, 0)
      })
      .toBeLessThanOrEqual(30_000)
  }
  expect(Math.max(...sizes)).toBeGreaterThan(0)
})

test('no such file, a signal, a closed reader: said at once', async () => {
  const { indexes, folder } = await open()
  await expect(indexes.readPicture(join(folder, 'none.mid.gz'), 0)).rejects.toMatchObject({
    code: 'detector.no_such_file',
  })
  const path = await gzipped(await pictureRun({ pictures: 20, side: 500 }), 1)
  const aborted = AbortSignal.abort()
  await expect(indexes.readPicture(path, 0, { signal: aborted })).rejects.toMatchObject({ name: 'AbortError' })
  const controller = new AbortController()
  const reading = indexes.readFacts(path, { signal: controller.signal })
  controller.abort()
  await expect(reading).rejects.toMatchObject({ name: 'AbortError' })
})
