/**
 * Pictures in HDF5: datasets of two dimensions are a picture each (one `Image` per file, or many in one file), those of
 * three dimensions a stack of them. Read by the HDF5 library itself, compiled to WebAssembly.
 */
import type { Dataset, Group } from 'h5wasm/node'
import type { Frame } from '../camera.ts'
import { detectorFaults } from '../errors.ts'

export interface Hdf5Picture {
  path: string
  dataset: string
  /** Which picture of a stack; undefined for a dataset that is one picture. */
  layer: number | undefined
  width: number
  height: number
}

const mostPixels = 100_000_000
/** Names in the order of the numbers in them. */
export const inOrder = new Intl.Collator('en', { numeric: true })

/** The pictures of one file, in the order of their names, numbers counted as numbers. Throws `badPictures`. */
export async function hdf5Pictures(path: string): Promise<Hdf5Picture[]> {
  return await withFile(path, (file) => {
    const names: string[] = []
    walk(file, '', names, 0)
    return names.toSorted(inOrder.compare).flatMap((dataset): Hdf5Picture[] => {
      const shape = (file.get(dataset) as Dataset).shape ?? []
      const [height = 0, width = 0] = shape.slice(-2)
      if (width * height === 0 || width * height > mostPixels) return []
      if (shape.length === 2) return [{ path, dataset, layer: undefined, width, height }]
      return Array.from({ length: shape[0]! }, (_, layer) => ({ path, dataset, layer, width, height }))
    })
  })
}

/** Values are rounded and cut to 16 bits. Throws `badPictures`. */
export async function readHdf5Picture({ path, dataset, layer, width, height }: Hdf5Picture): Promise<Frame> {
  return await withFile(path, (file) => {
    const found = file.get(dataset) as Dataset
    const whole: [number, number][] = [
      [0, height],
      [0, width],
    ]
    const values = found.slice(layer === undefined ? whole : [[layer, layer + 1], ...whole])
    if (!ArrayBuffer.isView(values)) throw new TypeError('no numbers')
    const numbers = values as unknown as ArrayLike<number | bigint>
    const pixels = Uint16Array.from({ length: width * height }, (_, index) =>
      Math.max(0, Math.min(0xffff, Math.round(Number(numbers[index] ?? 0)))),
    )
    return { camera: 0, width, height, pixels }
  })
}

async function withFile<Result>(path: string, work: (file: Group) => Result): Promise<Result> {
  const { default: hdf5, ready } = await import('h5wasm/node')
  await ready
  let file: InstanceType<typeof hdf5.File> | undefined
  try {
    file = new hdf5.File(path, 'r')
    return work(file)
  } catch (cause) {
    throw detectorFaults.badPictures(`${path} cannot be read as HDF5 (${String(cause)}).`, {
      cause,
      hint: 'Check it with h5dump -H; copy it again from where it was made.',
    })
  } finally {
    file?.close()
  }
}

function walk(group: Group, prefix: string, names: string[], depth: number): void {
  for (const name of group.keys()) {
    const entry = group.get(name)
    const path = `${prefix}/${name}`
    if (entry === null || entry === undefined || depth > 16) continue
    if ('keys' in entry) walk(entry, path, names, depth + 1)
    else if ('shape' in entry && (entry.shape?.length === 2 || entry.shape?.length === 3)) names.push(path)
  }
}
