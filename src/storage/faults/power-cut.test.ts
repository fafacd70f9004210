/** The plug is pulled, again and again: nothing that was acknowledged is lost, nothing is half there. */
import { afterAll, expect, test } from 'vitest'
import { noPowerCuts, openDisks } from './disk.ts'
import { cutPower, type CutPlan, type CutTally } from './power-cut.ts'
import { campaignSeed, isLong } from './random.ts'
import type { Mutant } from './workload.ts'

const reason = noPowerCuts()
const told = reason === undefined ? '' : ` (skipped: ${reason})`
const seed = campaignSeed()
const disks = reason === undefined ? await openDisks() : undefined
afterAll(async () => await disks?.close())

const campaigns: Omit<CutPlan, 'disks' | 'seed'>[] = isLong
  ? [
      { fileSystem: 'ext4', method: 'cut', cuts: 200 },
      { fileSystem: 'ext4', method: 'cut', cuts: 60, isQuiet: true },
      { fileSystem: 'ext4', method: 'cut', cuts: 40, hasDatabase: true },
      { fileSystem: 'xfs', method: 'cut', cuts: 80 },
      { fileSystem: 'xfs', method: 'cut', cuts: 20, hasDatabase: true, isQuiet: true },
      { fileSystem: 'ext4', method: 'snapshot', cuts: 40, hasDatabase: true },
      { fileSystem: 'xfs', method: 'snapshot', cuts: 20 },
    ]
  : [
      { fileSystem: 'ext4', method: 'cut', cuts: 1, hasDatabase: true },
      { fileSystem: 'xfs', method: 'cut', cuts: 1, isQuiet: true },
      { fileSystem: 'ext4', method: 'snapshot', cuts: 1 },
    ]

test.skipIf(reason !== undefined)(`the plug is pulled${told}`, { timeout: 80 * 60_000 }, async () => {
  const all: CutTally = { cuts: 0, acknowledged: 0, lost: [], torn: [], wrong: [] }
  for (const [index, campaign] of campaigns.entries()) {
    const tally = await cutPower({ ...campaign, disks: disks!, seed: seed + index })
    if (isLong) console.log(JSON.stringify({ ...campaign, seed: seed + index, ...tally }))
    all.cuts += tally.cuts
    all.acknowledged += tally.acknowledged
    const name = `${campaign.fileSystem} ${campaign.method}${campaign.isQuiet ? ' quiet' : ''}`
    for (const kind of ['lost', 'torn', 'wrong'] as const)
      all[kind].push(...tally[kind].map((one) => `${name}: ${one}`))
  }
  const { cuts, acknowledged, lost, torn, wrong } = all
  console.log(
    `campaign faults seed=${seed} cuts=${cuts} acknowledged=${acknowledged} lost=${lost.length} torn=${torn.length} wrong=${wrong.length}`,
  )
  expect({ lost, torn, wrong }).toEqual({ lost: [], torn: [], wrong: [] })
  expect(cuts).toBe(campaigns.reduce((sum, campaign) => sum + campaign.cuts, 0))
  expect(acknowledged).toBeGreaterThan(cuts * 10)
})

/** A harness that cannot fail proves nothing: each of these breaks one promise, and some cut must show it. */
const mutants: { mutant: Mutant; plan: Partial<CutPlan> }[] = [
  { mutant: 'file not synced', plan: {} },
  { mutant: 'folder not synced', plan: { isQuiet: true } },
  { mutant: 'database not synced', plan: { hasDatabase: true, isQuiet: true } },
]

test.skipIf(reason !== undefined).each(mutants)(
  `it would be seen if: $mutant${told}`,
  { timeout: 600_000 },
  async ({ mutant, plan }) => {
    let found = 0
    let cuts = 0
    for (; found === 0 && cuts < 12; cuts += 1) {
      const tally = await cutPower({
        disks: disks!,
        fileSystem: 'ext4',
        method: 'cut',
        cuts: 1,
        seed: seed + 1000 + cuts,
        mutant,
        ...plan,
      })
      found = tally.lost.length + tally.torn.length
    }
    expect(found, `${cuts} cuts showed nothing`).toBeGreaterThan(0)
  },
)
