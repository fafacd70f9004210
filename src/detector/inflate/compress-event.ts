import { promisify } from 'node:util'
import { crc32, deflateRaw } from 'node:zlib'
import { decodeBanks } from '../midas-bank.ts'
import { decodeEventHeader, eventHeaderBytes } from '../midas-event.ts'
import { encodeEventMember } from './gzip-member.ts'

/**
 * One event, header and body, as a gzip member whose head says what it holds: pieces to be written one after the other. The same event and level give
 * the same bytes. The work is done by a thread of the process.
 */
export async function compressEvent(event: Uint8Array, level: number): Promise<Uint8Array[]> {
  const deflated = await promisify(deflateRaw)(event, { level, chunkSize: 1 << 20 })
  const body = event.subarray(eventHeaderBytes)
  const decoded = decodeEventHeader(event).kind === 'event' ? decodeBanks(body) : { banks: [] }
  const { head, tail } = encodeEventMember(
    {
      uncompressedBytes: event.length,
      eventHeader: event.subarray(0, eventHeaderBytes),
      // Of a damaged event too little is known.
      banks:
        'damage' in decoded
          ? undefined
          : decoded.banks.map(({ name, type, data }) => ({
              name,
              type,
              sizeBytes: data.length,
              byteOffset: data.byteOffset - event.byteOffset,
            })),
    },
    deflated,
    crc32(event),
  )
  return [head, deflated, tail]
}
