/** A real Chromium for the pages: Debian's, found on the machine, never downloaded. */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { chromium, type Browser, type BrowserContext, type Page } from 'playwright-core'
import { checkout, runCygnet, type RunningPlatform } from '../platform.ts'

const places = [
  process.env['CYGNET_CHROMIUM'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
]

/** undefined when there is no Chromium: the tests are then skipped, loudly. */
export const chromiumPath: string | undefined = places.find((place) => place !== '' && existsSync(place))
if (chromiumPath === undefined)
  console.warn('SKIPPED: browser tests need Chromium (apt-get install chromium, or CYGNET_CHROMIUM=path)')

const quiet = [
  '--headless',
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
  '--use-angle=swiftshader',
  '--enable-unsafe-swiftshader',
]

export function launch(): Promise<Browser> {
  return chromium.launch({ executablePath: chromiumPath!, args: quiet })
}

/** Builds the web app as it stands, so that the platform under test serves these pages. */
export function buildPages(): void {
  execFileSync(process.execPath, [join(checkout, 'node_modules', 'vite', 'bin', 'vite.js'), 'build'], {
    cwd: checkout,
    stdio: 'ignore',
  })
}

/** Everything a page complained about: errors, refused resources, broken security policy. */
export interface Complaints {
  list: string[]
  /** Complaints that the test itself provokes. */
  expect: (part: string) => void
}

export function listen(page: Page): Complaints {
  const list: string[] = []
  const expected: string[] = []
  const add = (text: string): void => {
    if (!expected.some((part) => text.includes(part))) list.push(text)
  }
  page.on('pageerror', (error) => add(`page error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error') add(`console: ${message.text()}`)
  })
  return { list, expect: (part) => expected.push(part) }
}

/** A context that is signed in as the site admin, by a fresh one-time link. */
export async function signedIn(
  browser: Browser,
  platform: RunningPlatform,
  scheme: 'light' | 'dark' = 'light',
): Promise<BrowserContext> {
  const context = await browser.newContext({
    viewport: { width: 1280, height: 800 },
    colorScheme: scheme,
    acceptDownloads: true,
  })
  const page = await context.newPage()
  await page.goto(await freshLink(platform))
  await page.waitForURL((address) => !address.pathname.startsWith('/sign-in'))
  await page.close()
  return context
}

export async function freshLink(platform: RunningPlatform): Promise<string> {
  const { code, stdout, stderr } = await runCygnet(['admin-link', '--home', platform.home, '--json'])
  if (code !== 0) throw new Error(`no admin link: ${stderr}`)
  return (JSON.parse(stdout.trim().split('\n').at(-1)!) as { url: string }).url
}

const axe = readFileSync(join(checkout, 'node_modules', 'axe-core', 'axe.min.js'), 'utf8')

/** Faults of WCAG 2.2 AA on the page as it stands, the serious and critical ones, as lines. */
export async function seriousFaults(page: Page): Promise<string[]> {
  await page.evaluate(axe)
  return page.evaluate(async () => {
    interface Violation {
      id: string
      impact: string | null
      nodes: { target: string[]; failureSummary?: string }[]
    }
    const found = (
      globalThis as unknown as {
        axe: { run: (root: Document, options: object) => Promise<{ violations: Violation[] }> }
      }
    ).axe
    const tags = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa']
    const { violations } = await found.run(document, { runOnly: tags })
    return violations
      .filter(({ impact }) => impact === 'serious' || impact === 'critical')
      .map(
        ({ id, nodes }) =>
          `${id}: ${nodes.map((node) => `${node.target.join(' ')} ${node.failureSummary ?? ''}`).join(' | ')}`,
      )
  })
}

/** Keeps a picture of the page when CYGNET_SCREENSHOTS names a folder: for looking at, and for the guide. */
export async function picture(page: Page, name: string): Promise<void> {
  const folder = process.env['CYGNET_SCREENSHOTS']
  if (folder === undefined) return
  mkdirSync(folder, { recursive: true })
  await page.screenshot({ path: join(folder, `${name}.png`) })
}

/** Pictures a second while the event display is dragged and zoomed for a while. */
export async function dragFrameRate(
  page: Page,
  steps = 60,
): Promise<{ framesPerSecond: number; medianTookMs: number; renderer: string }> {
  const box = await page.locator('.cy-image').boundingBox()
  if (box === null) throw new Error('no image on the page')
  const middle = { x: box.x + box.width / 2, y: box.y + box.height / 2 }
  await page.mouse.move(middle.x, middle.y)
  for (let step = 0; step < 6; step += 1) await page.mouse.wheel(0, -120)
  const startMs = await page.evaluate(() => performance.now())
  await page.mouse.down()
  for (let step = 1; step <= steps; step += 1) await page.mouse.move(middle.x + step * 2, middle.y + step)
  await page.mouse.up()
  return page.evaluate((fromMs) => {
    const meter = (globalThis as unknown as { __cygnetFrames: { renderer: string; atMs: number[]; tookMs: number[] } })
      .__cygnetFrames
    const first = meter.atMs.findIndex((atMs) => atMs >= fromMs)
    const at = meter.atMs.slice(first)
    const took = meter.tookMs.slice(first).sort((a, b) => a - b)
    return {
      framesPerSecond: at.length < 2 ? 0 : ((at.length - 1) * 1000) / (at.at(-1)! - at[0]!),
      medianTookMs: took[took.length >> 1] ?? 0,
      renderer: meter.renderer,
    }
  }, startMs)
}
