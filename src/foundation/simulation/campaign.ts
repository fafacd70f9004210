/**
 * Runs a scenario for many seeds and says what came of it. `CYGNET_SEED=17` runs that one seed and prints its history;
 * `CYGNET_SEEDS=1000` sets how many and `CYGNET_FIRST_SEED=5000` from where. The long form (`CYGNET_LONG=simulation`) runs
 * 10 000 over all rooms, on two threads: foundation 4000, compute 3000, ingest 3000.
 */
import { Worker } from 'node:worker_threads'
import type { Mutant, SeedResult } from './simulation.ts'

export interface Campaign {
  /** For the printed line: 'facts', 'ingest', … */
  name: string
  /** `new URL('./simulation-scenario.ts', import.meta.url)`. */
  scenario: URL
  /** In the short form. */
  seeds: number
  /** In the long form. */
  longSeeds: number
  mutant?: Mutant
  /** Ends at the first seed that found something. */
  untilFound?: boolean
}

export interface CampaignResult {
  seeds: SeedResult[]
  failed: SeedResult[]
  line: string
}

export const isLong = (): boolean => process.env.CYGNET_LONG === 'simulation'

/** How many seeds the environment wants. */
function seedsWanted({ seeds, longSeeds }: Campaign): number {
  const { CYGNET_SEEDS: given } = process.env
  if (given !== undefined) return Number(given)
  return isLong() ? longSeeds : seeds
}

/** One thread; each world is alone in it. */
export async function runSeeds(campaign: Campaign, seeds: number[]): Promise<SeedResult[]> {
  const { scenario, mutant, untilFound = false } = campaign
  const thread = new Worker(new URL('./thread.ts', import.meta.url), {
    workerData: { scenarioUrl: scenario.href, seeds, mutant },
    execArgv: ['--disable-warning=ExperimentalWarning'],
  })
  const results: SeedResult[] = []
  await new Promise<void>((resolve, reject) => {
    thread.on('message', (result: SeedResult) => {
      results.push(result)
      if (!untilFound || result.violations.length === 0) return
      void thread.terminate()
    })
    thread.once('error', reject)
    thread.once('exit', () => resolve())
  })
  const complete = results.length === seeds.length || (untilFound && results.at(-1)?.violations.length !== 0)
  if (!complete) throw new Error(`the simulation of seed ${seeds[results.length]} ended without a result`)
  return results
}

export async function runCampaign(campaign: Campaign): Promise<CampaignResult> {
  const { name } = campaign
  const { CYGNET_SEED: only, CYGNET_FIRST_SEED: from = '1' } = process.env
  const first = Number(only ?? from)
  const count = only === undefined ? seedsWanted(campaign) : 1
  // Only the long form takes a second core.
  const threads = count > 1000 ? 2 : 1
  const ofThread = (thread: number): number[] =>
    Array.from({ length: count }, (_one, index) => first + index).filter((seed) => seed % threads === thread)
  const ran = await Promise.all(Array.from({ length: threads }, (_one, thread) => runSeeds(campaign, ofThread(thread))))
  const seeds = ran.flat().toSorted((one, other) => one.seed - other.seed)
  const failed = seeds.filter(({ violations }) => violations.length > 0)
  const sum = (of: (result: SeedResult) => number): number => seeds.reduce((total, result) => total + of(result), 0)
  const line =
    `campaign simulation room=${name} seed=${first} seeds=${seeds.length} steps=${sum(({ steps }) => steps)} ` +
    `virtual=${Math.round(sum(({ virtualMs }) => virtualMs) / 3_600_000)}h faults=${sum(({ faults }) => faults)} ` +
    `acknowledged=${sum(({ acknowledged }) => acknowledged)} lost=${sum(({ lost }) => lost)} ` +
    `doubled=${sum(({ doubled }) => doubled)} failed=${failed.length}`
  return { seeds, failed, line }
}

/** What to say of a seed that failed: the violations, the end of its history, and how to see it again. */
export function reportOf({ seed, violations, recent }: SeedResult, name: string, lines = 60): string {
  return [
    `seed ${seed} of the simulation of ${name}:`,
    ...violations.slice(0, 10).map((violation) => `  ${violation}`),
    ...recent.slice(-lines).map((line) => `    ${line}`),
    `  replay: CYGNET_SEED=${seed} npx vitest run src/${name}/simulation`,
  ].join('\n')
}
