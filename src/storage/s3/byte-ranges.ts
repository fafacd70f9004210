import { storageFaults } from '../errors.ts'
import type { ByteRange } from '../model.ts'

const maxRanges = 100

/**
 * The ranges a Range header asks for, in its order; undefined for the whole object (no header, one that cannot be
 * read, or a flood of ranges). Throws 'storage.invalid_range' if none of them is inside.
 */
export function parseRanges(header: string | undefined, sizeBytes: number): ByteRange[] | undefined {
  const list = header === undefined ? null : /^bytes=([\d\s,-]+)$/.exec(header.trim())
  if (list === null) return undefined
  const specs = list[1]!.split(',').map((spec) => /^\s*(\d{0,16})-(\d{0,16})\s*$/.exec(spec))
  if (specs.length > maxRanges) return undefined
  const ranges: ByteRange[] = []
  for (const spec of specs) {
    if (spec === null) return undefined
    const [, first, last] = spec as unknown as [string, string, string]
    if (first === '' && last === '') return undefined
    if (first !== '' && last !== '' && Number(first) > Number(last)) return undefined
    const range =
      first === ''
        ? { start: Math.max(0, sizeBytes - Number(last)), end: sizeBytes - 1 }
        : { start: Number(first), end: Math.min(last === '' ? Infinity : Number(last), sizeBytes - 1) }
    if (range.start <= range.end) ranges.push(range)
  }
  if (ranges.length === 0)
    throw storageFaults.invalidRange(`The object has ${sizeBytes} bytes.`, { extra: { sizeBytes } })
  return ranges
}
