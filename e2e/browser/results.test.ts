/** The results page in a real Chromium: cuts, ranges, rows to take along, a notebook of the same. */
import { readFileSync } from 'node:fs'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { experiment } from '../scenario.ts'
import { chromiumPath, picture, seriousFaults } from './chromium.ts'
import { openSite, type Site } from './one-run-site.ts'

describe.skipIf(chromiumPath === undefined)('results', () => {
  let site: Site

  beforeAll(async () => {
    site = await openSite()
  })
  afterAll(() => site?.close())

  test('results: a cut by keyboard with completion, a range by mouse, a link that shows the same', async () => {
    const { page, complaints } = await site.open(`/e/${experiment}/results?sel=sim:2&x=integralCounts`)
    await page.getByText('clusters, no cut').waitFor()
    const cuts = page.getByRole('combobox', { name: 'Cuts' })
    await cuts.pressSequentially('sc_rm')
    await page.getByRole('option', { name: /rmsCounts/ }).waitFor()
    await page.keyboard.press('Enter')
    await page.keyboard.type(' > 0')
    await page.keyboard.press('Enter')
    await page.getByText('clusters pass.').waitFor()
    const plot = (await page.locator('.cy-chart-catch').first().boundingBox())!
    await page.mouse.move(plot.x + 2, plot.y + 40)
    await page.mouse.down()
    await page.mouse.move(plot.x + plot.width * 0.9, plot.y + 60, { steps: 3 })
    await page.mouse.up()
    await page.waitForURL(/integralCounts\+%3C/)
    // Until then the sentence is about the selection before.
    const sentence = page.locator('p[role=status][aria-busy=false]').filter({ hasText: 'clusters pass.' })
    await sentence.waitFor()
    const said = await sentence.textContent()
    const same = await site.open(new URL(page.url()).pathname + new URL(page.url()).search)
    await same.page.getByText(said!).waitFor()
    const download = page.waitForEvent('download')
    await page.getByRole('link', { name: 'CSV' }).click()
    const rows = readFileSync(await (await download).path(), 'utf8')
      .trimEnd()
      .split('\n')
    expect(rows.length - 1).toBe(Number(said!.split(' of ')[0]!.replaceAll(' ', '')))
    expect([...complaints.list, ...same.complaints.list]).toEqual([])
    await page.close()
    await same.page.close()
  })

  test('a selection is saved under a name, opened by it and deleted; a trend is coloured by what the logbook knows', async () => {
    const { page, complaints } = await site.open(
      `/e/${experiment}/results?sel=sim:2&cuts=rms+>+0&trend=count&by=source`,
    )
    await page.getByText('clusters pass.').waitFor()
    await page.locator('.cy-chart-legend').getByText('0 cm (1 run)').waitFor()
    await page.getByLabel('Save this one as').fill('all that shines')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    const kept = page.getByRole('link', { name: 'all that shines' })
    await kept.waitFor()
    await page.getByLabel('Save this one as').fill('all that shines')
    complaints.expect('409')
    await page.getByRole('button', { name: 'Save', exact: true }).click()
    await page.getByText("There is a selection 'all that shines' already").waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await picture(page, 'results-saved')
    const other = await site.open(`/e/${experiment}/results`)
    await other.page.getByRole('link', { name: 'all that shines' }).click()
    await other.page.getByText('clusters pass.').waitFor()
    expect(new URL(other.page.url()).searchParams.get('by')).toBe('source')
    await other.page.getByRole('button', { name: 'Delete all that shines' }).click()
    await other.page.getByText('None yet.').waitFor()
    expect([...complaints.list, ...other.complaints.list]).toEqual([])
    await other.page.close()
    await page.close()
  })

  test('the same runs and cuts are taken along as ROOT and opened as a notebook by a click', async ({ skip }) => {
    const { page, complaints } = await site.open(`/e/${experiment}/results?sel=sim:2&cuts=rms+>+0&x=integralCounts`)
    await page.getByText('clusters pass.').waitFor()
    const download = page.waitForEvent('download')
    await page.getByRole('link', { name: 'ROOT' }).click()
    const file = await download
    expect(file.suggestedFilename()).toMatch(/clusters\.root$/)
    expect(
      readFileSync(await file.path())
        .subarray(0, 4)
        .toString(),
    ).toBe('root')
    const [tab] = await Promise.all([
      page.waitForEvent('popup'),
      page.getByRole('button', { name: 'Open as notebook' }).click(),
    ])
    await tab.waitForURL(/\/sessions\/open\?session=|\/lab\/tree\//)
    const jobs = await site.scenario.call<{ state: string }>('GET', '/api/notebooks/environment')
    if (jobs.state === 'failed') skip('no Python environment can be made here')
    await tab.waitForURL(/\/lab\/tree\/results\/sim-2-\w+\.ipynb/, { timeout: 240_000 })
    await tab.getByText('keep &=').first().waitFor({ timeout: 60_000 })
    expect(await tab.evaluate(() => window.opener)).toBeNull()
    await picture(tab, 'results-notebook')
    expect(complaints.list).toEqual([])
    await tab.close()
    await page.close()
  })
})
