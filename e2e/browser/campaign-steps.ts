/** What a person does with campaigns, on a platform with a pedestal run and run sim:2. */
import type { Page } from 'playwright-core'
import { expect } from 'vitest'
import { picture, seriousFaults } from './chromium.ts'

/** From the list of campaigns: one is made, started, followed to its end and compared with main. */
export async function walkThroughCampaigns(page: Page): Promise<void> {
  await page.getByRole('button', { name: 'New campaign' }).click()
  await page.getByRole('textbox', { name: 'Name' }).fill('Not A Name')
  await page.getByRole('button', { name: 'Make the campaign' }).click()
  await page.getByRole('alert').getByText('a campaign is 1 to 63').waitFor()
  await page.getByRole('textbox', { name: 'Name' }).fill('high')
  await page.getByLabel('Change a parameter').selectOption('zeroSuppressionSigma')
  await page.getByLabel('zeroSuppressionSigma [pedestal rms]').fill('1.5')
  expect(await seriousFaults(page)).toEqual([])
  await page.getByRole('button', { name: 'Make the campaign' }).click()
  await page.getByRole('heading', { name: 'Campaign high' }).waitFor()
  await page.getByText('No run has been processed in this campaign yet').waitFor()
  await page.getByRole('button', { name: 'Start' }).click()
  await page.getByText('1 run started').waitFor()
  await page.locator('td').getByText('reconstructed', { exact: true }).waitFor({ timeout: 60_000 })
  expect(await seriousFaults(page)).toEqual([])
  await picture(page, 'campaign-done')
  await page.getByRole('link', { name: 'Compare', exact: true }).click()
  await page.getByRole('button', { name: 'sim:2' }).click()
  await page.getByText('Change of light of the same cluster').first().waitFor()
  await page.waitForFunction(() => document.querySelector('.cy-waiting') === null)
  expect(new URL(page.url()).search).toContain('run=sim')
  await picture(page, 'campaigns-compared')
  expect(await seriousFaults(page)).toEqual([])
}
