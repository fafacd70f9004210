/** The event display as people use it, in a real Chromium. */
import { readFileSync } from 'node:fs'
import type { BrowserContext, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { eventually } from '../platform.ts'
import { experiment } from '../scenario.ts'
import { chromiumPath, dragFrameRate, picture, seriousFaults } from './chromium.ts'
import { images, openSite, type Site } from './one-run-site.ts'

describe.skipIf(chromiumPath === undefined)('event display', () => {
  let site: Site
  let context: BrowserContext

  const at = (path: string): string => site.at(path)
  const open = (path: string): ReturnType<Site['open']> => site.open(path)

  beforeAll(async () => {
    site = await openSite()
    context = site.context
  })

  afterAll(async () => {
    await site?.close()
  })

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

  test('raw, subtracted and calibrated are named with their pedestal; the cursor tells true values in each', async () => {
    const { page, complaints } = await open(`/e/${experiment}/runs/sim/2/events/1?x=1152&y=1152&z=2`)
    await ready(page)
    const raw = await shown(page)
    const [, column, row, value, mean, above] =
      /column (\d+), row (\d+) = (\d+) ADU, pedestal ([\d.]+), ([+−][\d.]+)/.exec(raw.readout)!
    expect(Math.abs(Number(value) - Number(mean) - Number(above!.replace('−', '-')))).toBeLessThan(0.11)
    const sameInAll = [raw.readout]
    for (const [view, words] of [
      ['subtracted', 'Counts above the pedestal of sim:1'],
      ['calibrated', 'divided by the light that arrives'],
    ] as const) {
      await page.getByText(view, { exact: true }).click()
      await page.locator('.cy-image-name').getByText(words).waitFor()
      await page.waitForURL(new RegExp(`view=${view}`))
      await ready(page)
      const there = await shown(page)
      sameInAll.push(there.readout.split(', corrected')[0]!)
      const direct = await page.evaluate(
        async ([path, index]) => new Int16Array(await (await fetch(path as string)).arrayBuffer())[index as number],
        [`/api/experiments/${experiment}/runs/sim:2/events/1/frame?view=${view}`, Number(row) * 2304 + Number(column)],
      )
      // The pedestal is sent in sixteenths of a count, the server rounds to whole ones.
      expect(Math.abs(direct! - Number(above!.replace('−', '-')))).toBeLessThan(1.2)
    }
    expect(new Set(sameInAll).size).toBe(1)
    await picture(page, 'event-calibrated')
    expect(await seriousFaults(page)).toEqual([])
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('a box, a profile and a ruler by keyboard, typed and dragged, and all of it in the link', async () => {
    const { page, complaints } = await open(`/e/${experiment}/runs/sim/2/events/1`)
    await ready(page)
    await page.keyboard.press('b')
    await page.getByLabel('Box: x₀').fill('100')
    await page.getByLabel('Box: y₀').fill('200')
    await page.getByLabel('Box: x₁').fill('140')
    await page.getByLabel('Box: y₁').fill('230')
    await page.waitForURL(/box=100,200,140,230/)
    await page.getByRole('table', { name: 'Box' }).getByText('1 200', { exact: true }).waitFor()
    const pixels = await page.evaluate(async (path) => {
      const frame = new Uint16Array(await (await fetch(path)).arrayBuffer())
      let sum = 0
      for (let row = 200; row < 230; row += 1)
        for (let column = 100; column < 140; column += 1) sum += frame[row * 2304 + column]!
      return sum / 1200
    }, `/api/experiments/${experiment}/runs/sim:2/events/1/frame`)
    const mean = await page
      .getByRole('row', { name: /Mean, ADU/ })
      .locator('td')
      .textContent()
    // Hot pixels are masked in the table only.
    expect(Math.abs(Number(mean) - pixels)).toBeLessThan(3)
    // While a field is typed into, letters are letters.
    await page.evaluate(() => (document.activeElement as HTMLElement | null)?.blur())
    await page.keyboard.press('r')
    const box = (await page.locator('.cy-image').boundingBox())!
    await page.mouse.move(box.x + 300, box.y + 200)
    await page.mouse.down()
    await page.mouse.move(box.x + 400, box.y + 200, { steps: 4 })
    await page.mouse.up()
    await page
      .getByText(/[\d.]+ px = [\d.]+ mm/)
      .first()
      .waitFor()
    await page.keyboard.press('d')
    const [saved] = await Promise.all([
      page.waitForEvent('download'),
      page.getByRole('button', { name: 'Save CSV' }).click(),
    ])
    expect(readFileSync(await saved.path(), 'utf8')).toMatch(/^distance_px,x_px,y_px,value_adu\n0\.000,/)
    await page.waitForURL(/line=/)
    for (const part of ['box=', 'ruler=', 'line=']) expect(page.url()).toContain(part)
    await picture(page, 'event-measured')
    expect(await seriousFaults(page)).toEqual([])
    const again = await context.newPage()
    await again.goto(page.url())
    await again.getByRole('table', { name: 'Box' }).getByText(mean!, { exact: true }).waitFor()
    await again.close()
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('triggers and clusters know each other; interesting events are found by a cut; P folds', async () => {
    const { page, complaints } = await open(`/e/${experiment}/runs/sim/2/events/1`)
    await ready(page)
    const panel = page.getByRole('region', { name: 'Photomultipliers' })
    await panel.getByText('PMT1').first().waitFor()
    const trigger = panel.getByRole('button', { name: /ms.*c\d/ }).first()
    const cluster = /c(\d+)/.exec((await trigger.textContent())!)![1]
    await trigger.click()
    await page.waitForURL(new RegExp(`cluster=${cluster}`))
    await page.getByRole('heading', { name: `Cluster c${cluster}` }).waitFor()
    await page.getByText('sum of pedestal-subtracted').waitFor()
    await page.getByText('Light along its axis').first().waitFor()
    await picture(page, 'event-cluster')
    expect(await seriousFaults(page)).toEqual([])
    await page.keyboard.press('p')
    await page.waitForURL(/pmt=no/)
    await panel.getByText('PMT1').first().waitFor({ state: 'detached' })
    await page.getByLabel('Events are interesting with a cluster that passes').fill('integralCounts > 1')
    await page.getByRole('button', { name: 'Mark' }).click()
    await page.getByText(`${images} events pass`).waitFor()
    await page.locator('body').press(']')
    await page.waitForURL(/events\/2\?.*cut=/)
    await page.getByLabel('Events are interesting with a cluster that passes').fill('nonsense >')
    complaints.expect('422')
    await page.getByRole('button', { name: 'Mark' }).click()
    await page
      .locator('.cy-film-fields')
      .getByText(/nonsense|expected|character|end/i)
      .first()
      .waitFor()
    expect(complaints.list).toEqual([])
    await page.close()
  })

  test('a browser that cannot draw is shown the picture of the server; two events stand side by side', async () => {
    const { page, complaints } = await open(`/e/${experiment}/runs/sim/2/events/1?painter=none`)
    await page.getByText('the server made a picture').waitFor()
    await page.waitForFunction(
      () => (document.querySelector('.cy-plain-picture img') as HTMLImageElement).naturalWidth === 1152,
    )
    await page.goto(at(`/e/${experiment}/runs/sim/2/events/1?beside=2`))
    await ready(page)
    await page.locator('.cy-image').nth(1).waitFor()
    await page.getByText('Event 2', { exact: true }).waitFor()
    await picture(page, 'event-beside')
    expect(await seriousFaults(page)).toEqual([])
    expect(complaints.list).toEqual([])
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
