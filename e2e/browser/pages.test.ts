/** The pages as people use them, in a real Chromium, on a platform with one pedestal run and one data run. */
import { mkdtempSync, readFileSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { cygnet, eventually, runCygnet, startPlatform, type RunningPlatform } from '../platform.ts'
import { experiment, setUpExperiment, showReconstruction, type Scenario } from '../scenario.ts'
import {
  buildPages,
  chromiumPath,
  dragFrameRate,
  freshLink,
  launch,
  listen,
  picture,
  seriousFaults,
  signedIn,
} from './chromium.ts'

const images = 4

describe.skipIf(chromiumPath === undefined)('pages', () => {
  let platform: RunningPlatform
  let scenario: Scenario
  let browser: Browser
  let context: BrowserContext

  const at = (path: string): string => platform.platformUrl + path
  async function open(path: string): Promise<{ page: Page; complaints: ReturnType<typeof listen> }> {
    const page = await context.newPage()
    const complaints = listen(page)
    await page.goto(at(path))
    return { page, complaints }
  }
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

  beforeAll(async () => {
    buildPages()
    platform = await startPlatform()
    scenario = await setUpExperiment(platform)
    await takeRun(1, 5)
    await eventually(
      'tracks of sim:2',
      async () => {
        const { summaries } = await showReconstruction(scenario, 'sim:2')
        return summaries.length > 0 ? summaries : undefined
      },
      120_000,
    )
    browser = await launch()
    context = await signedIn(browser, platform)
  })

  afterAll(async () => {
    await browser?.close()
    await platform?.stop()
  })

  test('without a link the page says how to get one; a link signs in once and leaves the address bar', async () => {
    const stranger = await browser.newContext()
    const page = await stranger.newPage()
    await page.goto(at(`/e/${experiment}/runs?kind=data`))
    await page.getByText('This page needs a sign-in link').waitFor()
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
      const places: Record<string, [path: string, text: string]> = {
        home: [`/e/${experiment}`, 'NOT RECORDING'],
        runs: [`/e/${experiment}/runs`, 'sim:2'],
        'runs-empty': [`/e/${experiment}/runs?text=nothing-like-this`, 'No run matches'],
        run: [`/e/${experiment}/runs/sim/2`, 'images reconstructed'],
        pedestal: [`/e/${experiment}/runs/sim/1`, 'This pedestal run gave the pedestal map'],
        event: [`/e/${experiment}/runs/sim/2/events/1`, 'Rows searched'],
        tracks: [`/e/${experiment}/tracks`, 'Selected clusters per image'],
        data: [`/e/${experiment}/data/${experiment}-raw?prefix=lime/sim/`, 'run00002.mid'],
        'data-empty': [`/e/${experiment}/data/${experiment}-work`, 'Nothing here yet'],
        jobs: [`/e/${experiment}/jobs`, 'sim:2'],
        job: [`/e/${experiment}/jobs/${jobs.items[0]!.id}`, 'Peak memory'],
        sessions: [`/e/${experiment}/sessions`, 'Software'],
        people: [`/e/${experiment}/people`, 'DAQ machines'],
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

  describe('event display', () => {
    interface Shown {
      readout: string
      renderer: string
      pixels: number[]
    }
    /** What is on screen: the readout under the middle, and colours of a coarse grid of the canvas. */
    async function shown(page: Page): Promise<Shown> {
      const box = (await page.locator('.cy-image').boundingBox())!
      await page.mouse.move(box.x + box.width / 2, box.y + box.height / 2)
      await page.getByText(/column \d+, row \d+ =/).waitFor()
      const clip = { x: box.x + box.width / 2 - 200, y: box.y + 60, width: 400, height: 400 }
      const picture = (await page.screenshot({ clip, type: 'png' })).toString('base64')
      const pixels = await page.evaluate(async (data) => {
        const image = new Image()
        image.src = `data:image/png;base64,${data}`
        await image.decode()
        const sheet = document.createElement('canvas')
        sheet.width = 20
        sheet.height = 20
        const context = sheet.getContext('2d')!
        context.drawImage(image, 0, 0, 20, 20)
        return [...context.getImageData(0, 0, 20, 20).data]
      }, picture)
      return {
        readout: (await page.getByText(/column \d+, row \d+ =/).textContent()) ?? '',
        renderer: await page.evaluate(() => globalThis.__cygnetFrames?.renderer ?? ''),
        pixels,
      }
    }
    const ready = async (page: Page): Promise<void> => {
      await page.getByText('Rows searched').waitFor()
      await page.getByText('on the way').waitFor({ state: 'detached' })
      await page.waitForTimeout(300)
    }
    const difference = (a: number[], b: number[]): number =>
      a.reduce((sum, value, index) => sum + Math.abs(value - b[index]!), 0) / a.length

    test('shows true counts by WebGL2; the plain canvas shows the same', async () => {
      const { page } = await open(`/e/${experiment}/runs/sim/2/events/1?w=90,130&painter=webgl`)
      await ready(page)
      const webgl = await shown(page)
      expect(webgl.renderer).toBe('webgl2')
      const [, column, row, value] = /column (\d+), row (\d+) = (\d+)/.exec(webgl.readout)!.map(Number)
      const frame = await page.evaluate(
        async (path) => [...new Uint16Array(await (await fetch(path)).arrayBuffer())].length,
        `/api/experiments/${experiment}/runs/sim:2/events/1/frame`,
      )
      expect(frame).toBe(2304 * 2304)
      const direct = await page.evaluate(
        async ([path, index]) => new Uint16Array(await (await fetch(path as string)).arrayBuffer())[index as number],
        [`/api/experiments/${experiment}/runs/sim:2/events/1/frame`, row! * 2304 + column!],
      )
      expect(value).toBe(direct)
      await page.goto(at(`/e/${experiment}/runs/sim/2/events/1?w=90,130&painter=canvas`))
      await ready(page)
      const canvas = await shown(page)
      expect(canvas.renderer).toBe('canvas')
      expect(canvas.readout).toBe(webgl.readout)
      expect(difference(canvas.pixels, webgl.pixels)).toBeLessThan(6)
      await page.getByText('Drawn without a graphics card').waitFor()
      await page.close()
    })

    test('window, map, zoom and cluster live in the address; a link shows the same picture', async () => {
      const { page } = await open(`/e/${experiment}/runs/sim/2/events/1`)
      await ready(page)
      const before = await shown(page)
      await page.getByLabel('To, ADU').fill('112')
      await page.getByLabel('To, ADU').blur()
      await page.keyboard.press('m')
      await page.keyboard.press('i')
      await page.keyboard.press('ArrowDown')
      await page.waitForURL(/cluster=\d+/)
      for (const part of ['w=', ',112', 'map=viridis', 'invert=yes', 'z=']) expect(page.url()).toContain(part)
      const after = await shown(page)
      expect(difference(before.pixels, after.pixels)).toBeGreaterThan(10)
      const again = await context.newPage()
      await again.goto(page.url())
      await ready(again)
      expect(difference((await shown(again)).pixels, after.pixels)).toBeLessThan(1)
      await again.close()
      await page.keyboard.press('f')
      await page.waitForURL((address) => !address.search.includes('z='))
      await page.keyboard.press('ArrowRight')
      await page.waitForURL(/events\/2\?/)
      expect(page.url()).toContain('map=viridis')
      await page.close()
    })

    test('a drag pans, Shift-drag sets the window, the wheel zooms, a picture can be saved', async () => {
      const { page } = await open(`/e/${experiment}/runs/sim/2/events/1`)
      await ready(page)
      const box = (await page.locator('.cy-image').boundingBox())!
      const [x, y] = [box.x + box.width / 2, box.y + box.height / 2]
      await page.mouse.move(x, y)
      await page.mouse.wheel(0, -400)
      await page.waitForURL(/z=/)
      const zoomed = new URL(page.url()).searchParams
      await page.mouse.down()
      await page.mouse.move(x + 80, y + 20, { steps: 5 })
      await page.mouse.up()
      await eventually('the pan in the address', async () =>
        new URL(page.url()).searchParams.get('x') !== zoomed.get('x') ? true : undefined,
      )
      expect(Number(new URL(page.url()).searchParams.get('x'))).toBeLessThan(Number(zoomed.get('x')))
      await page.keyboard.down('Shift')
      await page.mouse.down()
      await page.mouse.move(x + 200, y + 60, { steps: 5 })
      await page.mouse.up()
      await page.keyboard.up('Shift')
      await page.waitForURL(/w=/)
      const [saved] = await Promise.all([
        page.waitForEvent('download'),
        page.getByRole('button', { name: 'Save PNG' }).click(),
      ])
      expect(saved.suggestedFilename()).toBe(`${experiment}-sim-2-event1.png`)
      const bytes = readFileSync(await saved.path())
      expect(bytes.subarray(1, 4).toString()).toBe('PNG')
      expect(bytes.length).toBeGreaterThan(20_000)
      const rate = await dragFrameRate(page)
      expect(rate.framesPerSecond).toBeGreaterThan(0)
      console.log(
        `event display: ${rate.framesPerSecond.toFixed(1)} pictures a second while dragging by ${rate.renderer}, ${rate.medianTookMs.toFixed(1)} ms of the page each`,
      )
      await page.close()
    })

    test('an event that does not exist is told in words', async () => {
      const { page, complaints } = await open(`/e/${experiment}/runs/sim/2/events/4000`)
      complaints.expect('404')
      await page.getByText('The image cannot be shown').waitFor()
      await picture(page, 'event-missing')
      expect(complaints.list).toEqual([])
      await page.close()
    })
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
    await page.getByLabel('What is it for').fill('browser test')
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
    await takeRun(3, 0)
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
