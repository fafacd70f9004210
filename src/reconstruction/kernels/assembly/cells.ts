/**
 * Stage 1 in SIMD: raw image to weight and edge cells; the definition stands in ../image-cells.ts.
 *
 * The fast path works on 4 rows x 8 columns (two cells) in 16-bit lanes: a kept pixel less than 256 counts above its
 * pedestal fits in 16 bits of 1/256 count, and a wrapped subtraction of such a number is exact. A block in whose reach
 * (itself, the row above, the column left) a kept pixel is higher, an incomplete strip at the border of the acceptance and
 * the columns left over are done by the scalar path in 32 bits, which computes its pixels anew.
 *
 * 16-bit lanes are *biased* by 0x8000 (order kept, signed): one subtraction of sign serves comparison, minimum, maximum and
 * the pairwise sums of `dot`. The raw image comes in pieces of whole strips, each with the row above it in front.
 */
const bias: i32 = 0x8000

let width: i32 = 0
let firstRow: i32 = 0
let endRow: i32 = 0
let height: i32 = 0
let upperCut: i32 = 0
/** 1: kept pixels may lie below their pedestal (a negative nsigma); the scalar path does everything. */
let scalarOnly: i32 = 0
/** u16 per pixel, biased: largest suppressed value. */
let thresholds: usize = 0
/** u16 per pixel, biased: whole counts of the pedestal; u8 per pixel: its 1/256 counts. */
let pedestalCounts: usize = 0
let pedestalParts: usize = 0
/** i32 per cell. */
let weights: usize = 0
let edges: usize = 0
/** The last row of the strip above: u16 values, biased, and u16 whole counts above pedestal of kept pixels. */
let aboveValues: usize = 0
let aboveCounts: usize = 0
/** Where row 0 of the image would lie if the piece at hand were the whole. */
let rawOrigin: usize = 0

/** Sizes, cuts and places of the buffers; once per instance. `rowBuffers` takes 4 bytes per column and 64 more. */
export function configureCells(
  imageWidth: i32,
  imageHeight: i32,
  acceptedFirstRow: i32,
  acceptedEndRow: i32,
  cut: i32,
  onlyScalar: i32,
  thresholdBuffer: usize,
  countsBuffer: usize,
  partsBuffer: usize,
  weightBuffer: usize,
  edgeBuffer: usize,
  rowBuffers: usize,
): void {
  width = imageWidth
  height = imageHeight
  firstRow = acceptedFirstRow
  endRow = acceptedEndRow
  upperCut = cut
  scalarOnly = onlyScalar
  thresholds = thresholdBuffer
  pedestalCounts = countsBuffer
  pedestalParts = partsBuffer
  weights = weightBuffer
  edges = edgeBuffer
  aboveValues = rowBuffers
  aboveCounts = rowBuffers + (((<usize>imageWidth << 1) + 31) & ~15)
}

/** Clears the cells; before the first piece of an image. */
export function beginCells(): void {
  const bytes = <usize>((width >> 2) * (height >> 2)) << 2
  memory.fill(weights, 0, bytes)
  memory.fill(edges, 0, bytes)
}

/**
 * Rows `fromRow` to `toRow` (multiples of 4). `raw` holds them with the row before them in front (anything for row 0).
 * Returns the sum of the raw pixels.
 */
export function addRows(raw: usize, fromRow: i32, toRow: i32): i64 {
  rawOrigin = raw - (<usize>(fromRow - 1) * width << 1)
  let sum: i64 = 0
  // The row above is known only if the strip above was done by the fast path.
  let followed = false
  if (fromRow > 0) followed = isWhole(fromRow - 4)
  for (let row = fromRow; row < toRow; row += 4) {
    if (isWhole(row)) {
      if (!followed) prepareAbove(row)
      sum += fastStrip(row)
      followed = true
    } else {
      sum += rawSum(row)
      // The rank filter of the row after the acceptance still sees the last row inside.
      if (row + 3 >= firstRow && row <= endRow) {
        for (let column = 0; column < width; column += 4) scalarCell(row, column)
      }
      followed = false
    }
  }
  return sum
}

@inline
function isWhole(row: i32): bool {
  return row >= firstRow && row + 4 <= endRow && scalarOnly === 0
}

/** Sum of all cells of the weight image; after the last piece. */
export function weightTotal(): i64 {
  let low = i64x2.splat(0)
  let high = i64x2.splat(0)
  const cells = (width >> 2) * (height >> 2)
  let at = weights
  const end = weights + (<usize>(cells & ~3) << 2)
  for (; at < end; at += 16) {
    const four = v128.load(at)
    low = i64x2.add(low, i64x2.extend_low_i32x4_s(four))
    high = i64x2.add(high, i64x2.extend_high_i32x4_s(four))
  }
  low = i64x2.add(low, high)
  let total = i64x2.extract_lane(low, 0) + i64x2.extract_lane(low, 1)
  for (; at < weights + (<usize>cells << 2); at += 4) total += load<i32>(at)
  return total
}

@inline
function keptOf(raw: v128, threshold: v128, cut: v128): v128 {
  return v128.andnot(i16x8.gt_s(raw, threshold), i16x8.gt_s(raw, cut))
}

/** Biased value of pixels from whole counts above pedestal (already masked) and masked parts. */
@inline
function valueOf(counts: v128, parts: v128, sign: v128): v128 {
  return v128.xor(i16x8.sub(i16x8.shl(counts, 8), parts), sign)
}

/** The last lane of the block to the left, then the first seven of this one. */
@inline
function withLeft(left: v128, here: v128): v128 {
  return i16x8.shuffle(left, here, 7, 8, 9, 10, 11, 12, 13, 14)
}

/** Second largest of two neighbouring vertical pairs. */
@inline
function secondOf(highLeft: v128, high: v128, lowLeft: v128, low: v128): v128 {
  return i16x8.max_s(i16x8.min_s(highLeft, high), i16x8.max_s(lowLeft, low))
}

function fastStrip(row: i32): i64 {
  const sign = i16x8.splat(<i16>bias)
  const ones = i16x8.splat(1)
  const highByte = i16x8.splat(<i16>0xff00)
  const cut = i16x8.splat(<i16>((upperCut - 1) ^ bias))
  const pitch = <usize>width << 1
  const first = <usize>row * width
  let raw = rawOrigin + (first << 1)
  let threshold = thresholds + (first << 1)
  let counts = pedestalCounts + (first << 1)
  let parts = pedestalParts + first
  let weight = weights + (((<usize>row >> 2) * (width >> 2)) << 2)
  let edge = edges + (weight - weights)
  let value = aboveValues
  let excess = aboveCounts
  const blocks = width >> 3

  // Left of the first column lies the first column again.
  const a = load<u16>(value) ^ <u16>bias
  const b = biasedAt(row, 0) ^ <u16>bias
  const c = biasedAt(row + 1, 0) ^ <u16>bias
  const d = biasedAt(row + 2, 0) ^ <u16>bias
  const e = biasedAt(row + 3, 0) ^ <u16>bias
  let leftHigh0 = i16x8.splat(<i16>(max(a, b) ^ <u16>bias))
  let leftHigh1 = i16x8.splat(<i16>(max(b, c) ^ <u16>bias))
  let leftHigh2 = i16x8.splat(<i16>(max(c, d) ^ <u16>bias))
  let leftHigh3 = i16x8.splat(<i16>(max(d, e) ^ <u16>bias))
  let leftLow0 = i16x8.splat(<i16>(min(a, b) ^ <u16>bias))
  let leftLow1 = i16x8.splat(<i16>(min(b, c) ^ <u16>bias))
  let leftLow2 = i16x8.splat(<i16>(min(c, d) ^ <u16>bias))
  let leftLow3 = i16x8.splat(<i16>(min(d, e) ^ <u16>bias))
  let leftExcess = i16x8.splat(0)
  let rawTotal = i32x4.splat(0)

  for (let block = 0; block < blocks; block++) {
    const above = v128.load(value)
    const aboveExcess = v128.load(excess)

    const raw0 = v128.xor(v128.load(raw), sign)
    const kept0 = keptOf(raw0, v128.load(threshold), cut)
    const counts0 = v128.and(i16x8.sub(raw0, v128.load(counts)), kept0)
    const value0 = valueOf(counts0, v128.and(v128.load8x8_u(parts), kept0), sign)
    const high0 = i16x8.max_s(above, value0)
    const low0 = i16x8.min_s(above, value0)
    const second0 = secondOf(withLeft(leftHigh0, high0), high0, withLeft(leftLow0, low0), low0)
    let weightSum = i32x4.dot_i16x8_s(value0, ones)
    let edgeSum = i32x4.dot_i16x8_s(second0, ones)
    rawTotal = i32x4.add(rawTotal, i32x4.dot_i16x8_s(raw0, ones))
    leftHigh0 = high0
    leftLow0 = low0

    const raw1 = v128.xor(v128.load(raw + pitch), sign)
    const kept1 = keptOf(raw1, v128.load(threshold + pitch), cut)
    const counts1 = v128.and(i16x8.sub(raw1, v128.load(counts + pitch)), kept1)
    const value1 = valueOf(counts1, v128.and(v128.load8x8_u(parts + width), kept1), sign)
    const high1 = i16x8.max_s(value0, value1)
    const low1 = i16x8.min_s(value0, value1)
    const second1 = secondOf(withLeft(leftHigh1, high1), high1, withLeft(leftLow1, low1), low1)
    weightSum = i32x4.add(weightSum, i32x4.dot_i16x8_s(value1, ones))
    edgeSum = i32x4.add(edgeSum, i32x4.dot_i16x8_s(second1, ones))
    rawTotal = i32x4.add(rawTotal, i32x4.dot_i16x8_s(raw1, ones))
    leftHigh1 = high1
    leftLow1 = low1

    const raw2 = v128.xor(v128.load(raw + 2 * pitch), sign)
    const kept2 = keptOf(raw2, v128.load(threshold + 2 * pitch), cut)
    const counts2 = v128.and(i16x8.sub(raw2, v128.load(counts + 2 * pitch)), kept2)
    const value2 = valueOf(counts2, v128.and(v128.load8x8_u(parts + 2 * width), kept2), sign)
    const high2 = i16x8.max_s(value1, value2)
    const low2 = i16x8.min_s(value1, value2)
    const second2 = secondOf(withLeft(leftHigh2, high2), high2, withLeft(leftLow2, low2), low2)
    weightSum = i32x4.add(weightSum, i32x4.dot_i16x8_s(value2, ones))
    edgeSum = i32x4.add(edgeSum, i32x4.dot_i16x8_s(second2, ones))
    rawTotal = i32x4.add(rawTotal, i32x4.dot_i16x8_s(raw2, ones))
    leftHigh2 = high2
    leftLow2 = low2

    const raw3 = v128.xor(v128.load(raw + 3 * pitch), sign)
    const kept3 = keptOf(raw3, v128.load(threshold + 3 * pitch), cut)
    const counts3 = v128.and(i16x8.sub(raw3, v128.load(counts + 3 * pitch)), kept3)
    const value3 = valueOf(counts3, v128.and(v128.load8x8_u(parts + 3 * width), kept3), sign)
    const high3 = i16x8.max_s(value2, value3)
    const low3 = i16x8.min_s(value2, value3)
    const second3 = secondOf(withLeft(leftHigh3, high3), high3, withLeft(leftLow3, low3), low3)
    weightSum = i32x4.add(weightSum, i32x4.dot_i16x8_s(value3, ones))
    edgeSum = i32x4.add(edgeSum, i32x4.dot_i16x8_s(second3, ones))
    rawTotal = i32x4.add(rawTotal, i32x4.dot_i16x8_s(raw3, ones))
    leftHigh3 = high3
    leftLow3 = low3

    v128.store(value, value3)
    v128.store(excess, counts3)
    const own = v128.or(v128.or(counts0, counts1), v128.or(counts2, counts3))
    // What the block to the left gave to this one: its own and its upper neighbours' counts.
    const reach = v128.or(v128.or(own, aboveExcess), leftExcess)
    leftExcess = v128.or(own, aboveExcess)
    if (v128.any_true(v128.and(reach, highByte))) {
      const column = block << 3
      scalarCell(row, column)
      scalarCell(row, column + 4)
    } else {
      // Pairs of columns to cells: weight of the left and right cell, edge of the left and right cell.
      const even = i32x4.shuffle(weightSum, edgeSum, 0, 2, 4, 6)
      const odd = i32x4.shuffle(weightSum, edgeSum, 1, 3, 5, 7)
      const sums = i32x4.add(i32x4.add(even, odd), i32x4.splat(16 * bias))
      v128.store64_lane(weight, sums, 0)
      v128.store64_lane(edge, sums, 1)
    }
    raw += 16
    threshold += 16
    counts += 16
    parts += 8
    value += 16
    excess += 16
    weight += 8
    edge += 8
  }
  let total: i64 = i32x4.extract_lane(rawTotal, 0)
  total += i32x4.extract_lane(rawTotal, 1)
  total += i32x4.extract_lane(rawTotal, 2)
  total += i32x4.extract_lane(rawTotal, 3)
  total += <i64>blocks * 32 * bias
  for (let column = blocks << 3; column < width; column += 4) {
    scalarCell(row, column)
    for (let line = row; line < row + 4; line++) {
      for (let step = 0; step < 4; step++) total += rawAt(line, column + step)
    }
  }
  return total
}

/** Sum of the raw pixels of a strip. */
function rawSum(row: i32): i64 {
  const sign = i16x8.splat(<i16>bias)
  const ones = i16x8.splat(1)
  let at = rawOrigin + ((<usize>row * width) << 1)
  const pixels = width << 2
  let four = i32x4.splat(0)
  let pixel = 0
  for (; pixel + 8 <= pixels; pixel += 8, at += 16) {
    four = i32x4.add(four, i32x4.dot_i16x8_s(v128.xor(v128.load(at), sign), ones))
  }
  let total: i64 = i32x4.extract_lane(four, 0)
  total += i32x4.extract_lane(four, 1)
  total += i32x4.extract_lane(four, 2)
  total += i32x4.extract_lane(four, 3)
  return total + <i64>pixel * bias
}

@inline
function rawAt(row: i32, column: i32): i32 {
  return load<u16>(rawOrigin + ((<usize>row * width + column) << 1))
}

/** Zero-suppressed pixel in 1/256 count; 0 outside the acceptance. Row and column -1 are the first ones again. */
function valueAt(row: i32, column: i32): i32 {
  if (row < 0) row = 0
  if (column < 0) column = 0
  if (row < firstRow || row >= endRow) return 0
  const pixel = <usize>row * width + column
  const raw = rawAt(row, column)
  const threshold = <i32>(load<u16>(thresholds + (pixel << 1)) ^ <u16>bias)
  if (raw <= threshold || raw >= upperCut) return 0
  const counts = <i32>(load<u16>(pedestalCounts + (pixel << 1)) ^ <u16>bias)
  return ((raw - counts) << 8) - <i32>load<u8>(pedestalParts + pixel)
}

@inline
function biasedAt(row: i32, column: i32): u16 {
  return <u16>valueAt(row, column) ^ <u16>bias
}

/** The row above a strip that follows no whole strip. */
function prepareAbove(row: i32): void {
  for (let column = 0; column < (width & ~7); column++) {
    const value = valueAt(row - 1, column)
    const at = <usize>column << 1
    store<u16>(aboveValues + at, <u16>value ^ <u16>bias)
    store<u16>(aboveCounts + at, value > 0xffff ? 0xff00 : 0)
  }
}

/** One cell by the definition, in 32 bits. */
function scalarCell(row: i32, column: i32): void {
  let weight = 0
  let edge = 0
  for (let line = row; line < row + 4; line++) {
    const accepted = line >= firstRow && line < endRow
    if (!accepted && line !== endRow) continue
    for (let step = column; step < column + 4; step++) {
      const up = valueAt(line - 1, step)
      const upLeft = valueAt(line - 1, step - 1)
      if (accepted) {
        const here = valueAt(line, step)
        const left = valueAt(line, step - 1)
        weight += here
        edge += max(min(max(up, here), max(upLeft, left)), max(min(up, here), min(upLeft, left)))
      } else {
        edge += min(up, upLeft)
      }
    }
  }
  const at = <usize>((row >> 2) * (width >> 2) + (column >> 2)) << 2
  store<i32>(weights + at, weight)
  store<i32>(edges + at, edge)
}
