/**
 * Pictures of the years before MIDAS, and those of the collaboration's simulation: one TH2 per picture, named
 * `pic_run<run>_ev<event>` (or `pic_<event>`), whose contents are counts. Study of the domain, section 2.6.
 */
import type { Frame } from '../camera.ts'
import { RootInput } from './root-input.ts'
import { readRootObject } from './root-object.ts'
import type { RootObject } from './root-object.ts'
import { badFile } from './root-reader.ts'
import type { RootFile, RootKey } from './root-reader.ts'

export interface RootPictureKey {
  key: RootKey
  /** Undefined where the name does not tell. */
  run: number | undefined
  event: number
}

const pictureName = /(?:^|\/)pic_(?:run0*(\d{1,9})_ev)?(\d{1,9})$/

/** The pictures of a file, in order of their events. */
export function picturesOf(file: RootFile): RootPictureKey[] {
  return file.keys
    .filter(({ className }) => /^TH2[CSIFD]$/.test(className))
    .flatMap((key) => {
      const named = pictureName.exec(key.name)
      return named === null
        ? []
        : [{ key, run: named[1] === undefined ? undefined : Number(named[1]), event: Number(named[2]) }]
    })
    .toSorted((one, other) => one.event - other.event)
}

/**
 * Columns are the x axis, rows the y axis, both from the first bin on; under- and overflow are left out. Contents are
 * rounded to whole counts of 16 bits. Throws `badRootFile`.
 */
export async function readRootPicture(file: RootFile, { key }: Pick<RootPictureKey, 'key'>): Promise<Frame> {
  const bad = badFile(file.path)
  const { object, key: found } = await file.read(key)
  const histogram = readRootObject(key.className, new RootInput(object, found.keyBytes, bad), file.streamers)
  const width = binsOf(histogram.fXaxis)
  const height = binsOf(histogram.fYaxis)
  const contents = histogram.fArray
  if (
    !(contents instanceof Float64Array) ||
    !(width > 0 && height > 0) ||
    contents.length !== (width + 2) * (height + 2)
  )
    throw bad(`${key.name} is no picture of ${width} x ${height} bins`, key.position)
  const pixels = new Uint16Array(width * height)
  for (let row = 0; row < height; row++)
    for (let column = 0; column < width; column++) {
      const value = Math.round(contents[(row + 1) * (width + 2) + column + 1]!)
      pixels[row * width + column] = Math.max(0, Math.min(0xffff, value))
    }
  return { camera: 0, width, height, pixels }
}

const binsOf = (axis: unknown): number => Number((axis as RootObject | undefined)?.fNbins ?? 0)
