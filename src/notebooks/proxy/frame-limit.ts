/**
 * Reads the frame headers (RFC 6455 section 5.2) of what a browser sends on a websocket and lets whole, plain, bounded
 * messages through. No extension is ever agreed on, so nothing is compressed and nothing can grow behind us.
 */
import { Transform, type TransformCallback } from 'node:stream'

/** Why a websocket is ended, as the close code says it. */
const protocolError = 1002
const messageTooBig = 1009

const longestHeader = 14

export interface FrameLimitOptions {
  /** Of one message, however it is cut into frames. */
  mostBytes: number
  /** Called once; nothing of the offending frame or after it has been passed on. */
  onRefused(code: number): void
}

export function createFrameLimit({ mostBytes, onRefused }: FrameLimitOptions): Transform {
  let header: Buffer = Buffer.alloc(0)
  let payloadLeft = 0
  let messageBytes = 0
  let isRefused = false

  function accept(frame: FrameHeader): number | undefined {
    const isControl = frame.opcode >= 8
    const known = frame.opcode <= 2 || (frame.opcode >= 8 && frame.opcode <= 10)
    if (!known || frame.reserved !== 0 || !frame.isMasked) return protocolError
    if (isControl) return frame.isFinal && frame.payloadBytes <= 125 ? undefined : protocolError
    messageBytes = frame.opcode === 0 ? messageBytes + frame.payloadBytes : frame.payloadBytes
    return messageBytes > mostBytes ? messageTooBig : undefined
  }

  return new Transform({
    transform(chunk: Buffer, _encoding, done: TransformCallback) {
      let at = 0
      while (at < chunk.length && !isRefused) {
        if (payloadLeft > 0) {
          const take = Math.min(payloadLeft, chunk.length - at)
          this.push(chunk.subarray(at, at + take))
          payloadLeft -= take
          at += take
          continue
        }
        const held = header.length
        const candidate = Buffer.concat([header, chunk.subarray(at, at + longestHeader - held)])
        const frame = readHeader(candidate)
        if (frame === undefined) {
          header = candidate
          break
        }
        const code = accept(frame)
        if (code !== undefined) {
          isRefused = true
          onRefused(code)
          break
        }
        this.push(candidate.subarray(0, frame.headerBytes))
        at += frame.headerBytes - held
        header = Buffer.alloc(0)
        payloadLeft = frame.payloadBytes
      }
      done()
    },
  })
}

interface FrameHeader {
  isFinal: boolean
  reserved: number
  opcode: number
  isMasked: boolean
  payloadBytes: number
  headerBytes: number
}

/** undefined: more bytes are needed. */
function readHeader(bytes: Buffer): FrameHeader | undefined {
  if (bytes.length < 2) return undefined
  const short = bytes[1]! & 0x7f
  const isMasked = (bytes[1]! & 0x80) !== 0
  const extended = short === 126 ? 2 : short === 127 ? 8 : 0
  const headerBytes = 2 + extended + (isMasked ? 4 : 0)
  if (bytes.length < headerBytes) return undefined
  const payloadBytes =
    extended === 0 ? short : extended === 2 ? bytes.readUInt16BE(2) : Number(bytes.readBigUInt64BE(2))
  return {
    isFinal: (bytes[0]! & 0x80) !== 0,
    reserved: bytes[0]! & 0x70,
    opcode: bytes[0]! & 0x0f,
    isMasked,
    payloadBytes,
    headerBytes,
  }
}

/** A Close frame of a server. */
export function closeFrame(code: number): Buffer {
  return Buffer.from([0x88, 0x02, code >> 8, code & 0xff])
}
