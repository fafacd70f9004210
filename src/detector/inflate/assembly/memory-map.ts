/** Where everything lies in the memory of the inflater, and what its words mean. */

// Memory map, in bytes. The module has no other data.
export const TABLE_BITS: u32 = 12
export const TABLE_MASK: u32 = (1 << TABLE_BITS) - 1
export const DISTANCE_BITS: u32 = 9
export const DISTANCE_MASK: u32 = (1 << DISTANCE_BITS) - 1
/** Main table and room for every second-level table: pairs of long codes share a prefix, at most 144 of them times 8 entries. */
export const LITERAL_TABLE: u32 = 1024
export const DISTANCE_TABLE: u32 = LITERAL_TABLE + 8192 * 4
export const FIXED_LITERAL_TABLE: u32 = DISTANCE_TABLE + 4096 * 4
export const FIXED_DISTANCE_TABLE: u32 = FIXED_LITERAL_TABLE + 8192 * 4
export const LENGTHS: u32 = FIXED_DISTANCE_TABLE + 4096 * 4
export const FIXED_LENGTHS: u32 = LENGTHS + 512
export const CODE_LENGTHS: u32 = FIXED_LENGTHS + 512
export const CODE_TABLE: u32 = CODE_LENGTHS + 64
export const SORTED: u32 = CODE_TABLE + 128 * 4
export const COUNTS: u32 = SORTED + 640 * 2
export const STARTS: u32 = COUNTS + 64
export const INPUT: u32 = 1 << 17
export const INPUT_BYTES: u32 = 1 << 18
/** The fast loop reads 8 bytes at a time; it stays inside with this margin. */
export const OUTPUT: u32 = INPUT + INPUT_BYTES + 64
export const WINDOW_BYTES: u32 = 1 << 15
export const OUTPUT_BYTES: u32 = 1 << 19
/** Behind the window and the output: fast copies write past the end of a match. */
export const END: u32 = OUTPUT + WINDOW_BYTES + OUTPUT_BYTES + 512

export const NEED_INPUT: i32 = 0
export const NEED_OUTPUT: i32 = 1
export const STREAM_END: i32 = 2
export const BAD_BLOCK_TYPE: i32 = -1
export const BAD_STORED_LENGTH: i32 = -2
export const TOO_MANY_SYMBOLS: i32 = -3
export const BAD_CODE_LENGTHS: i32 = -4
export const NO_END_OF_BLOCK: i32 = -5
export const BAD_CODE: i32 = -6
export const BAD_DISTANCE: i32 = -7

export const MODE_HEADER: i32 = 0
export const MODE_STORED: i32 = 1
export const MODE_FIXED: i32 = 2
export const MODE_DYNAMIC: i32 = 3
export const MODE_DONE: i32 = 4

// An entry of the literal table. Literals: bit 31, count in 28-29, code bits in 24-27, bytes in 0-23.
// Others: code bits in 0-3, extra bits in 4-7, kind in 8-9, value (length, distance, offset of a second table) in 12-29.
export const LITERAL: u32 = 0x80000000
export const KIND_VALUE: u32 = 0
export const KIND_END: u32 = 1 << 8
export const KIND_TABLE: u32 = 2 << 8
export const KIND_INVALID: u32 = 3 << 8
export const KIND_MASK: u32 = 3 << 8
