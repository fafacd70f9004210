/** Streams of bytes, measured on their way. */
import { createHash, type Hash } from 'node:crypto'
import { Transform, type TransformCallback } from 'node:stream'
import { crc32 } from 'node:zlib'

export type MeterAlgorithm = 'md5' | 'sha1' | 'sha256' | 'crc32'

/** Passes bytes through unchanged and knows afterwards how many there were and what their checksums are. */
export class MeterStream extends Transform {
  sizeBytes = 0
  readonly #hashes: Map<MeterAlgorithm, Hash | { crc: number }>

  constructor(algorithms: readonly MeterAlgorithm[]) {
    super()
    this.#hashes = new Map(algorithms.map((name) => [name, name === 'crc32' ? { crc: 0 } : createHash(name)]))
  }

  override _transform(chunk: Buffer, _encoding: BufferEncoding, done: TransformCallback): void {
    this.sizeBytes += chunk.length
    for (const hash of this.#hashes.values()) {
      if ('crc' in hash) hash.crc = crc32(chunk, hash.crc)
      else hash.update(chunk)
    }
    done(null, chunk)
  }

  /** The checksum in hexadecimal, once, after the end of the stream. */
  digest(algorithm: MeterAlgorithm): string {
    const hash = this.#hashes.get(algorithm)
    if (hash === undefined) throw new TypeError(`${algorithm} was not measured`)
    return 'crc' in hash ? hash.crc.toString(16).padStart(8, '0') : hash.digest('hex')
  }
}

export function meterStream(algorithms: readonly MeterAlgorithm[]): MeterStream {
  return new MeterStream(algorithms)
}

/** Fails with `fault()` as soon as more than so many bytes have passed. */
export function limitStream(maxBytes: number, fault: () => Error): Transform {
  let sizeBytes = 0
  return new Transform({
    transform(chunk: Buffer, _encoding, done) {
      sizeBytes += chunk.length
      if (sizeBytes > maxBytes) done(fault())
      else done(null, chunk)
    },
  })
}
