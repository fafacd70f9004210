/**
 * From an invitation to a signed-in page, as somebody does it who has never seen it, in a real Chromium. Every press of
 * the pointer is counted.
 */
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { startPlatform, type RunningPlatform } from '../platform.ts'
import { buildPages, chromiumPath, launch, listen, picture, seriousFaults, signedIn } from './chromium.ts'

const desktop = { width: 1280, height: 900 }
const phone = { width: 390, height: 844 }

/** Somebody new at a browser, whose clicks are counted. */
async function newcomer(
  browser: Browser,
  options: { locale?: string; viewport?: { width: number; height: number } } = {},
): Promise<{ context: BrowserContext; page: Page; clicks: () => number; complaints: string[] }> {
  const context = await browser.newContext({ viewport: desktop, locale: 'en-GB', ...options })
  context.setDefaultTimeout(45_000)
  let clicks = 0
  await context.exposeFunction('countPress', () => void (clicks += 1))
  await context.addInitScript(() => {
    const { countPress } = globalThis as unknown as { countPress: () => void }
    addEventListener('pointerdown', (event) => event.isTrusted && countPress(), true)
  })
  const page = await context.newPage()
  const complaints = listen(page)
  // Who is not signed in is told so; nothing else may go wrong.
  complaints.expect('401')
  return { context, page, clicks: () => clicks, complaints: complaints.list }
}

describe.skipIf(chromiumPath === undefined)('joining', () => {
  let platform: RunningPlatform
  let browser: Browser
  let admin: BrowserContext
  const home = mkdtempSync(join(tmpdir(), 'cygnet-join-'))
  const at = (path: string): string => platform.platformUrl + path

  async function call<Answer>(context: BrowserContext, method: string, path: string, body?: unknown): Promise<Answer> {
    const response = await context.request.fetch(at(path), {
      method,
      headers: { origin: platform.platformUrl, 'sec-fetch-site': 'same-origin' },
      ...(body === undefined ? {} : { data: body }),
    })
    expect(response.status(), await response.text()).toBeLessThan(300)
    return (await response.json()) as Answer
  }

  beforeAll(async () => {
    buildPages()
    // Browsers know passkeys for host names only.
    platform = await startPlatform({ home, settings: (port) => `http:\n  publicUrl: http://localhost:${port}\n` })
    browser = await launch()
    admin = await signedIn(browser, platform)
    await call(admin, 'POST', '/api/experiments', { name: 'demo', title: 'Demo' })
    await call(admin, 'POST', '/api/identity/groups', { group: '/demo/students' })
  })

  afterAll(async () => {
    await browser?.close()
    await platform?.stop()
    rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  })

  /** Makes an invitation on the page of invitations, as a sponsor does; answers the link that it shows. */
  async function invite(): Promise<string> {
    const page = await admin.newPage()
    const { list } = listen(page)
    await page.goto(at('/e/demo/invitations'))
    const form = page.getByRole('region', { name: 'Invite somebody' })
    await form.getByLabel('Group').selectOption('/demo/students')
    await form.getByLabel('As', { exact: true }).selectOption('guest')
    await form.getByLabel('Message').fill('See you on Monday')
    await form.getByRole('button', { name: 'Make the link' }).click()
    await page.getByText('It is shown only now').waitFor()
    const link = (await page.locator('.cy-notice .cy-copy-line code').textContent()) ?? ''
    await page.locator('td').getByText('whoever has the link').first().waitFor()
    await picture(page, 'invitations')
    expect(await seriousFaults(page)).toEqual([])
    expect(list).toEqual([])
    await page.close()
    return link
  }

  test('a link, at most four clicks, and somebody who has never been here is signed in', async () => {
    const link = await invite()
    const anna = await newcomer(browser)
    await anna.page.goto(link)
    await anna.page.getByText('invites you to work in /demo/students').waitFor()
    expect(anna.page.url()).not.toContain('code=')
    await anna.page.getByText('See you on Monday').waitFor()
    await picture(anna.page, 'join')
    expect(await seriousFaults(anna.page)).toEqual([])
    // Nothing can be pressed before the rules are agreed to.
    expect(await anna.page.getByRole('button', { name: 'Join now' }).isDisabled()).toBe(true)
    await anna.page.getByLabel('I have read the rules and agree').click()
    await anna.page.getByLabel('Your name').click()
    await anna.page.getByLabel('Your name').pressSequentially('Anna Rossi')
    await anna.page.getByRole('button', { name: 'Join now' }).click()
    await anna.page.getByRole('heading', { name: 'You are in' }).waitFor()
    expect(anna.clicks()).toBeLessThanOrEqual(3)
    await anna.page.getByText('Without a passkey').waitFor()
    await picture(anna.page, 'joined')
    expect(await seriousFaults(anna.page)).toEqual([])
    await anna.page.getByRole('link', { name: 'Open a notebook' }).click()
    await anna.page.waitForURL(/\/e\/demo\/sessions/)
    await anna.page.getByRole('button', { name: 'arossi' }).waitFor()
    expect(anna.clicks()).toBeLessThanOrEqual(4)
    expect(anna.complaints).toEqual([])
    await anna.context.close()

    const late = await newcomer(browser)
    await late.page.goto(link)
    await late.page.getByText('This link does not open an invitation').waitFor()
    expect(await seriousFaults(late.page)).toEqual([])
    await late.context.close()
  })

  test('with a passkey, on a phone, in Italian', async () => {
    const link = await invite()
    const bea = await newcomer(browser, { locale: 'it-IT', viewport: phone })
    const cdp = await bea.context.newCDPSession(bea.page)
    await cdp.send('WebAuthn.enable')
    await cdp.send('WebAuthn.addVirtualAuthenticator', {
      options: {
        protocol: 'ctap2',
        transport: 'internal',
        hasResidentKey: true,
        hasUserVerification: true,
        isUserVerified: true,
        automaticPresenceSimulation: true,
      },
    })
    await bea.page.goto(link)
    await bea.page.getByRole('heading', { name: 'Hai ricevuto un invito' }).waitFor()
    expect(await bea.page.locator('html').getAttribute('lang')).toBe('it')
    await picture(bea.page, 'join-phone-it')
    expect(await seriousFaults(bea.page)).toEqual([])
    expect(await bea.page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
    await bea.page.getByLabel('Ho letto le regole e le accetto').click()
    await bea.page.getByLabel('Il tuo nome').click()
    await bea.page.getByLabel('Il tuo nome').pressSequentially('Bea Bianchi')
    await bea.page.getByRole('button', { name: 'Entra con una passkey' }).click()
    await bea.page.getByRole('heading', { name: 'Sei dentro' }).waitFor()
    expect(bea.clicks()).toBeLessThanOrEqual(3)
    // Whoever has a passkey is not asked for one.
    await bea.page.waitForFunction(() => document.querySelector('.cy-waiting') === null)
    expect(await bea.page.getByText('Aggiungi una passkey').count()).toBe(0)
    await picture(bea.page, 'joined-phone-it')
    expect(await seriousFaults(bea.page)).toEqual([])
    expect(bea.complaints).toEqual([])
    // The choice of another language is kept.
    await bea.page.goto(at('/sign-in'))
    await bea.page.getByRole('button', { name: 'English' }).click()
    expect(await bea.page.locator('html').getAttribute('lang')).toBe('en')
    await bea.page.reload()
    expect(await bea.page.locator('html').getAttribute('lang')).toBe('en')
    await bea.context.close()
  })

  test('a class link: students come in, the list grows by itself, one click ends it for all', async () => {
    const page = await admin.newPage()
    await page.goto(at('/e/demo/invitations'))
    const form = page.getByRole('region', { name: 'Class link' })
    await form.getByLabel('Group').selectOption('/demo/students')
    await form.getByLabel('Seats').fill('3')
    const nextMonth = new Date(Date.now() + 30 * 86_400_000).toISOString().slice(0, 10)
    await form.getByLabel('Access until').fill(nextMonth)
    await form.getByRole('button', { name: 'Make the class link' }).click()
    const link = (await page.locator('.cy-notice .cy-copy-line code').textContent()) ?? ''
    await page.getByRole('button', { name: 'Who is in' }).click()
    await page.getByText('0 of 3 seats taken', { exact: true }).waitFor()
    for (const name of ['Carla Neri', 'Dino Verdi']) {
      const student = await newcomer(browser, { viewport: phone })
      await student.page.goto(link)
      await student.page.getByLabel('I have read the rules and agree').click()
      await student.page.getByLabel('Your name').click()
      await student.page.getByLabel('Your name').pressSequentially(name)
      await student.page.getByRole('button', { name: 'Join now' }).click()
      await student.page.getByRole('heading', { name: 'You are in' }).waitFor()
      expect(student.clicks()).toBeLessThanOrEqual(3)
      await student.context.close()
    }
    await page.getByText('2 of 3 seats taken', { exact: true }).waitFor()
    const people = page.getByRole('region', { name: 'Who came in by the class link' }).first()
    await people.getByText('Dino Verdi').waitFor()
    await picture(page, 'class')
    expect(await seriousFaults(page)).toEqual([])
    await page.getByRole('button', { name: 'End the access of all' }).click()
    await page.getByRole('button', { name: 'End it for all 2 people now' }).click()
    await page.getByText('2 accesses have ended.').waitFor()
    await people.getByText('read-only').first().waitFor()
    await page.setViewportSize(phone)
    await page.reload()
    await page.locator('td').getByText('class link, 2 of 3 seats taken').waitFor()
    await picture(page, 'invitations-phone')
    expect(await seriousFaults(page)).toEqual([])
    expect(await page.evaluate(() => document.documentElement.scrollWidth <= innerWidth)).toBe(true)
    await page.close()
  })

  test('an experiment is asked for without an account, approved with three clicks, and run by who asked', async () => {
    const ida = await newcomer(browser, { locale: 'it-IT' })
    await ida.page.goto(at('/request-experiment'))
    await ida.page.getByRole('heading', { name: 'Richiedi un esperimento' }).waitFor()
    await ida.page.getByRole('button', { name: 'English' }).click()
    await ida.page.getByLabel('Short name').fill('muon')
    await ida.page.getByLabel('Title').fill('Muon tomography')
    await ida.page.getByLabel('What is it about?').fill('We look through a hill.')
    await ida.page.getByLabel('Your name').fill('Ida Noether')
    await ida.page.getByLabel('Your e-mail address').fill('ida@uni.example')
    await picture(ida.page, 'request-experiment')
    expect(await seriousFaults(ida.page)).toEqual([])
    await ida.page.getByRole('button', { name: 'Send the request' }).click()
    await ida.page.getByText('Your request has been sent').waitFor()

    const page = await admin.newPage()
    const { list } = listen(page)
    await page.goto(at('/site/requests'))
    await page.getByRole('button', { name: 'Look' }).click()
    await page.getByText('We look through a hill.').waitFor()
    await page.getByRole('button', { name: 'Approve' }).click()
    await page.getByRole('button', { name: 'Approve and make muon' }).click()
    const link = (await page.locator('.cy-notice .cy-copy-line code').textContent()) ?? ''
    await picture(page, 'requests')
    expect(await seriousFaults(page)).toEqual([])
    expect(list).toEqual([])

    await ida.page.goto(link)
    await ida.page.getByLabel('I have read the rules and agree').click()
    await ida.page.getByLabel('Your name').click()
    await ida.page.getByLabel('Your name').pressSequentially('Ida Noether')
    await ida.page.getByRole('button', { name: 'Join now' }).click()
    await ida.page.getByText('You are now administrator of /muon').waitFor()
    await ida.page.getByRole('link', { name: 'Look at the experiment' }).click()
    await ida.page.getByRole('heading', { name: 'Muon tomography' }).waitFor()
    expect(ida.complaints).toEqual([])

    // New rules wait for everybody, wherever he is; on a phone too.
    await page.getByRole('button', { name: 'Write a new version' }).click()
    await page.getByLabel('Text').fill('Be kind to detectors.')
    await page.getByRole('button', { name: 'Publish', exact: true }).click()
    await page.getByRole('button', { name: /^Publish; everybody/ }).click()
    await page.getByRole('region', { name: 'The rules of this site have changed' }).waitFor()
    await page.close()
    await ida.page.setViewportSize(phone)
    await ida.page.goto(at('/me'))
    await ida.page.getByText('Be kind to detectors.').waitFor()
    await picture(ida.page, 'terms-due')
    expect(await seriousFaults(ida.page)).toEqual([])
    await ida.page.getByRole('button', { name: 'I agree to version 1' }).click()
    await ida.page.getByText('The rules of this site have changed').waitFor({ state: 'detached' })
    await ida.page.getByText('Where notices go').first().waitFor()
    await picture(ida.page, 'me-phone')
    await ida.context.close()
  })
})
