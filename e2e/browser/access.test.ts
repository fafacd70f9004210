/** Who may do what and why, and broken glass, as an admin and a member meet them, in a real Chromium. */
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPlatform, type RunningPlatform } from '../platform.ts'
import { buildPages, chromiumPath, launch, listen, picture, seriousFaults, signedIn } from './chromium.ts'

describe.skipIf(chromiumPath === undefined)('access', () => {
  let platform: RunningPlatform
  let browser: Browser
  let admin: BrowserContext
  let anna: BrowserContext
  const at = (path: string): string => platform.platformUrl + path

  async function call<Answer>(method: string, path: string, body: unknown): Promise<Answer> {
    const headers = { origin: platform.platformUrl, 'sec-fetch-site': 'same-origin' }
    const response = await admin.request.fetch(at(path), { method, headers, data: body })
    expect(response.status(), await response.text()).toBeLessThan(300)
    return (await response.json()) as Answer
  }

  async function open(context: BrowserContext, path: string): Promise<{ page: Page; complaints: string[] }> {
    const page = await context.newPage()
    const { list } = listen(page)
    await page.goto(at(path))
    return { page, complaints: list }
  }

  beforeAll(async () => {
    buildPages()
    platform = await startPlatform()
    browser = await launch()
    admin = await signedIn(browser, platform)
    await call('POST', '/api/experiments', { name: 'demo', title: 'Demo' })
    const roles = [{ experiment: 'demo', role: 'member' }]
    const { signInLink } = await call<{ signInLink: { url: string } }>('POST', '/api/identity/people', {
      name: 'anna',
      displayName: 'Anna Rossi',
      roles,
    })
    anna = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await anna.newPage()
    await page.goto(signInLink.url)
    await page.waitForURL((address) => !address.pathname.startsWith('/sign-in'))
    await page.close()
  })

  afterAll(async () => {
    await browser?.close()
    await platform?.stop()
  })

  test('an admin asks why, and who can, and takes and ends a right to read', async () => {
    const { page, complaints } = await open(admin, '/e/demo/access')
    const why = page.locator('.cy-panel', { hasText: 'Why, or why not' })
    await why.getByLabel('Person').fill('anna')
    await why.getByLabel('To do').selectOption('data.modify')
    await why.getByLabel('Where').fill('demo-raw/lime/run00001.mid')
    await why.getByRole('button', { name: 'Ask' }).press('Enter')
    await why.getByText('anna: member of demo does not give data.modify on raw data').waitFor()
    await why.getByText('not on raw data').first().waitFor()
    const who = page.locator('.cy-panel', { hasText: 'Who can' })
    await who.getByLabel('To do').selectOption('data.modify')
    await who.getByRole('button', { name: 'Ask' }).click()
    await who.getByText('exp-admin of demo').waitFor()
    const glass = page.locator('.cy-panel', { hasText: 'Broken glass' })
    await glass.getByLabel('Why it cannot wait').fill('run 1 cannot be opened by anybody')
    await glass.getByRole('button', { name: 'Read here for an hour' }).click()
    await glass.getByText('admin can read the data of this experiment').waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await picture(page, 'access')
    await glass.getByRole('button', { name: 'End it now' }).click()
    await glass.getByText('ended by admin').waitFor()
    expect(complaints).toEqual([])
    await page.close()
  })

  test('a member asks about himself, and sees nothing of others', async () => {
    const { page, complaints } = await open(anna, '/e/demo/access')
    await page.getByRole('button', { name: 'Ask' }).click()
    await page.getByText('anna: member of demo', { exact: true }).waitFor()
    expect(await page.getByText('Who can').count()).toBe(0)
    expect(await page.getByText('Broken glass').count()).toBe(0)
    expect(await seriousFaults(page)).toEqual([])
    expect(complaints).toEqual([])
    await page.close()
  })
})
