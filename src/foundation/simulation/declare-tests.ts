/** The tests that every room's simulation has: no seed fails, a seed is a history, and broken products are found. */
import { describe, expect, test } from 'vitest'
import { isLong, reportOf, runCampaign, runSeeds, type Campaign } from './campaign.ts'
import type { Mutant } from './simulation.ts'

const longMs = 80 * 60_000
const say = (line: string): void => void process.stdout.write(`${line}\n`)

export interface SimulationTests extends Campaign {
  /** Faults that a seed has on average at least; fewer and the campaign says nothing. */
  faultsPerSeed: number
  mutants: Record<string, Mutant>
}

/** `CYGNET_SEED=17` plays that seed alone and prints the end of its history. */
export function simulationTests(given: SimulationTests): void {
  const { name, mutants, faultsPerSeed } = given
  const isReplay = process.env.CYGNET_SEED !== undefined
  describe(`the simulation of ${name}`, () => {
    test(
      'no seed loses or doubles anything',
      async () => {
        const { failed, seeds, line } = await runCampaign(given)
        say(line)
        if (isReplay) say(reportOf(seeds[0]!, name, 400))
        expect(
          failed
            .slice(0, 3)
            .map((result) => reportOf(result, name))
            .join('\n'),
        ).toBe('')
        const faults = seeds.reduce((sum, result) => sum + result.faults, 0)
        if (!isReplay) expect(faults).toBeGreaterThan(faultsPerSeed * seeds.length)
      },
      longMs,
    )
    if (isReplay) return

    test(
      'a seed is one history: again, and alone',
      async () => {
        const together = await runSeeds(given, [3, 4])
        const alone = await runSeeds(given, [4])
        const again = await runSeeds(given, [4, 3])
        const hashes = (results: typeof alone) =>
          Object.fromEntries(results.map(({ seed, traceHash }) => [seed, traceHash]))
        expect(hashes(again)).toEqual(hashes(together))
        expect(alone[0]!.traceHash).toBe(hashes(together)[4])
        expect(new Set(Object.values(hashes(together))).size).toBe(2)
      },
      longMs,
    )

    for (const [what, mutant] of Object.entries(mutants)) {
      if (mutant.onlyLong === true && !isLong()) continue
      test(
        `finds a product with ${what}`,
        async () => {
          const seeds = Array.from({ length: 200 }, (_one, index) => (mutant.firstSeed ?? 1) + index)
          const results = await runSeeds({ ...given, mutant, untilFound: true }, seeds)
          const found = results.find(({ violations }) => violations.length > 0)
          expect(found, `no seed of ${results.length} found it`).toBeDefined()
          say(`mutant of ${name} '${what}' found by seed ${found!.seed}: ${found!.violations[0]}`)
        },
        longMs,
      )
    }
  })
}
