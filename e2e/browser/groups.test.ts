/** People, groups and their policies as admins, managers and members meet them, in a real Chromium. */
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPlatform, type RunningPlatform } from '../platform.ts'
import { buildPages, chromiumPath, launch, listen, picture, seriousFaults, signedIn } from './chromium.ts'

const group = '/demo/analysis'
const phone = { width: 390, height: 844 }

describe.skipIf(chromiumPath === undefined)('groups', () => {
  let platform: RunningPlatform
  let browser: Browser
  let admin: BrowserContext
  const people: Record<string, BrowserContext> = {}
  const at = (path: string): string => platform.platformUrl + path

  /** As a page of the platform would: with the cookie of that context. */
  async function call<Answer>(context: BrowserContext, method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await context.request.fetch(at(path), {
      method,
      headers: { origin: platform.platformUrl, 'sec-fetch-site': 'same-origin' },
      ...(body === undefined ? {} : { data: body }),
    })
    expect(response.status(), await response.text()).toBeLessThan(300)
    return (await response.json()) as Answer
  }

  async function newPerson(name: string, displayName: string): Promise<void> {
    const { signInLink } = await call<{ signInLink: { url: string } }>(admin, 'POST', '/api/identity/people', {
      name,
      displayName,
    })
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await context.newPage()
    await page.goto(signInLink.url)
    await page.waitForURL((address) => !address.pathname.startsWith('/sign-in'))
    await page.close()
    people[name] = context
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
    await call(admin, 'POST', '/api/experiments', { name: 'demo', title: 'Demo' })
    for (const path of [group, '/demo/daq', '/demo/daq/shifter'])
      await call(admin, 'POST', '/api/identity/groups', { group: path, optional: path.endsWith('shifter') })
    for (const [name, displayName] of [
      ['mara', 'Mara Conti'],
      ['anna', 'Anna Rossi'],
      ['otto', 'Otto Weiss'],
    ] as const)
      await newPerson(name, displayName)
    await call(admin, 'PUT', '/api/identity/groups/members', { group, person: 'mara', role: 'manager' })
    await call(admin, 'PUT', '/api/identity/groups/members', { group, person: 'anna', role: 'member' })
  })

  afterAll(async () => {
    await browser?.close()
    await platform?.stop()
  })

  test('a manager lets somebody in, changes his role and takes him out, by keyboard alone', async () => {
    const { page, complaints } = await open(people.mara!, '/e/demo/people')
    const account = page.getByRole('textbox', { name: 'Account' })
    await account.focus()
    await page.keyboard.type('otto')
    await page.keyboard.press('Enter')
    await page.getByText('otto is member of /demo/analysis now.').waitFor()
    const role = page.getByLabel('Role: otto, /demo/analysis')
    await role.focus()
    await role.selectOption('guest')
    await expect.poll(() => role.inputValue()).toBe('guest')
    await page
      .getByRole('row', { name: /Otto Weiss/ })
      .getByRole('button', { name: 'Remove' })
      .press('Enter')
    await page.getByRole('button', { name: 'Remove otto from /demo/analysis' }).press('Enter')
    await page.getByText('Otto Weiss').waitFor({ state: 'detached' })
    // He manages one group: of others there is nothing to choose, and nothing to see.
    expect(await role.count()).toBe(0)
    await page.getByLabel('Name', { exact: true }).fill('nobody at all')
    await page.getByText('Nobody matches').waitFor()
    expect(await seriousFaults(page)).toEqual([])
    expect(complaints).toEqual([])
    await page.close()
  })

  test('a policy is edited with what it would do beside it, applied, and undone', async () => {
    const { page, complaints } = await open(admin, `/e/demo/groups?group=${group}`)
    await page.getByRole('heading', { name: `Policy of ${group}` }).waitFor()
    await page.getByText('Nothing is different from version 1.').waitFor()
    await picture(page, 'groups')
    const ceiling = page.getByLabel('Ceiling: Capabilities, one a line')
    const before = await ceiling.inputValue()
    await ceiling.fill(
      before
        .split('\n')
        .filter((line) => !line.startsWith('sessions.start') && !line.startsWith('data.modify'))
        .join('\n'),
    )
    const side = page.locator('.cy-policy-side')
    await side.getByText('Anna Rossi').waitFor()
    await side.getByText('data.modify:/demo-work/analysis/**').first().waitFor()
    expect(await side.getByText('Otto Weiss').count()).toBe(0)
    await picture(page, 'policy-preview')
    expect(await seriousFaults(page)).toEqual([])
    // Nothing has changed so far.
    const shown = await call<{ version: number }>(admin, 'GET', `/api/identity/policies?group=${group}`)
    expect(shown.version).toBe(1)
    await side.getByLabel('Why (for the history)').fill('holidays')
    await side.getByRole('button', { name: 'Apply' }).click()
    await page.getByText('Applied: this is version 2 now.').waitFor()
    await page.getByText('holidays').waitFor()
    await page
      .getByRole('row', { name: /version 1/ })
      .getByRole('button', { name: 'Back to this' })
      .click()
    await page.getByRole('button', { name: 'Make a new version like 1' }).click()
    await page.getByText('as in version 1').waitFor()
    await expect.poll(() => page.getByLabel('Ceiling: Capabilities, one a line').inputValue()).toBe(before)
    expect(complaints).toEqual([])
    await page.close()
  })

  test('somebody who was faster is named, and what was typed is not lost without asking', async () => {
    const { page } = await open(admin, `/e/demo/groups?group=${group}`)
    await page.getByText(/Nothing is different from version/).waitFor()
    await page.getByLabel('member: Capabilities, one a line').fill('logbook.read')
    await page.getByRole('button', { name: 'Apply' }).waitFor()
    const { version, policy } = await call<{ version: number; policy: { grants: object } }>(
      people.mara!,
      'GET',
      `/api/identity/policies?group=${group}`,
    )
    const faster = { ...policy, grants: { ...policy.grants, guest: ['logbook.read'] } }
    await call(people.mara!, 'PUT', '/api/identity/policies', { group, policy: faster, ifVersion: version })
    await page.getByText(`Somebody made version ${version + 1} meanwhile.`).waitFor()
    await page.getByRole('button', { name: 'Apply' }).click()
    await page.getByText(/mara has made it version/).waitFor()
    expect(await page.getByLabel('member: Capabilities, one a line').inputValue()).toBe('logbook.read')
    await page.getByRole('button', { name: /Load it/ }).click()
    await page.getByText(`Nothing is different from version ${version + 1}.`).waitFor()
    await page.close()
  })

  test('beyond the ceiling the page says what exceeds, and a manager finds the ceiling closed', async () => {
    const { page } = await open(people.mara!, `/e/demo/groups?group=${group}`)
    await page.getByText('You may edit: what roles hand out.').waitFor()
    expect(await page.getByLabel('Ceiling: Capabilities, one a line').isEditable()).toBe(false)
    await page.getByLabel('member: Capabilities, one a line').fill('data.modify:/demo-raw/**')
    await page.getByText(/reaches beyond the ceiling above/).waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await page.close()
  })

  test('every page is complete, quiet and accessible, on a desk and on a telephone', async () => {
    const places: [name: string, who: BrowserContext, path: string, text: string | RegExp][] = [
      ['people-admin', admin, '/e/demo/people', 'Anna Rossi'],
      ['people-manager', people.mara!, '/e/demo/people', 'Anna Rossi'],
      ['people-member', people.anna!, '/e/demo/people', 'You may not manage the people'],
      ['groups-manager', people.mara!, `/e/demo/groups?group=${group}`, 'Members of /demo/analysis'],
      ['groups-member', people.anna!, '/e/demo/groups?group=/demo/daq', 'Only members and managers of this group'],
      ['groups-admin', admin, '/e/demo/groups?group=/demo/daq/shifter', 'Nobody is in this group yet.'],
      ['groups-stranger', people.otto!, '/e/demo/groups', 'You are in no group of this experiment'],
      ['me-groups', people.anna!, '/me', 'My groups'],
    ]
    for (const [name, who, path, text] of places) {
      for (const size of ['desk', 'telephone']) {
        const { page, complaints } = await open(who, '/me')
        if (size === 'telephone') await page.setViewportSize(phone)
        await page.goto(at(path))
        await page.locator('#content').getByText(text).first().waitFor()
        await page.waitForFunction(() => document.querySelector('.cy-waiting') === null)
        await picture(page, `${name}-${size}`)
        expect(await seriousFaults(page), name).toEqual([])
        const wider = await page.evaluate(
          () => document.documentElement.scrollWidth - document.documentElement.clientWidth,
        )
        expect(wider, `${name} on a ${size} is wider than the window`).toBeLessThanOrEqual(0)
        const refused = complaints.filter((line) => !/40[34]/.test(line))
        expect(refused, name).toEqual([])
        await page.close()
      }
    }
  })
})
