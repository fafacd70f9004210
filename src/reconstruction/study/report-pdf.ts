/**
 * A report as PDF: standard fonts, vector plots, a few pages. The bytes depend on the report only (its date is the
 * report's own), so the same report is the same file.
 */
import { createWriteStream } from 'node:fs'
import { finished } from 'node:stream/promises'
import PDFDocument from 'pdfkit'
import { cellText, columnTitle, oursText, verdictText } from './report-text.ts'
import { drawPlot, plotColours } from './plot-shapes.ts'
import type { PlotBox } from './plot-shapes.ts'
import { headlineOf } from './study-report.ts'
import type { Comparison, ReportPlot, ReportSection, ReportTable, StudyReport } from './study-report.ts'

type Document = InstanceType<typeof PDFDocument>

const margin = 48
const plain = 'Helvetica'
const bold = 'Helvetica-Bold'
const ink = '#1d2126'
const quiet = '#5c646d'
const alarm = '#b3261e'
const good = '#1b6e3c'

/** Writes the file; resolves when it is whole on disk. */
export async function writeReportPdf(path: string, report: StudyReport): Promise<void> {
  const date = new Date(report.madeAtMs)
  const document = new PDFDocument({
    size: 'A4',
    margin,
    bufferPages: true,
    info: { Title: report.title, Author: `Cygnet ${report.programVersion}`, CreationDate: date, ModDate: date },
  })
  const file = createWriteStream(path)
  document.pipe(file)
  titlePage(document, report)
  for (const section of report.sections) drawSection(document, section)
  samplesPage(document, report)
  numberPages(document, report)
  document.end()
  await finished(file)
}

function titlePage(document: Document, report: StudyReport): void {
  const { requirements, failing, agrees, differs, notComparable } = headlineOf(report)
  document.font(bold).fontSize(20).fillColor(ink).text(printable(report.title))
  document.moveDown(0.3)
  words(
    document,
    `${new Date(report.madeAtMs).toISOString().slice(0, 16).replace('T', ' ')} UTC, Cygnet ${report.programVersion}, code ${report.codeVersion}`,
  )
  words(
    document,
    `${report.images} simulated images in ${(report.wallMs / 60_000).toFixed(1)} min on ${Object.entries(report.machine)
      .map(([name, value]) => `${name} ${value}`)
      .join(', ')}`,
  )
  document.moveDown(0.6)
  document
    .font(bold)
    .fontSize(11)
    .fillColor(failing > 0 ? alarm : good)
    .text(`${requirements - failing} of ${requirements} requirements hold${failing > 0 ? `, ${failing} FAIL` : ''}`)
  words(document, `Published values: ${agrees} agree, ${differs} differ, ${notComparable} are not comparable.`)
  document.moveDown(0.6)
  for (const note of report.notes) {
    words(document, note)
    document.moveDown(0.35)
  }
  document.moveDown(0.4)
  heading(document, 'Requirements', 12)
  for (const section of report.sections) {
    if (section.problem !== null) requirementLine(document, section.number, false, section.title, section.problem)
    for (const { holds, statement, found } of section.requirements) {
      requirementLine(document, section.number, holds, statement, found)
    }
  }
}

function requirementLine(document: Document, number: number, holds: boolean, statement: string, found: string): void {
  room(document, 24)
  document
    .font(bold)
    .fontSize(8.5)
    .fillColor(holds ? good : alarm)
    .text(holds ? 'holds  ' : 'FAILS  ', { continued: true })
  document
    .font(plain)
    .fillColor(ink)
    .text(printable(`${number}. ${statement}: `), { continued: true })
    .fillColor(quiet)
    .text(printable(found))
}

function drawSection(document: Document, section: ReportSection): void {
  document.addPage()
  heading(document, `${section.number}. ${section.title}`, 15)
  if (section.problem !== null) words(document, `FAILING: ${section.problem}`, alarm)
  for (const paragraph of section.paragraphs) {
    words(document, paragraph)
    document.moveDown(0.35)
  }
  for (const { holds, statement, found } of section.requirements) {
    requirementLine(document, section.number, holds, statement, found)
  }
  document.moveDown(0.4)
  drawPlots(document, section.plots)
  for (const table of section.tables) drawTable(document, table)
  if (section.comparisons.length > 0) drawComparisons(document, section.comparisons)
  if (section.samples.length > 0) {
    room(document, 30)
    for (const sample of section.samples) words(document, sample, quiet, 7.5)
  }
}

function samplesPage(document: Document, report: StudyReport): void {
  document.addPage()
  heading(document, 'Samples', 15)
  drawTable(document, {
    title: 'Every sample of this study',
    columns: ['sample', 'purpose', 'seed', 'images', 'frame', 'content'].map((title) => ({
      title,
      unit: '',
      digits: 0,
    })),
    rows: report.samples.map(({ name, purpose, seed, images, frame, content }) => [
      name,
      purpose,
      String(seed),
      images,
      frame,
      content,
    ]),
  })
}

function drawComparisons(document: Document, comparisons: readonly Comparison[]): void {
  drawTable(document, {
    title: 'Beside published values',
    columns: ['quantity', 'ours', 'published', 'source', 'verdict'].map((title) => ({ title, unit: '' })),
    rows: comparisons.map((one) => [
      one.quantity,
      oursText(one),
      one.published.text,
      `${one.source} [${one.tag}]`,
      verdictText(one),
    ]),
  })
  const seen = new Set<string>()
  for (const { quantity, difference } of comparisons) {
    if (difference === '' || seen.has(difference)) continue
    seen.add(difference)
    words(document, `${quantity}: ${difference}.`, quiet, 7.5)
  }
  document.moveDown(0.5)
}

function heading(document: Document, text: string, size: number): void {
  room(document, 3 * size)
  document.font(bold).fontSize(size).fillColor(ink).text(printable(text), margin)
  document.moveDown(0.3)
}

function words(document: Document, text: string, colour = ink, size = 9): void {
  document
    .font(plain)
    .fontSize(size)
    .fillColor(colour)
    .text(printable(text), margin, undefined, { width: widthOf(document) })
}

const widthOf = (document: Document) => document.page.width - 2 * margin

/** A new page when less than so much is left of this one. */
function room(document: Document, height: number): void {
  if (document.y + height > document.page.height - margin) document.addPage()
}

/** Columns as wide as their words ask for, long words wrapped; the heads again on each page. */
function drawTable(document: Document, table: ReportTable): void {
  const size = 7.5
  const pad = 4
  const texts = table.rows.map((row) =>
    row.map((cell, index) => printable(cellText(cell, table.columns[index]?.digits))),
  )
  const heads = table.columns.map((column) => printable(columnTitle(column)))
  const wanted = heads.map((head, index) => {
    document.font(bold).fontSize(size)
    const longestWord = Math.max(...head.split(' ').map((word) => document.widthOfString(word)))
    document.font(plain)
    const cells = texts.map((row) => document.widthOfString(row[index] ?? ''))
    return Math.max(longestWord * 1.1, Math.min(Math.max(0, ...cells), 170)) + 2 * pad
  })
  const total = wanted.reduce((sum, width) => sum + width, 0)
  const scale = Math.min(1, widthOf(document) / total)
  const widths = wanted.map((width) => width * scale)
  const isNumber = table.columns.map((_, index) => table.rows.every((row) => typeof row[index] !== 'string'))
  const heightOf = (cells: readonly string[], font: string) => {
    document.font(font).fontSize(size)
    return Math.max(...cells.map((cell, index) => document.heightOfString(cell, { width: widths[index]! - 2 * pad })))
  }
  const drawRow = (cells: readonly string[], font: string, colour: string) => {
    const height = heightOf(cells, font)
    const top = document.y
    let left = margin
    cells.forEach((cell, index) => {
      document
        .font(font)
        .fontSize(size)
        .fillColor(colour)
        .text(cell, left + pad, top, { width: widths[index]! - 2 * pad, align: isNumber[index] ? 'right' : 'left' })
      left += widths[index]!
    })
    document.y = top + height + 3
    document.x = margin
  }
  const rule = () => {
    document
      .moveTo(margin, document.y - 1.5)
      .lineTo(margin + widths.reduce((sum, width) => sum + width, 0), document.y - 1.5)
      .lineWidth(0.4)
      .strokeColor(quiet)
      .stroke()
  }
  const drawHead = () => {
    drawRow(heads, bold, ink)
    rule()
    document.y += 2
  }
  room(document, 60)
  document
    .font(bold)
    .fontSize(9.5)
    .fillColor(ink)
    .text(printable(table.title), margin, undefined, { width: widthOf(document) })
  document.moveDown(0.2)
  drawHead()
  for (const row of texts) {
    if (document.y + heightOf(row, plain) + 4 > document.page.height - margin) {
      document.addPage()
      drawHead()
    }
    drawRow(row, plain, ink)
  }
  if (table.note !== undefined) words(document, table.note, quiet, 7.5)
  document.moveDown(0.7)
}

/** Two plots beside each other. */
function drawPlots(document: Document, plots: readonly ReportPlot[]): void {
  const gap = 18
  const alone = plots.length === 1
  const width = alone ? Math.min(380, widthOf(document)) : (widthOf(document) - gap) / 2
  const height = alone ? 230 : 190
  for (let index = 0; index < plots.length; index += 2) {
    const pair = plots.slice(index, index + 2)
    const legend = Math.max(...pair.map(({ series }) => series.length)) * 9
    room(document, height + legend + 6)
    const top = document.y
    pair.forEach((plot, column) => drawOne(document, plot, margin + column * (width + gap), top, width, height))
    document.y = top + height + legend + 8
    document.x = margin
  }
}

function drawOne(document: Document, plot: ReportPlot, left: number, top: number, width: number, height: number): void {
  const box: PlotBox = { left: left + 38, top: top + 16, width: width - 46, height: height - 46 }
  const drawn = drawPlot(plot, box)
  const axis = ({ label, unit }: ReportPlot['x']) => printable(unit === '' ? label : `${label} (${unit})`)
  const small = (size: number, colour = quiet) => document.font(plain).fontSize(size).fillColor(colour)
  document.font(bold).fontSize(8.5).fillColor(ink).text(printable(plot.title), left, top, { width, lineBreak: false })
  document.lineWidth(0.4).strokeColor('#c9cdd2')
  for (const { at } of drawn.xTicks)
    document
      .moveTo(at, box.top)
      .lineTo(at, box.top + box.height)
      .stroke()
  for (const { at } of drawn.yTicks)
    document
      .moveTo(box.left, at)
      .lineTo(box.left + box.width, at)
      .stroke()
  document.lineWidth(0.6).strokeColor(ink).rect(box.left, box.top, box.width, box.height).stroke()
  for (const { at, text } of drawn.xTicks) {
    small(6.5).text(text, at - 20, box.top + box.height + 3, { width: 40, align: 'center', lineBreak: false })
  }
  for (const { at, text } of drawn.yTicks) {
    small(6.5).text(text, left, at - 3, { width: 35, align: 'right', lineBreak: false })
  }
  small(7).text(axis(plot.x), box.left, box.top + box.height + 13, {
    width: box.width,
    align: 'center',
    lineBreak: false,
  })
  document.save()
  document.rotate(-90, { origin: [left + 4, box.top + box.height / 2] })
  small(7).text(axis(plot.y), left + 4 - box.height / 2, box.top + box.height / 2 - 4, {
    width: box.height,
    align: 'center',
    lineBreak: false,
  })
  document.restore()
  document.save()
  document.rect(box.left - 3, box.top - 3, box.width + 6, box.height + 6).clip()
  drawn.series.forEach((series, index) => drawSeries(document, series, plotColours[index % plotColours.length]!))
  document.restore()
  drawn.series.forEach(({ label, published }, index) => {
    const y = top + height - 6 + index * 9
    mark(document, box.left + 3, y + 3, published, plotColours[index % plotColours.length]!)
    small(7, ink).text(printable(label), box.left + 10, y, { width: box.width, lineBreak: false })
  })
  document.x = margin
}

function drawSeries(
  document: Document,
  { style, points, published }: ReturnType<typeof drawPlot>['series'][number],
  colour: string,
): void {
  if (style !== 'points' && points.length > 1) {
    points.forEach(({ x, y }, index) => (index === 0 ? document.moveTo(x, y) : document.lineTo(x, y)))
    document.lineWidth(0.9).strokeColor(colour)
    if (published) document.dash(3, { space: 2 })
    document.stroke().undash()
  }
  if (style === 'line' || style === 'steps') return
  for (const { x, y, low, high } of points) {
    if (low !== undefined && high !== undefined) {
      document.lineWidth(0.6).strokeColor(colour).moveTo(x, low).lineTo(x, high).stroke()
    }
    mark(document, x, y, published, colour)
  }
}

/** Ours are discs, published values open diamonds. */
function mark(document: Document, x: number, y: number, published: boolean, colour: string): void {
  if (!published) return void document.circle(x, y, 1.7).fill(colour)
  document
    .lineWidth(0.9)
    .strokeColor(colour)
    .polygon([x, y - 2.8], [x + 2.8, y], [x, y + 2.8], [x - 2.8, y])
    .stroke()
}

function numberPages(document: Document, report: StudyReport): void {
  const { start, count } = document.bufferedPageRange()
  for (let page = start; page < start + count; page++) {
    document.switchToPage(page)
    // Below the margin text would ask for another page.
    document.page.margins.bottom = 0
    document
      .font(plain)
      .fontSize(7)
      .fillColor(quiet)
      .text(
        printable(`${report.title}, code ${report.codeVersion}, page ${page + 1} of ${count}`),
        margin,
        document.page.height - 30,
        { width: widthOf(document), align: 'center', lineBreak: false },
      )
  }
}

/** The standard fonts know Latin letters only. */
function printable(text: string): string {
  return text
    .replaceAll('–', '-')
    .replaceAll('…', '...')
    .replaceAll('≥', '>=')
    .replaceAll('≤', '<=')
    .replaceAll(/[^\u0020-\u007e\u00a0-\u00ff]/g, '?')
}
