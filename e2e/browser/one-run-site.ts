/** A platform with one pedestal run and one reconstructed data run, and a browser that is signed in. */
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { expect } from 'vitest'
import { eventually, runCygnet, startPlatform, type RunningPlatform } from '../platform.ts'
import { experiment, setUpExperiment, showReconstruction, type Scenario } from '../scenario.ts'
import { buildPages, launch, listen, signedIn, type Complaints } from './chromium.ts'

/** Images of the data run sim:2. */
export const images = 4

export interface Site {
  platform: RunningPlatform
  scenario: Scenario
  browser: Browser
  context: BrowserContext
  at(path: string): string
  open(path: string): Promise<{ page: Page; complaints: Complaints }>
  takeRun(first: number, pedestalImages: number): Promise<void>
  close(): Promise<void>
}

export async function openSite(): Promise<Site> {
  buildPages()
  const platform = await startPlatform()
  const scenario = await setUpExperiment(platform)
  const at = (path: string): string => platform.platformUrl + path

  async function takeRun(first: number, pedestalImages: number): Promise<void> {
    const simulated = await runCygnet([
      'daq',
      'simulate',
      '--dir',
      scenario.daq,
      '--runs',
      '1',
      '--images',
      String(images),
      '--first',
      String(first),
      '--pedestal-images',
      String(pedestalImages),
    ])
    expect(simulated.code, simulated.stderr).toBe(0)
    const place = ['-e', experiment, '--setup', 'lime', '--series', 'sim', '--server', platform.platformUrl]
    const sent = await runCygnet(['daq', 'watch', scenario.daq, ...place, '--key-file', scenario.keyFile, '--once'])
    expect(sent.code, sent.stderr).toBe(0)
  }

  try {
    await takeRun(1, 5)
    // One that failed is told with its reason instead of being waited for.
    const { tasks } = await eventually(
      'tracks of sim:2',
      async () => {
        const answer = await showReconstruction(scenario, 'sim:2')
        return answer.summaries.length > 0 || answer.tasks.some(({ state }) => state === 'failed') ? answer : undefined
      },
      120_000,
    )
    expect(tasks).not.toContainEqual(expect.objectContaining({ state: 'failed' }))
  } catch (error) {
    await platform.stop()
    throw error
  }
  const browser = await launch()
  const context = await signedIn(browser, platform)
  return {
    platform,
    scenario,
    browser,
    context,
    at,
    async open(path) {
      const page = await context.newPage()
      const complaints = listen(page)
      await page.goto(at(path))
      return { page, complaints }
    },
    takeRun,
    async close() {
      await browser.close()
      await platform.stop()
    },
  }
}
