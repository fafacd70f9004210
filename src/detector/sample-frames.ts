/** For tests only: runs with pictures that compress as real ones do, made in no time. */
import { execFile } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { temporaryDirectory } from '../foundation/testing.ts'
import { createMidasWriter } from './midas-writer.ts'

/** Pixels of a pedestal of about 100 counts with some noise. */
export function noisyPixels(count: number, seed: number): Uint8Array {
  const pixels = new Uint16Array(count)
  let state = seed + 1
  for (let i = 0; i < count; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    pixels[i] = 92 + ((state >>> 28) & 7) + ((state >>> 24) & 7)
  }
  return new Uint8Array(pixels.buffer)
}

/** A run of square pictures, with a slow event after every third. */
export async function pictureRun(options: {
  pictures: number
  side: number
  gzip?: boolean
  folder?: string
  seed?: number
}): Promise<string> {
  const folder = options.folder ?? (await temporaryDirectory()).path
  const path = join(folder, options.gzip ? 'run00042.mid.gz' : 'run00042.mid')
  const writer = await createMidasWriter(path, { gzip: options.gzip ?? false, level: 1 })
  const run = { number: 42, timestampSeconds: 1000, odb: { Runinfo: { 'Run number': 42 } } }
  await writer.beginOfRun(run)
  for (let serialNumber = 0; serialNumber < options.pictures; serialNumber++) {
    const data = noisyPixels(options.side ** 2, serialNumber + 1000 * (options.seed ?? 0))
    await writer.event({ id: 1, serialNumber, timestampSeconds: 1001, banks: [{ name: 'CAM0', type: 4, data }] })
    if (serialNumber % 3 === 2)
      await writer.event({
        id: 7,
        serialNumber: Math.floor(serialNumber / 3),
        timestampSeconds: 1001,
        banks: [{ name: 'TCAM', type: 10, data: new Uint8Array(8) }],
        format: '16-bit',
      })
  }
  await writer.endOfRun(run)
  await writer.close()
  return path
}

/** The file as the `gzip` program compresses it: one member, with a name. */
export async function gzipped(path: string, level = 6): Promise<string> {
  const { stdout } = await promisify(execFile)('gzip', [`-${level}`, '-c', path], {
    encoding: 'buffer',
    maxBuffer: 1 << 30,
  })
  await writeFile(`${path}.gz`, stdout)
  return `${path}.gz`
}
