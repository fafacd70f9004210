/** Big-endian bytes as ROOT streams objects: strings with a length byte, objects with a byte count and a version before them. */

const byteCountMask = 0x40000000
/** References between objects of one record count from here, two past the start of the record. */
export const referenceOffset = 2
const newClassTag = 0xffffffff

export class RootBytes {
  #bytes = new Uint8Array(1024)
  #view = new DataView(this.#bytes.buffer)
  length = 0

  u8(value: number): this {
    const at = this.#grow(1)
    this.#view.setUint8(at, value)
    return this
  }

  i16(value: number): this {
    const at = this.#grow(2)
    this.#view.setInt16(at, value)
    return this
  }

  i32(value: number): this {
    const at = this.#grow(4)
    this.#view.setInt32(at, value)
    return this
  }

  u32(value: number): this {
    const at = this.#grow(4)
    this.#view.setUint32(at, value)
    return this
  }

  i64(value: number): this {
    const at = this.#grow(8)
    this.#view.setBigInt64(at, BigInt(value))
    return this
  }

  f32(value: number): this {
    const at = this.#grow(4)
    this.#view.setFloat32(at, value)
    return this
  }

  f64(value: number): this {
    const at = this.#grow(8)
    this.#view.setFloat64(at, value)
    return this
  }

  raw(bytes: Uint8Array): this {
    const at = this.#grow(bytes.length)
    this.#bytes.set(bytes, at)
    return this
  }

  string(text: string): this {
    const bytes = new TextEncoder().encode(text)
    if (bytes.length < 255) this.u8(bytes.length)
    else this.u8(255).i32(bytes.length)
    return this.raw(bytes)
  }

  /** An object of a class version: the number of bytes that follow, the version, the members. */
  object(version: number, members: () => void): this {
    const start = this.#grow(4)
    this.i16(version)
    members()
    this.#view.setUint32(start, (byteCountMask | (this.length - start - 4)) >>> 0)
    return this
  }

  /** An object behind a pointer: its class is named. Answers the position by which others of the same record refer to it. */
  pointer(className: string, write: () => void): number {
    const start = this.#grow(4)
    this.u32(newClassTag)
    this.raw(new TextEncoder().encode(`${className}\0`))
    write()
    this.#view.setUint32(start, (byteCountMask | (this.length - start - 4)) >>> 0)
    return start
  }

  /** TObject, version 1; `bits` beside those every object on a heap has. */
  tObject(bits = 0): this {
    return this.i16(1)
      .u32(0)
      .u32(0x03000000 | bits)
  }

  tNamed(name: string, title: string, bits = 0): this {
    return this.object(1, () => this.tObject(bits).string(name).string(title))
  }

  /** TObjArray, version 3. */
  tObjArray(length: number, members: () => void): this {
    return this.object(3, () => {
      this.tObject().string('').i32(length).i32(0)
      members()
    })
  }

  take(): Uint8Array {
    return this.#bytes.slice(0, this.length)
  }

  #grow(bytes: number): number {
    const start = this.length
    this.length += bytes
    if (this.length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.length, 2 * this.#bytes.length))
      larger.set(this.#bytes)
      this.#bytes = larger
      this.#view = new DataView(larger.buffer)
    }
    return start
  }
}
