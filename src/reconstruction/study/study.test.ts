import { spawnSync } from 'node:child_process'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import type { TemporaryDirectory } from '../../foundation/testing.ts'
import { cellText, verdictText } from './report-text.ts'
import { writeReportPdf } from './report-pdf.ts'
import { drawPlot } from './plot-shapes.ts'
import { headlineOf, reportSchema } from './study-report.ts'
import type { StudyReport } from './study-report.ts'
import { compare } from './verdicts.ts'

/** The whole study in a process of its own, as in a job: few images, frames of 256 px. */
const spec = {
  study: 'test',
  kind: 'validation',
  options: { images: 32, framePx: 256 },
  codeVersion: 'test',
  workers: 2,
  python: '/nowhere/python3',
}

describe('a validation in a process of its own', () => {
  let folder: TemporaryDirectory
  let report: StudyReport
  let log = ''

  beforeAll(async () => {
    folder = await temporaryDirectory()
    const outFolder = join(folder.path, 'out')
    await mkdir(outFolder)
    await writeFile(join(folder.path, 'spec.json'), JSON.stringify({ ...spec, outFolder }))
    const program = join(import.meta.dirname, 'study-payload.ts')
    const done = spawnSync(process.execPath, [program, join(folder.path, 'spec.json')], { encoding: 'utf8' })
    log = done.stdout
    expect(done.status, done.stderr).toBe(0)
    report = reportSchema.parse(JSON.parse(await readFile(join(outFolder, 'report.json'), 'utf8')))
  })
  afterAll(() => folder[Symbol.asyncDispose]())

  it('makes every section of the plan, in order, each with its samples', () => {
    expect(report.sections.map(({ number }) => number)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9, 10])
    for (const section of report.sections) {
      expect(section.problem).toBeNull()
      expect(section.samples.length).toBeGreaterThan(0)
      expect(section.tables.length).toBeGreaterThan(0)
      for (const table of section.tables) {
        for (const row of table.rows) expect(row).toHaveLength(table.columns.length)
      }
    }
    const seeds = report.samples.map(({ purpose, seed }) => `${purpose} ${seed}`)
    expect(seeds).toContain('tuning 1001002')
    expect(report.images).toBeGreaterThan(32)
  })

  it('shows what fails and what is not there, and says so in its log', () => {
    const labels = report.sections.find(({ id }) => id === 'labels')!
    // What there is nothing to compare with is said, and held against nobody.
    expect(labels.requirements).toMatchObject([{ holds: true }])
    expect(labels.paragraphs.join(' ')).toMatch(/scikit-learn was NOT compared: \/nowhere\/python3/)
    expect(headlineOf(report).failing).toBeGreaterThan(0)
    expect(report.notes[0]).toMatch(/QUICK/)
    expect(log).toMatch(/^FAILING \d+ /m)
    expect(log).toMatch(/^sample noise: \d+ of \d+$/m)
    expect(log).toMatch(/requirements hold; published values: \d+ agree, \d+ differ, \d+ not comparable\n$/)
  })

  it('is a PDF whose bytes depend on the report alone', async () => {
    const path = join(folder.path, 'out', 'report.pdf')
    const pdf = await readFile(path)
    expect(pdf.subarray(0, 5).toString()).toBe('%PDF-')
    const again = join(folder.path, 'again.pdf')
    await writeReportPdf(again, report)
    expect((await readFile(again)).equals(pdf)).toBe(true)
    const text = pdf.toString('latin1')
    expect(text).toMatch(/\(Validation of the reconstruction\)/)
    expect(text.match(/\/Type \/Page\b(?!s)/g)!.length).toBeGreaterThanOrEqual(10)
  })

  const pdftotext = spawnSync('pdftotext', ['-v']).error === undefined
  it.skipIf(!pdftotext)(
    `is read by pdftotext${pdftotext ? '' : ' (SKIPPED: there is no pdftotext on this machine)'}`,
    () => {
      const { stdout } = spawnSync('pdftotext', [join(folder.path, 'out', 'report.pdf'), '-'], { encoding: 'utf8' })
      expect(stdout).toMatch(/Efficiency against energy and depth/)
      expect(stdout).toMatch(/arXiv 1905\.04066/)
    },
  )

  it('refuses a specification that is none', async () => {
    const program = join(import.meta.dirname, 'study-payload.ts')
    const path = join(folder.path, 'bad.json')
    await writeFile(path, JSON.stringify({ ...spec, kind: 'astrology', outFolder: folder.path }))
    const done = spawnSync(process.execPath, [program, path], { encoding: 'utf8' })
    expect(done.status).toBe(2)
    expect(done.stderr).toMatch(/not a specification/)
  })
})

it('compares with published values honestly', () => {
  const published = { value: 10, error: 0.5, text: '10', source: 'somebody', tag: 'P' }
  const about = { quantity: 'q', unit: '', difference: 'none', published }
  const ours = (value: number, error: number) => ({ value, low: value - error, high: value + error })
  expect(compare({ ...about, ours: ours(10.5, 0.5) })).toMatchObject({ verdict: 'agrees' })
  expect(verdictText(compare({ ...about, ours: ours(13, 0.5) }))).toMatch(/differs by 4\.2 sigma/)
  expect(verdictText(compare({ ...about, ours: ours(13, 0.5), comparable: false }))).toBe('not comparable')
  const nothing = compare({ ...about, ours: { value: null, low: null, high: null } })
  expect(nothing).toMatchObject({ verdict: 'not-comparable', difference: 'nothing was measured here' })
  const bound = { ...published, bound: 'above' as const }
  expect(compare({ ...about, published: bound, ours: ours(99, 0.1) })).toMatchObject({ verdict: 'agrees', sigma: 0 })
  expect(compare({ ...about, published: bound, ours: ours(5, 0.5) })).toMatchObject({ verdict: 'differs' })
})

it('writes numbers with their errors', () => {
  expect(cellText({ value: 12.34, low: 11.9, high: 12.78 }, 1)).toBe('12.3 ± 0.4')
  expect(cellText({ value: 100, low: 97, high: 100 }, 1)).toBe('100.0 +0.0 -3.0')
  expect(cellText({ value: null, low: null, high: null })).toBe('–')
  expect(cellText(null)).toBe('–')
  expect(cellText(0.123456)).toBe('0.1235')
})

it('places points of plots inside the box, on linear and logarithmic axes', () => {
  const box = { left: 10, top: 20, width: 100, height: 50 }
  const { series, xTicks, yTicks } = drawPlot(
    {
      title: '',
      x: { label: '', unit: '', scale: 'log' },
      y: { label: '', unit: '', scale: 'linear', low: 0, high: 1 },
      series: [
        {
          label: '',
          style: 'points',
          published: false,
          points: [
            { x: 0.5, y: 0 },
            { x: 50, y: 1, low: 0.9, high: 1.2 },
          ],
        },
      ],
    },
    box,
  )
  const [first, last] = series[0]!.points
  expect(first!.y).toBe(70)
  expect(last).toMatchObject({ y: 20, low: 25, high: 20 })
  expect(first!.x).toBeGreaterThan(10)
  expect(last!.x).toBeLessThan(110)
  expect(xTicks.map(({ text }) => text)).toEqual(['0.5', '1', '2', '5', '10', '20', '50'])
  expect(yTicks.length).toBeGreaterThan(4)
})
