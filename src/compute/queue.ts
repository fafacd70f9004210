/**
 * Which waiting jobs start now: a pure function over slots of one machine.
 * Interactive before prompt before batch, first come first served inside a class, nobody is overtaken:
 * the first job that does not fit holds back everything behind it, so a wide job never starves.
 * A session mostly idles, so interactive cpu counts at a quarter; memory is never overcommitted.
 */
import type { JobClass } from './contract.ts'

export interface Slots {
  cpuMilli: number
  memoryMiB: number
}
export interface Demand extends Slots {
  id: string
  class: JobClass
}

const interactiveCpuShare = 0.25

/** What a job counts against the machine. */
export function weightOf(demand: Pick<Demand, 'class' | 'cpuMilli' | 'memoryMiB'>): Slots {
  return {
    cpuMilli: demand.class === 'interactive' ? Math.ceil(demand.cpuMilli * interactiveCpuShare) : demand.cpuMilli,
    memoryMiB: demand.memoryMiB,
  }
}

export function sumOf(demands: readonly Pick<Demand, 'class' | 'cpuMilli' | 'memoryMiB'>[]): Slots {
  const total = { cpuMilli: 0, memoryMiB: 0 }
  for (const demand of demands) {
    const weight = weightOf(demand)
    total.cpuMilli += weight.cpuMilli
    total.memoryMiB += weight.memoryMiB
  }
  return total
}

/** `waiting` in queue order. `floor` is kept free of everything but interactive jobs. */
export function chooseNext(waiting: readonly Demand[], used: Slots, capacity: Slots, floor: Slots): string[] {
  const free = { cpuMilli: capacity.cpuMilli - used.cpuMilli, memoryMiB: capacity.memoryMiB - used.memoryMiB }
  const chosen: string[] = []
  for (const demand of waiting) {
    const weight = weightOf(demand)
    const keep = demand.class === 'interactive' ? { cpuMilli: 0, memoryMiB: 0 } : floor
    if (weight.cpuMilli > free.cpuMilli - keep.cpuMilli || weight.memoryMiB > free.memoryMiB - keep.memoryMiB) {
      break
    }
    free.cpuMilli -= weight.cpuMilli
    free.memoryMiB -= weight.memoryMiB
    chosen.push(demand.id)
  }
  return chosen
}
