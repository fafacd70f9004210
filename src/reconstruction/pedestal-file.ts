/**
 * `pedestal.cyped`: the pedestal maps of a run's cameras in one plain file that can be mapped into memory.
 *
 *   bytes 0..7    'CYPED001'
 *   bytes 8..11   length of the header in bytes, uint32 little-endian
 *   header        JSON (UTF-8), padded with spaces so that the data begins at a multiple of 64
 *   data          for each camera: mean, then sigma; each width * height float32 little-endian, row by row, counts
 *
 * Header: { format, version, madeFrom, codeVersion, cameras: [{ camera, width, height, images, meanOffset, sigmaOffset,
 * quality }] } with offsets in bytes from the beginning of the file. In Python:
 * `numpy.memmap(path, '<f4', 'r', camera['meanOffset'], (camera['height'], camera['width']))`.
 */
import { open } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { z } from 'zod'
import { reconstructionFaults } from './errors.ts'
import type { PedestalMap, PedestalQuality } from './kernels/pedestal-map.ts'

const magic = 'CYPED001'
const alignment = 64

const headerSchema = z.object({
  format: z.literal('cygnet-pedestal'),
  version: z.literal(1),
  madeFrom: z.string(),
  codeVersion: z.string(),
  cameras: z.array(
    z.object({
      camera: z.int().min(0),
      width: z.int().min(1).max(65536),
      height: z.int().min(1).max(65536),
      images: z.int().min(1),
      meanOffset: z.int().min(0),
      sigmaOffset: z.int().min(0),
      quality: z.record(z.string(), z.unknown()),
    }),
  ),
})
export type PedestalHeader = z.infer<typeof headerSchema>

export interface CameraPedestal {
  camera: number
  map: PedestalMap
  quality: PedestalQuality
}

/** Writes a new file; `path` must not exist. */
export async function writePedestalFile(
  path: string,
  about: { madeFrom: string; codeVersion: string },
  cameras: readonly CameraPedestal[],
): Promise<void> {
  // Offsets have a fixed number of digits in the draft, so that filling them in cannot change the header's length.
  const draft = headerOf(about, cameras, 1_000_000_000_000)
  const start = Math.ceil((12 + Buffer.byteLength(JSON.stringify(draft))) / alignment) * alignment
  const header = Buffer.alloc(start - 12, ' ')
  header.write(JSON.stringify(headerOf(about, cameras, start)))
  const head = Buffer.alloc(12)
  head.write(magic)
  head.writeUInt32LE(header.length, 8)
  const file = await open(path, 'wx')
  try {
    await file.writeFile(Buffer.concat([head, header]))
    for (const { map } of cameras) {
      for (const values of [map.mean, map.sigma]) {
        await file.writeFile(new Uint8Array(values.buffer, values.byteOffset, values.byteLength))
      }
    }
    await file.sync()
  } finally {
    await file.close()
  }
}

function headerOf(
  about: { madeFrom: string; codeVersion: string },
  cameras: readonly CameraPedestal[],
  start: number,
): PedestalHeader {
  let offset = start
  return {
    format: 'cygnet-pedestal',
    version: 1,
    ...about,
    cameras: cameras.map(({ camera, map, quality }) => {
      const sizeBytes = map.mean.byteLength
      const meanOffset = offset
      offset += 2 * sizeBytes
      const { width, height, images } = map
      return { camera, width, height, images, meanOffset, sigmaOffset: meanOffset + sizeBytes, quality: { ...quality } }
    }),
  }
}

/** Header of a pedestal file. Throws `unreadablePedestal` saying what is wrong. */
export async function readPedestalHeader(path: string): Promise<PedestalHeader> {
  const file = await openPedestal(path)
  try {
    return await readHeader(path, file)
  } finally {
    await file.close()
  }
}

/** The maps of one camera; `sigma` is left empty when only the mean is asked for. */
export async function readPedestalMap(
  path: string,
  camera: number,
  want: 'mean' | 'mean-and-sigma' = 'mean-and-sigma',
): Promise<PedestalMap | undefined> {
  const file = await openPedestal(path)
  try {
    const header = await readHeader(path, file)
    const entry = header.cameras.find((one) => one.camera === camera)
    if (entry === undefined) return undefined
    const { width, height, images } = entry
    const read = async (offset: number) => {
      const values = new Float32Array(width * height)
      const { bytesRead } = await file.read(new Uint8Array(values.buffer), 0, values.byteLength, offset)
      if (bytesRead !== values.byteLength) throw broken(path, `ends ${values.byteLength - bytesRead} bytes early`)
      return values
    }
    const mean = await read(entry.meanOffset)
    const sigma = want === 'mean' ? new Float32Array(0) : await read(entry.sigmaOffset)
    return { width, height, images, mean, sigma }
  } finally {
    await file.close()
  }
}

async function openPedestal(path: string): Promise<FileHandle> {
  try {
    return await open(path, 'r')
  } catch (cause) {
    throw reconstructionFaults.unreadablePedestal(`The pedestal map ${path} cannot be opened.`, { cause })
  }
}

async function readHeader(path: string, file: FileHandle): Promise<PedestalHeader> {
  const head = Buffer.alloc(12)
  const { bytesRead } = await file.read(head, 0, 12, 0)
  if (bytesRead < 12 || head.toString('latin1', 0, 8) !== magic) throw broken(path, `does not begin with ${magic}`)
  const sizeBytes = head.readUInt32LE(8)
  if (sizeBytes > 16 * 1024 * 1024) throw broken(path, 'claims an impossible header')
  const text = Buffer.alloc(sizeBytes)
  await file.read(text, 0, sizeBytes, 12)
  try {
    return headerSchema.parse(JSON.parse(text.toString('utf8')))
  } catch (cause) {
    throw reconstructionFaults.unreadablePedestal(`The header of ${path} is not the header of a pedestal map.`, {
      cause,
    })
  }
}

function broken(path: string, what: string) {
  return reconstructionFaults.unreadablePedestal(`The pedestal map ${path} ${what}.`)
}
