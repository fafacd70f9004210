/** What a kill campaign does, decided before it begins: the same seed is the same sequence of victims, moments and failpoints. */
import { campaignFailpoints } from './failpoints.ts'

export const victimKinds = ['supervisor', 'control', 'gateway', 'agent', 'shim', 'payload', 'jupyter'] as const
export type VictimKind = (typeof victimKinds)[number]
/** Victims that come back quickly; each block of ten has three more of these. */
const cheapKinds = ['gateway', 'agent', 'shim', 'payload'] as const

export interface Step {
  number: number
  kind: VictimKind
  /** Armed instead of a kill from outside. */
  failpoint: string | undefined
  /** Wait before it. */
  pauseMs: number
  /** [0, 1): which one of several. */
  dice: number
}

/** Blocks of ten: every kind once and three more, in any order, so that a campaign cut anywhere is spread. */
export function planOf(seed: number, kills: number): Step[] {
  const random = generator(seed)
  const steps: Step[] = []
  while (steps.length < kills) {
    const extra = Array.from({ length: 3 }, () => cheapKinds[Math.floor(random() * cheapKinds.length)]!)
    for (const kind of shuffled([...victimKinds, ...extra], random)) {
      if (steps.length === kills) break
      const pauseMs = Math.round(30 + random() * 500)
      steps.push({ number: steps.length + 1, kind, failpoint: undefined, pauseMs, dice: random() })
    }
  }
  for (const kind of victimKinds) {
    const names = Object.keys(campaignFailpoints).filter((name) => {
      const { victim, stimulus } = campaignFailpoints[name]!
      return victim === kind && (isLong(kills) || !['big-run', 'study'].includes(stimulus))
    })
    if (names.length === 0) continue
    const own = shuffled(
      steps.filter((step) => step.kind === kind),
      random,
    )
    const wanted = isLong(kills) ? Math.max(Math.round(own.length / 3), names.length) : Math.ceil(own.length / 4)
    const deck = shuffled(names, random)
    for (const [index, step] of own.slice(0, wanted).entries()) step.failpoint = deck[index % deck.length]!
  }
  return steps
}

/** From here on a campaign must have passed every failpoint. */
export const isLong = (kills: number) => kills >= 300
export const leastPerKind = (kills: number) => Math.floor(kills / 10)

/** mulberry32: small, seeded, good enough to choose victims. */
export function generator(state: number): () => number {
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296
  }
}

function shuffled<Item>(items: readonly Item[], random: () => number): Item[] {
  const result = [...items]
  for (let index = result.length - 1; index > 0; index--) {
    const other = Math.floor(random() * (index + 1))
    ;[result[index], result[other]] = [result[other]!, result[index]!]
  }
  return result
}
