/** S-6: what a payload starts does not outlive its job, however it hides. Long form: `./cygnet test --long compute`. */
import { describe, expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { asOrdinaryUser, whyNotOrdinary } from './as-ordinary-user.ts'
import { openStand, type Stand } from './stand.ts'
import { cutTrees, type TreeReport } from './trees.ts'

const isLong = process.env.CYGNET_LONG === 'compute'
const trees = isLong ? 200 : 8
const timeoutMs = isLong ? 900_000 : 120_000

async function stand(cgroups: 'auto' | 'off'): Promise<Stand> {
  const folder = await temporaryDirectory()
  const opened = await openStand(folder.path, {
    config: { cpuMilli: 4000, memoryMiB: 4096, interactiveMemoryMiB: 512, cgroups },
  })
  onTestFinished(() => opened.close())
  return opened
}

function expectAllDead(report: TreeReport, count: number, mode: string): void {
  console.log(
    `campaign hostile-trees mode=${mode} trees=${report.trees} processes=${report.processes} survivors=${report.survivors}`,
  )
  expect(report).toMatchObject({ trees: count, survivors: 0, notCancelled: [] })
  expect(report.processes).toBeGreaterThan(count * 4)
}

describe('hostile trees are cut', () => {
  test('with the cgroups of this machine', { timeout: timeoutMs }, async () => {
    const one = await stand('auto')
    const { limits } = await one.compute.sandboxReport()
    expectAllDead(await cutTrees(one, trees), trees, limits)
  })

  test('without cgroups', { timeout: timeoutMs }, async () => {
    const one = await stand('off')
    expect((await one.compute.sandboxReport()).limits).toBe('none')
    const count = Math.ceil(trees / 2)
    expectAllDead(await cutTrees(one, count), count, 'none')
  })

  const why = whyNotOrdinary()
  test.skipIf(why !== undefined)(
    `as an ordinary user${why === undefined ? '' : ` (skipped: ${why})`}`,
    { timeout: timeoutMs },
    async () => {
      const folder = await temporaryDirectory()
      const count = isLong ? 50 : 3
      const { identity, limits, found } = await asOrdinaryUser<TreeReport>(folder.path, 'trees', count)
      expect(identity).toBe('same-uid')
      expectAllDead(found, count, `ordinary user, ${limits}`)
    },
  )
})
