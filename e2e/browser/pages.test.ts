/** The pages as people use them, in a real Chromium, on a platform with one pedestal run and one data run. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cygnet, eventually, type RunningPlatform } from '../platform.ts'
import { experiment, type Scenario } from '../scenario.ts'
import { walkThroughCampaigns } from './campaign-steps.ts'
import { chromiumPath, freshLink, listen, picture, seriousFaults, signedIn } from './chromium.ts'
import { images, openSite, type Site } from './one-run-site.ts'

describe.skipIf(chromiumPath === undefined)('pages', () => {
  let site: Site
  let platform: RunningPlatform
  let scenario: Scenario
  let browser: Browser
  let context: BrowserContext
  const at = (path: string): string => site.at(path)
  const open = (path: string) => site.open(path)

  beforeAll(async () => {
    site = await openSite()
    ;({ platform, scenario, browser, context } = site)
  })

  afterAll(() => site?.close())

  test('without a link the page says how to get one; a link signs in once and leaves the address bar', async () => {
    const stranger = await browser.newContext()
    const page = await stranger.newPage()
    await page.goto(at(`/e/${experiment}/runs?kind=data`))
    await page.getByText('Passkeys do not work at this address (127.0.0.1)').waitFor()
    await page.getByText('With a one-time link').click()
    await page.getByText('cygnet admin-link').waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await picture(page, 'sign-in')
    const link = await freshLink(platform)
    await page.goto(link)
    await page.getByRole('heading', { name: 'End to end' }).waitFor()
    expect(new URL(page.url()).hash).toBe('')
    await page.goto(at('/status'))
    await page.goto(link)
    await page.getByText('The link did not work').waitFor()
    expect(page.url()).not.toContain('code=')
    await stranger.close()
  })

  for (const scheme of ['light', 'dark'] as const) {
    test(`every page is complete, quiet and accessible (${scheme})`, async () => {
      const viewer = scheme === 'light' ? context : await signedIn(browser, platform, 'dark')
      const jobs = await scenario.call<{ items: { id: string }[] }>('GET', `/api/experiments/${experiment}/jobs`)
      const places: Record<string, [path: string, text: string | RegExp]> = {
        home: [`/e/${experiment}`, 'NOT RECORDING'],
        runs: [`/e/${experiment}/runs`, 'sim:2'],
        'runs-empty': [`/e/${experiment}/runs?text=nothing-like-this`, 'No run matches'],
        run: [`/e/${experiment}/runs/sim/2`, 'images reconstructed'],
        pedestal: [`/e/${experiment}/runs/sim/1`, 'This pedestal run gave the pedestal map'],
        event: [`/e/${experiment}/runs/sim/2/events/1`, 'Rows searched'],
        results: [`/e/${experiment}/results?y=lengthPx&trend=perImage`, 'clusters, no cut'],
        'results-empty': [`/e/${experiment}/results?cuts=lengthPx+>+99999`, 'removes all of them'],
        campaigns: [`/e/${experiment}/campaigns`, 'always there'],
        campaign: [`/e/${experiment}/campaigns/main`, 'All parameters have their default values'],
        'compare-alone': [`/e/${experiment}/campaigns/main/compare`, /no other campaign|Run after run|both campaigns/],
        'results-overview': [`/e/${experiment}/tracks`, 'Selected clusters per image'],
        data: [`/e/${experiment}/data/${experiment}-raw?prefix=lime/sim/`, 'run00002.mid'],
        'data-empty': [`/e/${experiment}/data/${experiment}-work`, 'Nothing here yet'],
        jobs: [`/e/${experiment}/jobs`, 'sim:2'],
        job: [`/e/${experiment}/jobs/${jobs.items[0]!.id}`, 'Peak memory'],
        sessions: [`/e/${experiment}/sessions`, 'Software'],
        people: [`/e/${experiment}/people`, 'DAQ machines'],
        audit: [`/e/${experiment}/audit`, 'From address'],
        'audit-site': ['/site/audit', 'Is it whole?'],
        'audit-empty': ['/site/audit?actor=somebody-else', 'No row matches'],
        me: ['/me', 'Access keys'],
        status: ['/status', 'SERVING'],
      }
      for (const [name, [path, text]] of Object.entries(places)) {
        const page = await viewer.newPage()
        const complaints = listen(page)
        await page.goto(at(path))
        await page.locator('#content').getByText(text).first().waitFor()
        await page.getByText('on the way').waitFor({ state: 'detached' })
        await page.waitForFunction(() => document.querySelector('.cy-waiting') === null)
        await picture(page, `${name}-${scheme}`)
        expect(await seriousFaults(page), name).toEqual([])
        expect(complaints.list, name).toEqual([])
        expect(await page.locator('h1').count(), name).toBe(1)
        await page.close()
      }
      if (viewer !== context) await viewer.close()
    })
  }

  test('a campaign is made in a form, started over a range, followed live, and compared cluster by cluster', async () => {
    const { page, complaints } = await open(`/e/${experiment}/campaigns`)
    complaints.expect('422')
    await walkThroughCampaigns(page)
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('on a phone the home, run and job pages do not scroll sideways', async () => {
    const { items } = await scenario.call<{ items: { id: string }[] }>('GET', `/api/experiments/${experiment}/jobs`)
    const places: Record<string, [path: string, text: string]> = {
      home: [`/e/${experiment}`, 'NOT RECORDING'],
      run: [`/e/${experiment}/runs/sim/2`, 'images reconstructed'],
      job: [`/e/${experiment}/jobs/${items[0]!.id}`, 'Peak memory'],
    }
    for (const [name, [path, text]] of Object.entries(places)) {
      const page = await context.newPage()
      await page.setViewportSize({ width: 390, height: 844 })
      await page.goto(at(path))
      await page.locator('#content').getByText(text).first().waitFor()
      await page.waitForFunction(() => document.querySelector('.cy-waiting') === null)
      await picture(page, `${name}-phone`)
      const wider = await page.evaluate(() => {
        const width = document.documentElement.clientWidth
        const over = [...document.querySelectorAll('#content *')].filter((one) => {
          if (one.getBoundingClientRect().right <= width + 1) return false
          // Absolutely placed ones are only held by a positioned ancestor.
          const free = getComputedStyle(one).position === 'absolute'
          for (let up = one.parentElement; up !== null; up = up.parentElement) {
            const { overflowX, position } = getComputedStyle(up)
            if (overflowX !== 'visible' && (!free || position !== 'static')) return false
          }
          return true
        })
        const { scrollWidth } = document.documentElement
        return scrollWidth <= width ? [] : [`${scrollWidth} px`, ...over.map((one) => one.outerHTML.slice(0, 120))]
      })
      expect(wider, name).toEqual([])
      await page.close()
    }
  })

  test('the home page says once that nothing is recorded; the log of a reconstruction tells its progress', async () => {
    const home = await open(`/e/${experiment}`)
    await home.page.locator('.cy-recording').waitFor()
    const said = await home.page.locator('.cy-recording').innerText()
    expect(said.match(/not recording/gi)).toHaveLength(1)
    expect(said).toMatch(/since .* · the last run was sim:\d+/)
    await home.page.close()
    const { items } = await scenario.call<{ items: { id: string; kind: string }[] }>(
      'GET',
      `/api/experiments/${experiment}/jobs?kind=reconstruction`,
    )
    const { page } = await open(`/e/${experiment}/jobs/${items[0]!.id}`)
    await page.locator('.cy-log').getByText(`image ${images} of ${images}`).waitFor()
    expect(await page.locator('.cy-log').innerText()).toMatch(/clusters, \d+ of them selected/)
    await page.getByText('kept with the results of the experiment').first().waitFor()
    await page.close()
  })

  test('runs are filtered by the address and walked by keys', async () => {
    const { page } = await open(`/e/${experiment}/runs?kind=data`)
    await page.getByRole('link', { name: 'sim:2' }).waitFor()
    expect(await page.getByRole('link', { name: 'sim:1', exact: true }).count()).toBe(0)
    await page.getByLabel('Kind').selectOption('pedestal')
    await page.getByRole('link', { name: 'sim:1', exact: true }).waitFor()
    expect(page.url()).toContain('kind=pedestal')
    await page.getByRole('button', { name: 'Clear the filters' }).click()
    await page.getByRole('link', { name: 'sim:2' }).waitFor()
    await page.locator('h1').click()
    for (const key of ['j', 'j', 'k', 'Enter']) await page.keyboard.press(key)
    await page.getByRole('heading', { name: 'Run sim:2' }).waitFor()
    await page.getByRole('button', { name: 'Previous run' }).waitFor()
    await page.keyboard.press('[')
    await page.getByRole('heading', { name: 'Run sim:1' }).waitFor()
    for (const key of ['g', 'r']) await page.keyboard.press(key)
    await page.waitForURL(/\/runs$/)
    await page.keyboard.press('?')
    await page.getByRole('dialog').getByText('Go to Runs').waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await page.close()
  })

  test('a run is described, judged, noted; its conditions are searched', async () => {
    const { page, complaints } = await open(`/e/${experiment}/runs/sim/2`)
    await page.getByRole('button', { name: 'Edit' }).click()
    await page.getByLabel('Description').fill('55Fe, seen by a browser')
    await page.getByLabel('Quality').selectOption('good')
    await page.getByRole('button', { name: 'Save' }).click()
    await page.getByText('55Fe, seen by a browser').waitFor()
    await page.getByLabel('Write a note about this run').fill('Compare with sim:1.')
    await page.keyboard.press('Control+Enter')
    await page.locator('.cy-note-text').getByRole('link', { name: 'sim:1' }).waitFor()
    await page.getByLabel('Search by name').fill('exposure')
    await page.locator('#conditions td').getByText('Exposure').first().waitFor()
    await page.locator('#conditions').getByText('DigitizerSamples').first().waitFor({ state: 'detached' })
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('an upload appears, is deleted with a way back, and then for good', async () => {
    const { page, complaints } = await open(`/e/${experiment}/data/${experiment}-work`)
    const file = join(platform.home, 'my notes.txt')
    writeFileSync(file, 'from a browser\n')
    await page.locator('input[type=file]').setInputFiles(file)
    await page.getByText('stored', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'my notes.txt' }).click()
    await page.getByText(`s3://${experiment}-work/my notes.txt`).waitFor()
    await page.getByText(`/data/${experiment}-work/my notes.txt`).waitFor()
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('link', { name: 'Download' }).click(),
    ])
    expect(readFileSync(await saved.path(), 'utf8')).toBe('from a browser\n')
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('button', { name: 'Undo' }).click()
    await page.getByRole('link', { name: 'my notes.txt' }).click()
    await page.getByRole('button', { name: 'Delete' }).click()
    await page.getByText('will be deleted in').waitFor()
    await eventually('the deletion', async () => {
      const { items } = await scenario.call<{ items: unknown[] }>('GET', `/api/buckets/${experiment}-work/objects`)
      return items.length === 0 ? true : undefined
    })
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('a key is shown once and revoked', async () => {
    const { page, complaints } = await open('/me')
    await page.getByPlaceholder('laptop, rclone').fill('browser test')
    await page.getByRole('button', { name: 'Create key' }).click()
    await page.getByText('The secret is shown only now').waitFor()
    await page.getByRole('button', { name: 'I have stored it' }).click()
    const row = page.getByRole('row', { name: /browser test/ })
    await row.getByRole('button', { name: 'Revoke' }).click()
    await row.getByRole('button', { name: 'Revoke now' }).click()
    await row.waitFor({ state: 'detached' })
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('the log of a job is followed', async ({ skip }) => {
    const { page } = await open(`/e/${experiment}/jobs`)
    const submitted = await page.evaluate(async (path) => {
      const answer = await fetch(path, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({
          argv: ['/bin/sh', '-c', 'for n in 1 2 3; do echo line $n; sleep 1; done'],
          environment: 'system',
          title: 'three lines',
        }),
      })
      return { status: answer.status, body: (await answer.json()) as { id: string; detail?: string } }
    }, `/api/experiments/${experiment}/jobs`)
    if (submitted.status >= 400) skip(`no command jobs here: ${submitted.body.detail}`)
    await page.getByRole('link', { name: 'three lines' }).click()
    await page.locator('.cy-log').getByText('line 3').waitFor()
    await page.getByRole('heading', { name: 'three lines' }).waitFor()
    await page.locator('.cy-page-head').getByText('done').waitFor()
    await page.close()
  })

  test('a new run appears on home and in the list without a reload', async () => {
    const { page: home } = await open(`/e/${experiment}`)
    const { page: list } = await open(`/e/${experiment}/runs`)
    await home.getByText('live', { exact: true }).waitFor()
    await list.getByRole('link', { name: 'sim:2' }).waitFor()
    await site.takeRun(3, 0)
    await home.getByRole('link', { name: 'sim:3' }).first().waitFor()
    await list.getByRole('link', { name: 'sim:3' }).waitFor()
    await list
      .getByRole('row', { name: /sim:3/ })
      .getByText('reconstructed', { exact: true })
      .waitFor({ timeout: 120_000 })
    await picture(home, 'home-live')
    await home.close()
    await list.close()
  })

  test('when the platform goes away the page says so, keeps what it has, and comes back', async () => {
    const { page } = await open(`/e/${experiment}/runs`)
    await page.getByText('live', { exact: true }).waitFor()
    await page.getByRole('link', { name: 'sim:2' }).waitFor()
    await context.setOffline(true)
    try {
      await page.getByText('disconnected').waitFor()
      expect(await page.getByRole('link', { name: 'sim:2' }).count()).toBe(1)
    } finally {
      await context.setOffline(false)
    }
    await page.getByText('live', { exact: true }).waitFor()
    await page.close()
  })

  test('the command line is signed in by confirming its code', async () => {
    const person = mkdtempSync(join(tmpdir(), 'cygnet-person-'))
    const login = cygnet(['login', '--server', platform.platformUrl], { HOME: person, CYGNET_TOKEN: '' })
    let said = ''
    for (const stream of [login.stdout!, login.stderr!]) stream.on('data', (piece) => (said += String(piece)))
    const ended = new Promise((done) => login.once('exit', done))
    const code = await eventually('the code', async () => /user_code=([A-Z0-9-]+)/.exec(said)?.[1])
    const { page, complaints } = await open(`/device?user_code=${code}`)
    await page.getByText(code, { exact: true }).waitFor()
    expect(await seriousFaults(page)).toEqual([])
    await picture(page, 'device')
    await page.getByRole('button', { name: 'Approve' }).click()
    await page.getByText('Approved.').waitFor()
    expect(await ended, said).toBe(0)
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('signing out ends the session here', async () => {
    const own = await signedIn(browser, platform)
    const page = await own.newPage()
    await page.goto(at('/me'))
    await page.getByRole('button', { name: 'Sign out', exact: true }).click()
    await page.waitForURL(/\/sign-in/)
    expect(await page.evaluate(async () => (await fetch('/api/identity/me')).status)).toBe(401)
    await own.close()
  })
})
