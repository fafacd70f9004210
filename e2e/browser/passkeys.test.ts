/**
 * Signing in as people do it, in a real Chromium whose virtual authenticator answers as a phone or laptop would: a passkey
 * made, used, on a second device, removed; a password with its app and recovery codes; the proof that an admin is asked for.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server } from 'node:http'
import { once } from 'node:events'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Secret, TOTP } from 'otpauth'
import type { Browser, BrowserContext, CDPSession, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { startPlatform, type RunningPlatform } from '../platform.ts'
import { buildPages, chromiumPath, freshLink, launch, listen, picture, seriousFaults } from './chromium.ts'

interface Credential {
  credentialId: string
  signCount: number
}

/** A device with a built-in authenticator, whose owner always puts his finger on it. */
async function deviceOf(page: Page): Promise<{ cdp: CDPSession; authenticatorId: string }> {
  const cdp = await page.context().newCDPSession(page)
  await cdp.send('WebAuthn.enable')
  const { authenticatorId } = await cdp.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true,
    },
  })
  return { cdp, authenticatorId }
}

describe.skipIf(chromiumPath === undefined)('signing in', () => {
  let platform: RunningPlatform
  let browser: Browser
  const home = mkdtempSync(join(tmpdir(), 'cygnet-passkeys-'))

  beforeAll(async () => {
    buildPages()
    // Browsers know passkeys for host names only: the platform is at localhost, people's own code at 127.0.0.1.
    platform = await startPlatform({ home, settings: (port) => `http:\n  publicUrl: http://localhost:${port}\n` })
    browser = await launch()
  })

  afterAll(async () => {
    await browser?.close()
    await platform?.stop()
    rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  })

  const at = (path: string): string => platform.platformUrl + path
  const signedInByLink = async (context: BrowserContext, link: string): Promise<Page> => {
    const page = await context.newPage()
    await page.goto(link)
    await page.waitForURL((address) => !address.pathname.startsWith('/sign-in'))
    return page
  }
  const newPerson = async (name: string): Promise<string> => {
    const admin = await browser.newContext()
    const page = await signedInByLink(admin, await freshLink(platform))
    const link = await page.evaluate(
      async (body) => {
        const answer = await fetch('/api/identity/people', {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
        return ((await answer.json()) as { signInLink: { url: string } }).signInLink.url
      },
      { name, displayName: `${name} of the tests` },
    )
    await admin.close()
    return link
  }
  const signOut = async (page: Page): Promise<void> => {
    await page.goto(at('/me'))
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.getByRole('heading', { name: 'Sign in to Cygnet' }).waitFor()
  }

  test('a passkey is made, signs in without a name, is refused when copied; a second device is asked for a proof', async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 900 } })
    const page = await signedInByLink(context, await newPerson('alice'))
    const complaints = listen(page)
    // Who is not signed in is told so.
    complaints.expect('401')
    const laptop = await deviceOf(page)
    await page.goto(at('/me'))
    await page.getByText('No passkey yet.').waitFor()
    await picture(page, 'me-fresh')
    expect(await seriousFaults(page)).toEqual([])
    // By keyboard alone.
    const name = page.locator('#factors').getByRole('textbox', { name: 'Name' })
    await name.fill('')
    await name.press('l')
    await name.fill('laptop')
    await name.press('Enter')
    await page.getByRole('cell', { name: 'laptop' }).waitFor()
    await page.getByRole('button', { name: 'Make ten codes' }).click()
    await page.getByText('They are shown only now').waitFor()
    expect(await page.locator('.cy-codes li').count()).toBe(10)
    await picture(page, 'me-recovery-codes')
    expect(await seriousFaults(page)).toEqual([])

    await signOut(page)
    await picture(page, 'sign-in')
    expect(await seriousFaults(page)).toEqual([])
    // An application that asks while nobody is signed in: first the sign-in, then its question on the same page.
    complaints.expect('404')
    await page.goto(at('/sign-in?interaction=over'))
    await page.getByRole('button', { name: 'Sign in with a passkey' }).press('Enter')
    await page.getByRole('heading', { name: 'An application asks for access' }).waitFor()
    expect(page.url()).toContain('interaction=over')
    await page.goto(at('/me'))
    await page.getByText('alice of the tests').waitFor()

    // The second device asks the first one's owner in by a link, and gets a passkey of its own only after a proof.
    const phoneContext = await browser.newContext({ viewport: { width: 390, height: 844 } })
    const phone = await signedInByLink(phoneContext, await linkFor(page))
    await deviceOf(phone)
    await phone.goto(at('/me'))
    await phone.getByRole('button', { name: 'Add a passkey' }).click()
    await phone.getByRole('dialog', { name: 'Prove that it is you' }).waitFor()
    await picture(phone, 'proof-phone')
    expect(await seriousFaults(phone)).toEqual([])
    await phone.getByRole('button', { name: 'Do not do it' }).click()
    await phone.getByText('This needs a new proof').waitFor()
    await phoneContext.close()

    // A copied passkey: its counter starts again where the copy was made.
    const { credentials } = (await laptop.cdp.send('WebAuthn.getCredentials', laptop)) as { credentials: Credential[] }
    expect(credentials).toHaveLength(1)
    await signOut(page)
    await laptop.cdp.send('WebAuthn.removeCredential', { ...laptop, credentialId: credentials[0]!.credentialId })
    await laptop.cdp.send('WebAuthn.addCredential', {
      authenticatorId: laptop.authenticatorId,
      credential: { ...credentials[0]!, signCount: 0 } as never,
    })
    await page.getByRole('button', { name: 'Sign in with a passkey' }).click()
    await page.getByText('This passkey was not accepted.').waitFor()
    expect(complaints.list).toEqual([])
    await context.close()

    /** A one-time link for whoever is signed in on this page, made by an admin. */
    async function linkFor(ofPage: Page): Promise<string> {
      const { id } = await ofPage.evaluate(
        async () => (await (await fetch('/api/identity/me')).json()) as { id: string },
      )
      const admin = await browser.newContext()
      const adminPage = await signedInByLink(admin, await freshLink(platform))
      const url = await adminPage.evaluate(async (person) => {
        const answer = await fetch(`/api/identity/people/${person}/sign-in-links`, { method: 'POST' })
        return ((await answer.json()) as { url: string }).url
      }, id)
      await admin.close()
      return url
    }
  })

  test('a page of another origin gets no passkey of ours, and nothing that it asks for is accepted', async () => {
    const context = await browser.newContext()
    const page = await signedInByLink(context, await newPerson('bob'))
    const device = await deviceOf(page)
    await page.goto(at('/me'))
    await page.getByRole('button', { name: 'Add a passkey' }).click()
    await page.locator('#factors').getByRole('button', { name: 'Rename' }).waitFor()
    const evil: Server = createServer((_request, response) => {
      response.setHeader('content-type', 'text/html').end('<h1>evil</h1>')
    }).listen(0, '127.0.0.1')
    await once(evil, 'listening')
    const { port } = evil.address() as { port: number }
    // Same host name, other port: browsers let it ask, the platform sees who asked.
    await page.goto(`http://localhost:${port}/`)
    const given = await page.evaluate(async () => {
      const challenge = new Uint8Array(32)
      const credential = (await navigator.credentials.get({
        publicKey: { challenge, rpId: 'localhost', userVerification: 'required' },
      })) as PublicKeyCredential
      return credential.toJSON() as unknown
    })
    await page.goto(at('/me'))
    const refused = await page.evaluate(async (response) => {
      const post = (path: string, body: unknown) =>
        fetch(`/api/identity/${path}`, {
          method: 'POST',
          headers: { 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
      await post('sign-in/passkey/options', {})
      const answer = await post('sign-in/passkey', { response })
      return [answer.status, ((await answer.json()) as { code: string }).code]
    }, given)
    expect(refused).toEqual([401, 'identity.passkey_refused'])
    // Another host name altogether: the browser itself says no.
    await page.goto(`http://other.localhost:${port}/`)
    const error = await page.evaluate(async () =>
      navigator.credentials.get({ publicKey: { challenge: new Uint8Array(32), rpId: 'example.localhost' } }).then(
        () => 'given',
        (caught: Error) => caught.name,
      ),
    )
    expect(error).toBe('SecurityError')
    evil.close()
    await device.cdp.detach()
    await context.close()
  })

  test('password and app on a phone, in Italian; a passkey beside them is removed and opens nothing any more', async () => {
    const context = await browser.newContext({ viewport: { width: 390, height: 844 }, locale: 'it-IT' })
    const page = await signedInByLink(context, await newPerson('carla'))
    const complaints = listen(page)
    complaints.expect('401')
    await page.goto(at('/me'))
    await page.getByRole('button', { name: 'Imposta una password' }).click()
    const password = page.getByLabel('Nuova password')
    await password.fill('password1234')
    await page.getByText('troppo facile da indovinare').waitFor()
    await password.fill('la gatta al lardo frettolosa')
    await page.getByText('Va bene').waitFor()
    await page.locator('#factors').getByRole('button', { name: 'Salva' }).click()
    await page.getByRole('button', { name: 'Aggiungi un’app di autenticazione' }).click()
    await page.getByRole('img', { name: 'Codice QR per l’app di autenticazione' }).waitFor()
    await picture(page, 'me-app-phone-it')
    expect(await seriousFaults(page)).toEqual([])
    const secret = await page.locator('.cy-copy-line code').first().textContent()
    const codeAt = (nowMs: number) => new TOTP({ secret: Secret.fromBase32(secret!) }).generate({ timestamp: nowMs })
    await page.getByRole('textbox', { name: 'Codice' }).fill(codeAt(Date.now()))
    await page.getByRole('button', { name: 'Conferma' }).click()
    await page.getByText('App confermata').waitFor()
    await page.getByRole('button', { name: 'Esci', exact: true }).click()
    await page.getByRole('heading', { name: 'Accedi a Cygnet' }).waitFor()
    await picture(page, 'sign-in-phone-it')
    await page.getByLabel('Nome dell’account').fill('Carla')
    await page.getByLabel('Password', { exact: true }).fill('la gatta al lardo frettolosa')
    await page.getByLabel('Codice dell’app').fill('000000')
    await page.getByRole('button', { name: 'Accedi', exact: true }).click()
    await page.getByRole('alert').first().waitFor()
    expect(await seriousFaults(page)).toEqual([])
    // The code that confirmed the app is used up; the next one is taken early.
    await page.getByLabel('Codice dell’app').fill(codeAt(Date.now() + 30_000))
    await page.getByRole('button', { name: 'Accedi', exact: true }).click()
    await page.waitForURL((address) => !address.pathname.startsWith('/sign-in'))
    await deviceOf(page)
    await page.goto(at('/me'))
    await page.getByRole('button', { name: 'Aggiungi una passkey' }).click()
    await page.getByRole('button', { name: 'Rimuovi', exact: true }).click()
    await page.getByRole('button', { name: 'Rimuovi; non potrà più accedere' }).click()
    await page.getByText('Ancora nessuna passkey.').waitFor()
    await page.getByRole('button', { name: 'Esci', exact: true }).click()
    await page.getByRole('button', { name: 'Accedi con una passkey' }).click()
    await page.getByText('identity.passkey_refused').waitFor()
    expect(complaints.list).toEqual([])
    await context.close()
  })

  test('an admin with a passkey is asked for it before people are changed, and the change then happens by itself', async () => {
    const context = await browser.newContext()
    const page = await signedInByLink(context, await freshLink(platform))
    await deviceOf(page)
    await page.goto(at('/me'))
    await page.getByText('You are site admin and have no second factor').waitFor()
    await page.getByRole('button', { name: 'Add a passkey' }).click()
    await page.getByRole('button', { name: 'Prove it for the command line' }).click()
    await page.getByText('Your command line may change the site until').waitFor()
    await picture(page, 'me-admin')
    expect(await seriousFaults(page)).toEqual([])
    // A proof that is too old, as a quarter of an hour later.
    let refuseOnce = true
    await page.route('**/api/identity/factors/recovery-codes', async (route) => {
      if (!refuseOnce) return route.continue()
      refuseOnce = false
      await route.fulfill({
        status: 403,
        contentType: 'application/problem+json',
        body: JSON.stringify({
          code: 'identity.fresh_proof_needed',
          status: 403,
          title: 'x',
          detail: 'x',
          requestId: 'x',
        }),
      })
    })
    await page.getByRole('button', { name: 'Make ten codes' }).click()
    const dialog = page.getByRole('dialog', { name: 'Prove that it is you' })
    await dialog.waitFor()
    await picture(page, 'proof')
    expect(await seriousFaults(page)).toEqual([])
    await page.keyboard.press('Enter')
    await page.getByText('They are shown only now').waitFor()
    await dialog.waitFor({ state: 'hidden' })
    await context.close()
  })

  test('somebody who lost everything comes by a recovery link and finds one thing to do', async () => {
    const link = await newPerson('dora')
    const context = await browser.newContext()
    const page = await signedInByLink(context, link)
    const { id } = await page.evaluate(async () => (await (await fetch('/api/identity/me')).json()) as { id: string })
    const adminContext = await browser.newContext()
    const admin = await signedInByLink(adminContext, await freshLink(platform))
    const url = await admin.evaluate(async (person) => {
      const answer = await fetch(`/api/identity/people/${person}/recover`, { method: 'POST' })
      return ((await answer.json()) as { url: string }).url
    }, id)
    const phone = await browser.newContext({ viewport: { width: 390, height: 844 } })
    const lost = await phone.newPage()
    await deviceOf(lost)
    await lost.goto(url)
    await lost.waitForURL('**/me')
    await lost.getByRole('heading', { name: 'Make a new way to sign in' }).waitFor()
    await picture(lost, 'recovering-phone')
    expect(await seriousFaults(lost)).toEqual([])
    await lost.goto(at('/status'))
    await lost.waitForURL('**/me')
    await lost.getByRole('button', { name: 'Add a passkey' }).click()
    await lost.getByRole('heading', { name: 'Where I am signed in' }).waitFor()
    for (const one of [context, adminContext, phone]) await one.close()
  })
})
