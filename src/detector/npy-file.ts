import { readFile } from 'node:fs/promises'
import { detectorFaults } from './errors.ts'

/** A NumPy array of numbers, row by row. */
export interface NpyArray {
  shape: number[]
  values: Float64Array
}

const readers: Record<string, { sizeBytes: number; read: (view: DataView, offset: number) => number }> = {
  '<i8': { sizeBytes: 8, read: (view, offset) => Number(view.getBigInt64(offset, true)) },
  '<i4': { sizeBytes: 4, read: (view, offset) => view.getInt32(offset, true) },
  '<i2': { sizeBytes: 2, read: (view, offset) => view.getInt16(offset, true) },
  '<u2': { sizeBytes: 2, read: (view, offset) => view.getUint16(offset, true) },
  '<f4': { sizeBytes: 4, read: (view, offset) => view.getFloat32(offset, true) },
  '<f8': { sizeBytes: 8, read: (view, offset) => view.getFloat64(offset, true) },
}

/**
 * Reads a `.npy` file (versions 1 to 3) of little-endian numbers in C order. Throws `noSuchFile`, or `badTable` with what does not fit.
 * Source: numpy.lib.format.
 */
export async function readNpy(path: string): Promise<NpyArray> {
  const bytes = await readFile(path).catch((cause: unknown) => {
    throw detectorFaults.noSuchFile(`There is no table ${path}.`, { cause })
  })
  return decodeNpy(bytes, path)
}

function decodeNpy(bytes: Uint8Array, name: string): NpyArray {
  const wrong = (what: string) => detectorFaults.badTable(`${name} ${what}.`)
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (
    bytes.length < 12 ||
    view.getUint8(0) !== 0x93 ||
    Buffer.from(bytes.subarray(1, 6)).toString('latin1') !== 'NUMPY'
  )
    throw wrong('does not begin as a .npy file does')
  const major = view.getUint8(6)
  if (major < 1 || major > 3) throw wrong(`is of .npy version ${major}, known are 1 to 3`)
  const start = major === 1 ? 10 : 12
  const headerBytes = major === 1 ? view.getUint16(8, true) : view.getUint32(8, true)
  const header = Buffer.from(bytes.subarray(start, start + headerBytes)).toString('latin1')
  const kind = /'descr':\s*'([^']*)'/.exec(header)?.[1]
  const shapeText = /'shape':\s*\(([^)]*)\)/.exec(header)?.[1]
  const reader = kind === undefined ? undefined : readers[kind]
  if (reader === undefined) throw wrong(`holds ${kind ?? 'nothing known'}, not little-endian numbers`)
  if (shapeText === undefined || !/'fortran_order':\s*False/.test(header)) throw wrong('is not in C order')
  const shape = shapeText
    .split(',')
    .filter((part) => part.trim() !== '')
    .map(Number)
  const count = shape.reduce((product, side) => product * side, 1)
  const left = bytes.length - start - headerBytes
  if (!Number.isSafeInteger(count) || count * reader.sizeBytes !== left)
    throw wrong(`says ${shape.join(' x ')} values of ${reader.sizeBytes} bytes and has ${left} bytes of them`)
  const values = new Float64Array(count)
  for (let i = 0; i < count; i++) values[i] = reader.read(view, start + headerBytes + i * reader.sizeBytes)
  return { shape, values }
}
