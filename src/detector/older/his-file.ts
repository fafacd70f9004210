/**
 * HIS files of the HoKaWo program (Hamamatsu), the cameras' own format in the first years: pictures one after the other,
 * each a header of 64 bytes, a comment, and its pixels, all little-endian. Study of the domain, section 2.6.
 */
import { open, type FileHandle } from 'node:fs/promises'
import type { Frame } from '../camera.ts'
import { detectorFaults } from '../errors.ts'

const headerBytes = 64
/** Pixel types with one value per pixel; colour pictures (11, 12) are not from the detector. */
const pixelBytes: Record<number, number> = { 1: 1, 2: 2, 3: 4 }

export interface HisPicture {
  byteOffset: number
  width: number
  height: number
  bytesPerPixel: number
}

/** The places of all pictures. A file that ends in the middle of a picture gives the whole ones before it. Throws `badPictures`. */
export async function hisPictures(handle: FileHandle, path: string): Promise<HisPicture[]> {
  const { size } = await handle.stat()
  const pictures: HisPicture[] = []
  const header = Buffer.alloc(headerBytes)
  let at = 0
  while (at + headerBytes <= size) {
    await handle.read(header, 0, headerBytes, at)
    const bytesPerPixel = pixelBytes[header.readUInt16LE(12)]
    const [width, height] = [header.readUInt16LE(4), header.readUInt16LE(6)]
    if (header.toString('latin1', 0, 2) !== 'IM' || bytesPerPixel === undefined || width * height === 0) {
      throw detectorFaults.badPictures(`${path} holds no picture of the HIS format at byte ${at}.`, {
        hint: 'Only grey pictures are read. The pictures before that byte can be had by cutting the file there.',
      })
    }
    const byteOffset = at + headerBytes + header.readUInt16LE(2)
    at = byteOffset + width * height * bytesPerPixel
    if (at <= size) pictures.push({ byteOffset, width, height, bytesPerPixel })
  }
  return pictures
}

/** Values beyond 16 bits are cut to 65535. Throws `badPictures` for a file that became shorter. */
export async function readHisPicture(path: string, picture: HisPicture): Promise<Frame> {
  const { byteOffset, width, height, bytesPerPixel } = picture
  await using handle = await open(path, 'r')
  const bytes = Buffer.alloc(width * height * bytesPerPixel)
  const { bytesRead } = await handle.read(bytes, 0, bytes.length, byteOffset)
  if (bytesRead < bytes.length)
    throw detectorFaults.badPictures(`${path} became shorter: its picture at byte ${byteOffset} is not whole any more.`)
  const pixels = Uint16Array.from({ length: width * height }, (_, index) =>
    Math.min(0xffff, bytes.readUIntLE(index * bytesPerPixel, bytesPerPixel)),
  )
  return { camera: 0, width, height, pixels }
}
