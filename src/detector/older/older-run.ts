/** Runs of the years before MIDAS, whatever they were written with: ROOT histograms, HDF5, HIS. */
import { open, readdir, stat } from 'node:fs/promises'
import { basename, join } from 'node:path'
import type { Frame } from '../camera.ts'
import { detectorFaults } from '../errors.ts'
import { picturesOf, readRootPicture } from '../root-file/root-pictures.ts'
import { openRootFile } from '../root-file/root-reader.ts'
import { hdf5Pictures, inOrder, readHdf5Picture } from './hdf5-pictures.ts'
import type { Hdf5Picture } from './hdf5-pictures.ts'
import { hisPictures, readHisPicture } from './his-file.ts'

export interface OlderRun {
  format: 'ROOT' | 'HDF5' | 'HIS'
  /** From the file's name or content; undefined where neither tells. */
  number: number | undefined
  pictures: number
  /** Picture k from 0. */
  picture(k: number): Promise<Frame>
  close(): Promise<void>
}

/** Opens a file, or a folder of HDF5 files with one picture each. Throws `noSuchFile`, `badRootFile`, `badPictures`. */
export async function openOlderRun(path: string): Promise<OlderRun> {
  const found = await stat(path).catch((cause: Error) => {
    throw detectorFaults.noSuchFile(`There is no ${path} (${cause.message}).`, { cause })
  })
  const number = numberOf(path)
  if (found.isDirectory()) {
    const names = (await readdir(path)).filter((name) => /\.(h5|hdf5)$/i.test(name)).toSorted(inOrder.compare)
    return await hdf5Run(
      names.map((name) => join(path, name)),
      path,
      number,
    )
  }
  const handle = await open(path, 'r')
  try {
    const magic = Buffer.alloc(8)
    await handle.read(magic, 0, 8, 0)
    if (magic.toString('latin1', 1, 4) === 'HDF') return await hdf5Run([path], path, number)
    if (magic.toString('latin1', 0, 4) === 'root') return await rootRun(path, number)
    if (magic.toString('latin1', 0, 2) === 'IM') {
      const pictures = await hisPictures(handle, path)
      return {
        format: 'HIS',
        number,
        pictures: pictures.length,
        picture: async (k) => await readHisPicture(path, pictureAt(pictures, k, path)),
        close: async () => {},
      }
    }
  } finally {
    await handle.close()
  }
  throw detectorFaults.badPictures(`${path} is neither ROOT nor HDF5 nor HIS.`, {
    hint: 'Runs since 2021 are MIDAS files (.mid, .mid.gz); they need no conversion.',
  })
}

async function rootRun(path: string, number: number | undefined): Promise<OlderRun> {
  const file = await openRootFile(path)
  const pictures = picturesOf(file)
  return {
    format: 'ROOT',
    number: pictures[0]?.run ?? number,
    pictures: pictures.length,
    picture: async (k) => await readRootPicture(file, pictureAt(pictures, k, path)),
    close: () => file.close(),
  }
}

async function hdf5Run(paths: string[], path: string, number: number | undefined): Promise<OlderRun> {
  const pictures: Hdf5Picture[] = []
  for (const one of paths) pictures.push(...(await hdf5Pictures(one)))
  return {
    format: 'HDF5',
    number,
    pictures: pictures.length,
    picture: async (k) => await readHdf5Picture(pictureAt(pictures, k, path)),
    close: async () => {},
  }
}

function pictureAt<Picture>(pictures: readonly Picture[], k: number, path: string): Picture {
  const picture = pictures[k]
  if (picture === undefined)
    throw detectorFaults.noSuchEvent(`${path} has no picture ${k}: it holds ${pictures.length}, counted from 0.`)
  return picture
}

/** `Run00012`, `run12-0000.h5`, `histograms_Run00012.root`. */
function numberOf(path: string): number | undefined {
  const digits = /run0*(\d{1,9})/i.exec(basename(path))?.[1]
  return digits === undefined ? undefined : Number(digits)
}
