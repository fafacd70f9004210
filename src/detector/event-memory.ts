/**
 * Memory for large events that is used again. Without it every picture is a new buffer of ten megabytes, whose pages the
 * system clears and the collector gives back: several milliseconds each.
 */
import type { FoundMember } from './inflate/member-lane.ts'

export interface EventMemory {
  /** Exactly so many bytes, when some are free again; undefined = use new memory. They hold whatever was there before. */
  take(sizeBytes: number): Promise<Uint8Array | undefined>
  /** Of what `take` gave, by whoever has it last: what the reader delivers is its caller's. Other memory is passed over. */
  giveBack(bytes: Uint8Array): void
  /** Inflates a member of the file open as `fd` into memory that `take` gave, elsewhere. False where it does not hold what its head and tail say. */
  inflate(fd: number, member: FoundMember, into: Uint8Array): Promise<boolean>
}
