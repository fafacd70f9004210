/** An institute that others have written (Canaille), added by the site admin and used by a person, in a real browser. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkout, startPlatform, type RunningPlatform } from '../platform.ts'
import { buildPages, chromiumPath, launch, listen, picture, seriousFaults, signedIn } from './chromium.ts'

const python = process.env['CYGNET_TEST_ISSUER_PYTHON']
if (python === undefined)
  console.warn('SKIPPED: institute login in the browser needs Canaille (./cygnet test installs it)')

interface Institute {
  url: string
  command(line: string): Promise<void>
  stop(): Promise<void>
}

describe.skipIf(chromiumPath === undefined || python === undefined)('institute login', { timeout: 240_000 }, () => {
  let platform: RunningPlatform
  let browser: Browser
  let institute: Institute

  beforeAll(async () => {
    buildPages()
    platform = await startPlatform()
    institute = await startInstitute(platform.platformUrl)
    browser = await launch()
  }, 240_000)
  afterAll(async () => {
    await browser?.close()
    await institute?.stop()
    await platform?.stop()
  })

  async function check(page: Page, name: string): Promise<void> {
    expect(await seriousFaults(page), name).toEqual([])
    await picture(page, name)
  }

  test('the admin adds it and makes a rule; a student signs in, is linked, signs out here and there', async () => {
    const admin = await signedIn(browser, platform)
    const providers = await admin.newPage()
    await providers.goto(platform.platformUrl)
    const made = await providers.evaluate(async () => {
      const body = JSON.stringify({ name: 'cygno', title: 'CYGNO' })
      const headers = { 'content-type': 'application/json' }
      return (await fetch('/api/experiments', { method: 'POST', headers, body })).status
    })
    expect(made).toBe(200)
    const complaints = listen(providers)
    await providers.goto(`${platform.platformUrl}/site/identity-providers`)
    await providers.getByText('No institute is connected yet.').waitFor()
    await providers.getByRole('textbox', { name: 'Issuer' }).fill(`${institute.url}/`)
    await providers.getByRole('button', { name: 'Check it' }).click()
    await providers.getByText('This issuer cannot be used yet.').waitFor()
    await check(providers, 'institute-check-wrong')
    await providers.getByRole('textbox', { name: 'Issuer' }).fill(institute.url)
    await providers.getByRole('textbox', { name: 'Scopes' }).fill('openid profile email groups offline_access')
    await providers.getByRole('button', { name: 'Check it' }).click()
    await providers.getByText('This issuer can be used.').waitFor()
    await providers.getByRole('textbox', { name: 'Name on the button' }).fill('Institute of Physics')
    await providers.getByRole('textbox', { name: 'What it vouches for' }).fill('Staff and students, checked in person')
    await providers.getByRole('textbox', { name: 'Client id' }).fill('cygnet')
    await providers.getByLabel('Client secret').fill('a secret of the institute')
    await providers.getByRole('textbox', { name: 'Claim with the groups' }).fill('groups')
    await check(providers, 'institute-add')
    await providers.getByRole('button', { name: 'Add and enable' }).click()
    await providers.getByText('Institute of Physics is on the sign-in page now.').waitFor()

    // A stranger, in Italian: the institute knows her, nobody here does.
    const anna = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: 'it-IT' })
    const page = await anna.newPage()
    const hers = listen(page)
    hers.expect('401')
    // Of the institute's own pages.
    hers.expect('Applying inline style')
    await page.goto(`${platform.platformUrl}/sign-in`)
    await page.getByRole('button', { name: 'Accedi con Institute of Physics' }).waitFor()
    await check(page, 'institute-sign-in-it')
    await page.getByRole('button', { name: 'Accedi con Institute of Physics' }).click()
    await signInThere(page)
    await page.getByText('Nessuno ti ha ancora invitato').waitFor()
    await check(page, 'institute-not-invited-it')

    // A rule for her group, previewed first.
    const rules = providers.getByRole('form', { name: 'New rule' })
    await rules.getByLabel('Value').fill('cygno')
    await rules.getByLabel('Group here').fill('/cygno')
    await rules.getByRole('button', { name: 'Preview' }).click()
    await rules.getByText('This claim was never seen').waitFor()
    await check(providers, 'institute-rule-preview')
    await rules.getByRole('button', { name: 'Make this rule' }).click()
    await providers.getByRole('cell', { name: '/cygno', exact: true }).waitFor()

    await institute.command('groups cygno')
    await page.getByRole('link', { name: 'Accedi in un altro modo' }).click()
    await page.getByRole('button', { name: 'Accedi con Institute of Physics' }).click()
    await page.getByLabel('Nome dell’account').waitFor()
    await page.getByLabel('Nome dell’account').fill('anna')
    await check(page, 'institute-choose-name-it')
    await page.getByRole('button', { name: 'Comincia' }).click()
    await page.waitForURL((address) => address.pathname === '/' || address.pathname.startsWith('/e/'))
    await page.goto(`${platform.platformUrl}/me`)
    await page.getByText('anna@institute.example').first().waitFor()
    await check(page, 'institute-me-it')

    // What the admin sees now: a preview with a person in it.
    await providers.reload()
    await rules.getByLabel('Value').fill('cygno')
    await rules.getByLabel('Group here').fill('/cygno')
    await rules.getByLabel('Role').selectOption('operator')
    await rules.getByRole('button', { name: 'Preview' }).click()
    await rules.getByText('1 person would get it now:').waitFor()
    await check(providers, 'institute-providers')

    // The admin links the same institute to his own account? It is hers already: refused in words.
    const linking = await admin.newPage()
    await linking.goto(`${platform.platformUrl}/me`)
    await linking.getByRole('button', { name: 'Link Institute of Physics' }).click()
    await signInThere(linking)
    await linking.getByText('linked to another account').waitFor()
    await check(linking, 'institute-link-taken')

    // Out, here and there.
    await page
      .getByRole('button', { name: /^Esci$/ })
      .first()
      .click()
    await page.getByRole('button', { name: 'Esci da Institute of Physics' }).waitFor()
    await check(page, 'institute-signed-out-it')
    await page.getByRole('button', { name: 'Esci da Institute of Physics' }).click()
    await page.waitForURL((address) => address.href.startsWith(`${platform.platformUrl}/sign-in`))
    expect(complaints.list).toEqual([])
    expect(hers.list).toEqual([])
  })
})

/** The login pages of Canaille, as a person meets them. */
async function signInThere(page: Page): Promise<void> {
  await page.locator('input[name=login]').fill('anna.bianchi')
  await page.locator('input[name=login]').press('Enter')
  await page.locator('input[name=password]').fill('correct horse battery')
  await page.locator('input[name=password]').press('Enter')
  const accept = page.locator('button[name=answer][value=accept]')
  const landed = page.waitForURL((address) => address.pathname === '/institute').then(() => 'landed')
  if ((await Promise.race([landed, accept.waitFor().then(() => 'asked')])) === 'asked') await accept.click()
  await landed
}

async function startInstitute(platformUrl: string): Promise<Institute> {
  const probe = createServer()
  await new Promise<void>((listening) => probe.listen(0, '127.0.0.1', listening))
  const { port } = probe.address() as { port: number }
  await new Promise((closed) => probe.close(closed))
  const program = join(checkout, 'src', 'identity', 'federation', 'real-issuer-canaille.py')
  const redirectUri = `${platformUrl}/api/identity/federation/callback`
  const settings = { port, redirectUri, afterLogoutUri: `${platformUrl}/sign-in` }
  const child = spawn(python!, ['-I', program, JSON.stringify(settings)], { stdio: ['pipe', 'pipe', 'ignore'] })
  const gone = once(child, 'exit')
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  const said = async (word: string): Promise<void> => {
    if ((await lines.next()).value !== word) throw new Error('Canaille does not answer')
  }
  await said('ready')
  return {
    url: `http://127.0.0.1:${port}`,
    async command(line) {
      child.stdin.write(`${line}\n`)
      await said('done')
    },
    async stop() {
      child.kill('SIGKILL')
      await gone
    },
  }
}
