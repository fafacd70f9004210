/** A few pieces of shared memory in which the large events of a run lie one after the other; each is free again when nobody needs it. */

export interface EventSlot {
  readonly slot: number
  /** Another one when a larger event came. */
  memory: SharedArrayBuffer
}

export interface EventSlots {
  /** Waits for a free slot; undefined for small events. The taker is its first user. */
  take(sizeBytes: number): Promise<Uint8Array | undefined>
  slotOf(bytes: ArrayBufferView): EventSlot | undefined
  /** One user more. */
  keep(bytes: ArrayBufferView): void
  /** One user less; memory of others is passed over. */
  giveBack(bytes: ArrayBufferView): void
  /** Nothing will become free any more: whoever waits, now or later, gets this error. */
  refuse(error: Error): void
}

/** Smaller events are not worth a slot. */
const largeBytes = 256 * 1024
const roundBytes = 1024 * 1024

export function createEventSlots(count: number): EventSlots {
  const slots = Array.from({ length: count }, (_, slot) => ({ slot, memory: new SharedArrayBuffer(0), users: 0 }))
  const byMemory = new Map<ArrayBufferLike, (typeof slots)[number]>()
  const free = [...slots]
  const waiting: { resolve(): void; reject(error: Error): void }[] = []
  let refusal: Error | undefined
  return {
    async take(sizeBytes) {
      if (sizeBytes < largeBytes) return undefined
      while (free.length === 0 && refusal === undefined)
        await new Promise<void>((resolve, reject) => waiting.push({ resolve, reject }))
      if (refusal !== undefined) throw refusal
      // The one used last is still in the caches.
      const slot = free.pop()!
      if (slot.memory.byteLength < sizeBytes) {
        byMemory.delete(slot.memory)
        slot.memory = new SharedArrayBuffer(Math.ceil(sizeBytes / roundBytes) * roundBytes)
        byMemory.set(slot.memory, slot)
      }
      slot.users = 1
      return new Uint8Array(slot.memory, 0, sizeBytes)
    },
    slotOf: (bytes) => byMemory.get(bytes.buffer),
    keep(bytes) {
      byMemory.get(bytes.buffer)!.users++
    },
    giveBack(bytes) {
      const slot = byMemory.get(bytes.buffer)
      if (slot === undefined || --slot.users > 0) return
      free.push(slot)
      waiting.shift()?.resolve()
    },
    refuse(error) {
      refusal = error
      for (const { reject } of waiting.splice(0)) reject(error)
    },
  }
}
