import { bankFlags } from './midas-event.ts'

export type BankFormat = keyof typeof bankFlags
export type BankType = 'u8' | 'i8' | 'char' | 'u16' | 'i16' | 'u32' | 'i32' | 'bool' | 'f32' | 'f64' | 'i64' | 'u64'

export interface MidasBank {
  /** Four characters, e.g. CAM0, DIG0, DGH0. */
  name: string
  /** The type word of the format (4 = u16, 6 = u32, ...). */
  type: number
  data: Uint8Array
}

export interface DecodedBanks {
  format: BankFormat
  banks: MidasBank[]
  /** Why the rest of the body could not be read; the banks before it are sound. */
  damage?: string
}

/** Type words of the format and the size of one element. */
export const bankTypes: Record<BankType, { word: number; sizeBytes: number }> = {
  u8: { word: 1, sizeBytes: 1 },
  i8: { word: 2, sizeBytes: 1 },
  char: { word: 3, sizeBytes: 1 },
  u16: { word: 4, sizeBytes: 2 },
  i16: { word: 5, sizeBytes: 2 },
  u32: { word: 6, sizeBytes: 4 },
  i32: { word: 7, sizeBytes: 4 },
  bool: { word: 8, sizeBytes: 4 },
  f32: { word: 9, sizeBytes: 4 },
  f64: { word: 10, sizeBytes: 8 },
  i64: { word: 17, sizeBytes: 8 },
  u64: { word: 18, sizeBytes: 8 },
}

export const bankHeaderBytes: Record<BankFormat, number> = { '16-bit': 8, '32-bit': 12, '32-bit-aligned': 16 }

export function bankFormatOf(flags: number): BankFormat | undefined {
  for (const [format, value] of Object.entries(bankFlags)) if (value === flags) return format as BankFormat
  return undefined
}

/** Size of bank data in the event: padded to a multiple of 8. */
export const paddedBytes = (sizeBytes: number): number => Math.ceil(sizeBytes / 8) * 8

export function decodeBankHeader(
  bytes: Uint8Array,
  format: BankFormat,
): { name: string; type: number; sizeBytes: number } {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bankHeaderBytes[format])
  const name = String.fromCharCode(view.getUint8(0), view.getUint8(1), view.getUint8(2), view.getUint8(3))
  return format === '16-bit'
    ? { name, type: view.getUint16(4, true), sizeBytes: view.getUint16(6, true) }
    : { name, type: view.getUint32(4, true), sizeBytes: view.getUint32(8, true) }
}

/** Reads the banks of an event body. Bank data are views into `body`, not copies. */
export function decodeBanks(body: Uint8Array): DecodedBanks {
  if (body.length < 8)
    return { format: '32-bit', banks: [], damage: `a body of ${body.length} bytes cannot hold banks` }
  const view = new DataView(body.buffer, body.byteOffset, body.length)
  const format = bankFormatOf(view.getUint32(4, true))
  if (!format)
    return {
      format: '32-bit',
      banks: [],
      damage: `bank flags 0x${view.getUint32(4, true).toString(16)} are none of the three known forms`,
    }
  const total = view.getUint32(0, true)
  const end = Math.min(8 + total, body.length)
  const banks: MidasBank[] = []
  let damage: string | undefined =
    8 + total > body.length ? `banks of ${total} bytes do not fit in a body of ${body.length}` : undefined
  const headerBytes = bankHeaderBytes[format]
  for (let offset = 8; offset + headerBytes <= end;) {
    if (banks.length === banksAtMost) {
      damage = tooManyBanks
      break
    }
    const header = decodeBankHeader(body.subarray(offset), format)
    const start = offset + headerBytes
    if (start + header.sizeBytes > end) {
      damage = oversizeBank(header.name, header.sizeBytes, end - start)
      break
    }
    banks.push({ name: header.name, type: header.type, data: body.subarray(start, start + header.sizeBytes) })
    offset = start + paddedBytes(header.sizeBytes)
  }
  return { format, banks, ...(damage === undefined ? {} : { damage }) }
}

/** No event has more than a few dozen; a million empty ones would only fill the memory. */
export const banksAtMost = 4096
export const tooManyBanks = `more than ${banksAtMost} banks`

export const oversizeBank = (name: string, sizeBytes: number, leftBytes: number): string =>
  `bank ${JSON.stringify(name.replace(/[^\x20-\x7e]/g, '?'))} claims ${sizeBytes} bytes where ${leftBytes} are left`

/** The body of an event with these banks, in pieces so that large banks are not copied. `16-bit` banks hold at most 65535 bytes. */
export function encodeBanks(
  banks: readonly MidasBank[],
  format: BankFormat = '32-bit',
): { pieces: Uint8Array[]; sizeBytes: number } {
  const pieces: Uint8Array[] = []
  const head = new Uint8Array(8)
  pieces.push(head)
  let total = 0
  for (const bank of banks) {
    if (bank.name.length !== 4)
      throw new RangeError(`a bank name has four characters, not ${JSON.stringify(bank.name)}`)
    if (format === '16-bit' && bank.data.length > 0xffff)
      throw new RangeError(`bank ${bank.name} of ${bank.data.length} bytes needs 32-bit headers`)
    const header = new Uint8Array(bankHeaderBytes[format])
    const view = new DataView(header.buffer)
    for (let i = 0; i < 4; i++) view.setUint8(i, bank.name.charCodeAt(i))
    if (format === '16-bit') {
      view.setUint16(4, bank.type, true)
      view.setUint16(6, bank.data.length, true)
    } else {
      view.setUint32(4, bank.type, true)
      view.setUint32(8, bank.data.length, true)
    }
    const padding = paddedBytes(bank.data.length) - bank.data.length
    pieces.push(header, bank.data)
    if (padding > 0) pieces.push(new Uint8Array(padding))
    total += header.length + bank.data.length + padding
  }
  const headView = new DataView(head.buffer)
  headView.setUint32(0, total, true)
  headView.setUint32(4, bankFlags[format], true)
  return { pieces, sizeBytes: total + 8 }
}

/** The numbers of a bank whose type is numeric, e.g. the 26 floats of a high-voltage readback; undefined for strings, structures and unknown types. */
export function bankNumbers(bank: MidasBank): number[] | undefined {
  const found = Object.entries(bankTypes).find(([, type]) => type.word === bank.type)
  if (!found || found[0] === 'char') return undefined
  const [name, { sizeBytes }] = found
  const view = new DataView(bank.data.buffer, bank.data.byteOffset, bank.data.byteLength)
  return Array.from({ length: Math.floor(bank.data.length / sizeBytes) }, (_, i) =>
    readNumber[name as keyof typeof readNumber](view, i * sizeBytes),
  )
}

const readNumber: Record<Exclude<BankType, 'char'>, (view: DataView, offset: number) => number> = {
  u8: (view, offset) => view.getUint8(offset),
  i8: (view, offset) => view.getInt8(offset),
  u16: (view, offset) => view.getUint16(offset, true),
  i16: (view, offset) => view.getInt16(offset, true),
  u32: (view, offset) => view.getUint32(offset, true),
  i32: (view, offset) => view.getInt32(offset, true),
  bool: (view, offset) => view.getUint32(offset, true),
  f32: (view, offset) => view.getFloat32(offset, true),
  f64: (view, offset) => view.getFloat64(offset, true),
  i64: (view, offset) => Number(view.getBigInt64(offset, true)),
  u64: (view, offset) => Number(view.getBigUint64(offset, true)),
}
