/** Reads big-endian members one after the other; past the end it throws the Fault it was given, with the byte. */
import type { Fault } from '../../foundation/errors.ts'

export class RootInput {
  readonly bytes: Uint8Array
  readonly #view: DataView
  /** What positions inside the object count from: the key before it belongs to the count. */
  readonly origin: number
  readonly #bad: (what: string, byte: number) => Fault
  at = 0

  constructor(bytes: Uint8Array, origin: number, bad: (what: string, byte: number) => Fault) {
    this.bytes = bytes
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
    this.origin = origin
    this.#bad = bad
  }

  u8(): number {
    return this.#view.getUint8(this.#take(1))
  }

  i8(): number {
    return this.#view.getInt8(this.#take(1))
  }

  i16(): number {
    return this.#view.getInt16(this.#take(2))
  }

  u16(): number {
    return this.#view.getUint16(this.#take(2))
  }

  i32(): number {
    return this.#view.getInt32(this.#take(4))
  }

  u32(): number {
    return this.#view.getUint32(this.#take(4))
  }

  i64(): number {
    return Number(this.#view.getBigInt64(this.#take(8)))
  }

  u64(): number {
    return Number(this.#view.getBigUint64(this.#take(8)))
  }

  f32(): number {
    return this.#view.getFloat32(this.#take(4))
  }

  f64(): number {
    return this.#view.getFloat64(this.#take(8))
  }

  /** A length byte (255: four bytes more), then the letters. */
  string(): string {
    const short = this.u8()
    return this.text(short === 255 ? this.i32() : short)
  }

  text(length: number): string {
    const start = this.#take(length)
    return new TextDecoder('latin1').decode(this.bytes.subarray(start, start + length))
  }

  /** Up to a zero byte. */
  textToZero(): string {
    const end = this.bytes.indexOf(0, this.at)
    if (end < 0) throw this.fault('a name has no end')
    const text = this.text(end - this.at)
    this.skip(1)
    return text
  }

  skip(length: number): void {
    this.#take(length)
  }

  get left(): number {
    return this.bytes.length - this.at
  }

  fault(what: string): Fault {
    return this.#bad(what, this.origin + this.at)
  }

  #take(length: number): number {
    const start = this.at
    if (!(length >= 0 && start + length <= this.bytes.length)) throw this.fault('an object ends early')
    this.at = start + length
    return start
  }
}
