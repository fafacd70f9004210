import { spawnSync } from 'node:child_process'
import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Fault } from '../../foundation/errors.ts'
import { rounds, temporaryDirectory } from '../../foundation/testing.ts'
import { openMidasIndex, readPictureAt } from '../midas-index.ts'
import { readRunFacts } from '../run-facts.ts'
import { convertOlderRun } from './convert-older-run.ts'
import { openOlderRun } from './older-run.ts'

const python = process.env.CYGNET_TEST_PYTHON
const has = (module: string): boolean =>
  python !== undefined && spawnSync(python, ['-c', `import ${module}`]).status === 0
const withH5py = has('h5py') ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with h5py)'
const withUproot = has('uproot') ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with uproot)'

/** Counts of pixel (column, row) of picture k, the same in all formats of this file. */
const countsAt = (k: number, column: number, row: number): number => 90 + ((column * 7 + row * 13 + k * 5) % 60)

function expectedPixels(k: number, width: number, height: number): number[] {
  return Array.from({ length: width * height }, (_, at) => countsAt(k, at % width, Math.floor(at / width)))
}

function inPython(program: string, ...argv: string[]): void {
  const { status, stderr } = spawnSync(python!, ['-c', program, ...argv], { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

function hisPicture(k: number, width: number, height: number, bytesPerPixel: 1 | 2 | 4, comment: string): Buffer {
  const header = Buffer.alloc(64)
  header.write('IM', 'latin1')
  header.writeUInt16LE(comment.length, 2)
  header.writeUInt16LE(width, 4)
  header.writeUInt16LE(height, 6)
  header.writeUInt16LE(bytesPerPixel === 4 ? 3 : bytesPerPixel, 12)
  const pixels = Buffer.alloc(width * height * bytesPerPixel)
  expectedPixels(k, width, height).forEach((value, at) => pixels.writeUIntLE(value, at * bytesPerPixel, bytesPerPixel))
  return Buffer.concat([header, Buffer.from(comment, 'latin1'), pixels])
}

test('HIS pictures of all pixel sizes, with comments; a cut file keeps its whole pictures', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'Run00815.HIS')
  const bytes = Buffer.concat([
    hisPicture(0, 30, 20, 2, 'HiPic comment'),
    hisPicture(1, 30, 20, 1, ''),
    hisPicture(2, 30, 20, 4, 'x'),
  ])
  await writeFile(path, bytes)
  const run = await openOlderRun(path)
  expect(run).toMatchObject({ format: 'HIS', number: 815, pictures: 3 })
  for (let k = 0; k < 3; k++) {
    const { width, height, pixels } = await run.picture(k)
    expect([width, height]).toEqual([30, 20])
    expect([...pixels]).toEqual(expectedPixels(k, 30, 20))
  }
  await expect(run.picture(3)).rejects.toThrow(/no picture 3: it holds 3/)
  await writeFile(path, bytes.subarray(0, bytes.length - 10))
  expect((await openOlderRun(path)).pictures).toBe(2)
})

test('no bytes make the HIS reader throw anything but a Fault', async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'x.HIS')
  const sound = hisPicture(0, 8, 6, 2, 'comment')
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.nat(sound.length - 1), fc.nat(255)), { maxLength: 6 }),
      fc.nat(sound.length),
      async (changes, cut) => {
        const bytes = Buffer.from(sound.subarray(0, cut))
        for (const [at, value] of changes) if (at < bytes.length) bytes[at] = value
        await writeFile(path, bytes)
        try {
          const run = await openOlderRun(path)
          for (let k = 0; k < run.pictures; k++) await run.picture(k)
        } catch (error) {
          if (!(error instanceof Fault)) throw error
        }
      },
    ),
    { numRuns: rounds(150) },
  )
})

test.skipIf(!has('h5py'))(`HDF5: a folder of single pictures, one file of many, a stack${withH5py}`, async () => {
  await using folder = await temporaryDirectory()
  const single = join(folder.path, 'Run42')
  await mkdir(single)
  inPython(
    `
import sys, h5py, numpy as np
def picture(k, w=24, h=16): return (90 + (np.add.outer(np.arange(h) * 13, np.arange(w) * 7) + k * 5) % 60)
for k in range(12):
    with h5py.File(f'{sys.argv[1]}/Run42/run42-{k}.h5', 'w') as f: f['Image'] = picture(k).astype('i4')
with h5py.File(sys.argv[1] + '/histograms_Run00043.hdf5', 'w') as f:
    for k in range(11): f.create_dataset(f'pics/pic_{k}', data=picture(k).astype('f4'), compression='gzip')
    f['temperature'] = np.arange(5.)
with h5py.File(sys.argv[1] + '/Run44.h5', 'w') as f: f['stack'] = np.stack([picture(k) for k in range(3)]).astype('u2')
`,
    folder.path,
  )
  for (const [name, number, pictures] of [
    ['Run42', 42, 12],
    ['histograms_Run00043.hdf5', 43, 11],
    ['Run44.h5', 44, 3],
  ] as const) {
    const run = await openOlderRun(join(folder.path, name))
    expect(run).toMatchObject({ format: 'HDF5', number, pictures })
    for (let k = 0; k < pictures; k++) {
      const { width, height, pixels } = await run.picture(k)
      expect([width, height]).toEqual([24, 16])
      expect([...pixels]).toEqual(expectedPixels(k, 24, 16))
    }
  }
  await writeFile(join(folder.path, 'bad.h5'), Buffer.from('\u0089HDF\r\n\u001a\nand nothing of it', 'latin1'))
  await expect(openOlderRun(join(folder.path, 'bad.h5'))).rejects.toThrow(/cannot be read as HDF5/)
})

test.skipIf(!has('uproot'))(`an older run becomes a MIDAS run with the same pixels${withUproot}`, async () => {
  await using folder = await temporaryDirectory()
  const path = join(folder.path, 'histograms_Run00217.root')
  inPython(
    `
import sys, numpy as np, uproot
with uproot.recreate(sys.argv[1]) as file:
    for k in range(3):
        counts = 90 + (np.add.outer(np.arange(40) * 7, np.arange(24) * 13) + k * 5) % 60
        file[f'pic_run00217_ev{k}'] = (counts.astype('f8'), np.arange(41.), np.arange(25.))
`,
    path,
  )
  for (const gzip of [false, true]) {
    const converted = await convertOlderRun(path, {
      directory: join(folder.path, 'not', 'there', 'yet'),
      startMs: Date.UTC(2019, 4, 6),
      gzip,
      kind: 'pedestal',
    })
    expect(converted).toMatchObject({ number: 217, pictures: 3 })
    expect(await readRunFacts(converted.path)).toMatchObject({
      complete: true,
      number: 217,
      kind: 'pedestal',
      images: 3,
      frameWidth: 40,
      frameHeight: 24,
      startedMs: Date.UTC(2019, 4, 6),
      description: 'ROOT pictures of histograms_Run00217.root, converted',
    })
    const index = await openMidasIndex(converted.path)
    const { frames } = await readPictureAt(index, 2, { hint: { width: 40, height: 24 } })
    expect([...frames[0]!.pixels]).toEqual(expectedPixels(2, 40, 24))
  }
  await expect(
    convertOlderRun(path, { directory: join(folder.path, 'not', 'there', 'yet'), startMs: 0 }),
  ).rejects.toThrow(/never overwritten/)
})
