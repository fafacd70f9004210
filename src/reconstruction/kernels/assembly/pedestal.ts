/**
 * Sums of a pedestal run per pixel: of the differences to the first image, of their squares, and the largest value;
 * definition in ../pedestal-map.ts. A square is at most 65535^2, which fits in 32 bits, so the sum of squares is kept in 32
 * bits with its carries beside it; the pages of the carries of quiet pixels are never touched.
 */
let origins: usize = 0
let peaks: usize = 0
let sums: usize = 0
let squares: usize = 0
let carries: usize = 0

/** u16 per pixel for origins, peaks and carries; i32 for sums, u32 for squares. */
export function configurePedestal(
  originBuffer: usize,
  peakBuffer: usize,
  sumBuffer: usize,
  squareBuffer: usize,
  carryBuffer: usize,
): void {
  origins = originBuffer
  peaks = peakBuffer
  sums = sumBuffer
  squares = squareBuffer
  carries = carryBuffer
}

/** Adds `count` pixels of an image that begin with pixel `first`. */
export function addPixels(raw: usize, first: i32, count: i32): void {
  const end = first + count
  let pixel = first
  let from = raw
  for (; pixel + 8 <= end; pixel += 8, from += 16) {
    const narrow = <usize>pixel << 1
    const wide = <usize>pixel << 2
    const values = v128.load(from)
    const origin = v128.load(origins + narrow)
    v128.store(peaks + narrow, i16x8.max_u(v128.load(peaks + narrow), values))
    const low = i32x4.sub(i32x4.extend_low_i16x8_u(values), i32x4.extend_low_i16x8_u(origin))
    const high = i32x4.sub(i32x4.extend_high_i16x8_u(values), i32x4.extend_high_i16x8_u(origin))
    v128.store(sums + wide, i32x4.add(v128.load(sums + wide), low))
    v128.store(sums + wide + 16, i32x4.add(v128.load(sums + wide + 16), high))
    const lowBefore = v128.load(squares + wide)
    const highBefore = v128.load(squares + wide + 16)
    const lowAfter = i32x4.add(lowBefore, i32x4.mul(low, low))
    const highAfter = i32x4.add(highBefore, i32x4.mul(high, high))
    v128.store(squares + wide, lowAfter)
    v128.store(squares + wide + 16, highAfter)
    const carry = i16x8.narrow_i32x4_s(i32x4.lt_u(lowAfter, lowBefore), i32x4.lt_u(highAfter, highBefore))
    // Full lanes are -1 each: subtracted they count up.
    if (v128.any_true(carry)) v128.store(carries + narrow, i16x8.sub(v128.load(carries + narrow), carry))
  }
  for (; pixel < end; pixel++, from += 2) addPixel(load<u16>(from), pixel)
}

function addPixel(value: u32, pixel: i32): void {
  const narrow = <usize>pixel << 1
  const wide = <usize>pixel << 2
  const difference = <i32>value - <i32>load<u16>(origins + narrow)
  if (value > load<u16>(peaks + narrow)) store<u16>(peaks + narrow, <u16>value)
  store<i32>(sums + wide, load<i32>(sums + wide) + difference)
  const before = load<u32>(squares + wide)
  const after = before + <u32>(difference * difference)
  store<u32>(squares + wide, after)
  if (after < before) store<u16>(carries + narrow, load<u16>(carries + narrow) + 1)
}
