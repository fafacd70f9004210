import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { copyFile, mkdir, readFile, stat, truncate, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { asyncBufferFromFile, parquetReadObjects } from 'hyparquet'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openMidasFile, framesOf, writeSimulatedRun } from '../detector/index.ts'
import type { SimulationOptions } from '../detector/index.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import type { TemporaryDirectory } from '../foundation/testing.ts'
import { clusterColumns } from './contract.ts'
import { abovePedestal } from './frame-picture.ts'
import { createFrameReader } from './frames.ts'
import { defaultParameters } from './parameters.ts'
import { readPedestalHeader, readPedestalMap } from './pedestal-file.ts'
import { makePedestal } from './pedestal-payload.ts'
import { productNames } from './payload-spec.ts'
import { createProductReader } from './product-reader.ts'
import { reconstructRun } from './reconstruction-payload.ts'

const side = 576
const simulation = (number: number, kind: 'pedestal' | 'data', images: number): SimulationOptions => ({
  seed: 11,
  number,
  kind,
  images,
  frame: { width: side, height: side },
  startMs: Date.UTC(2026, 0, 1),
  tracksPerImage: { iron: 3, muon: 0.3, alpha: 0.2 },
  waveforms: false,
})
const quiet = () => undefined

describe('pedestal and reconstruction of simulated runs', () => {
  let folder: TemporaryDirectory
  let pedestalPath = ''
  let rawPath = ''
  let truthPath = ''

  async function reconstruct(
    name: string,
    more: { rawPath?: string; workers?: number; truthPath?: string | null } = {},
  ) {
    const outFolder = join(folder.path, name)
    await mkdir(outFolder)
    const summary = await reconstructRun(
      {
        task: 'reconstruction',
        run: 'demo/sim:2',
        campaign: 'main',
        rawPath,
        pedestalPath,
        truthPath,
        outFolder,
        codeVersion: 'test',
        calibrationId: 'calibration',
        workers: 1,
        parameters: { ...defaultParameters },
        ...more,
      },
      quiet,
    )
    return { summary, outFolder }
  }

  beforeAll(async () => {
    folder = await temporaryDirectory()
    const pedestalRun = await writeSimulatedRun(folder.path, simulation(1, 'pedestal', 30))
    const dataRun = await writeSimulatedRun(folder.path, simulation(2, 'data', 20))
    rawPath = dataRun.path
    truthPath = dataRun.truthPath
    const outFolder = join(folder.path, 'pedestal')
    await mkdir(outFolder)
    await makePedestal(
      { task: 'pedestal', run: 'demo/sim:1', rawPath: pedestalRun.path, outFolder, codeVersion: 'test' },
      quiet,
    )
    pedestalPath = join(outFolder, productNames.pedestal)
  })
  afterAll(() => folder[Symbol.asyncDispose]())

  it('makes the pedestal map that the images of the run have', async () => {
    const header = await readPedestalHeader(pedestalPath)
    expect(header).toMatchObject({
      madeFrom: 'demo/sim:1',
      cameras: [{ camera: 0, width: side, height: side, images: 30 }],
    })
    expect(header.cameras[0]!.meanOffset % 64).toBe(0)
    const map = (await readPedestalMap(pedestalPath, 0))!
    expect(await readPedestalMap(pedestalPath, 1)).toBeUndefined()
    const frames: Uint16Array[] = []
    for await (const event of openMidasFile(join(folder.path, 'run00001.mid'))) {
      for (const frame of framesOf(event)) frames.push(frame.pixels.slice())
    }
    let disagreeing = 0
    for (let pixel = 0; pixel < map.mean.length; pixel += 101) {
      const values = frames.map((frame) => frame[pixel]!)
      const mean = values.reduce((sum, value) => sum + value, 0) / values.length
      const rms = Math.sqrt(values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1))
      if (Math.abs(map.mean[pixel]! - mean) > 1e-3 || Math.abs(map.sigma[pixel]! - rms) > 1e-3) disagreeing++
    }
    // Where a value was left out as an outlier the map is meant to differ.
    expect(disagreeing).toBeLessThan(5)
    // What the simulated sensor is: offset about 100 counts, read noise 0.7 e- = 3.3 counts.
    const sorted = map.sigma.slice().sort()
    expect(sorted[sorted.length >> 1]).toBeGreaterThan(2.8)
    expect(sorted[sorted.length >> 1]).toBeLessThan(4.2)
  })

  it('finds the simulated tracks', async () => {
    const { summary } = await reconstruct('found')
    expect(summary).toMatchObject({ images: 20, imagesReconstructed: 20, complete: true, problems: [] })
    const truth = summary.truth!
    expect(truth.findable).toBeGreaterThan(20)
    expect(truth.efficiency).toBeGreaterThan(0.9)
    expect(truth.purity).toBeGreaterThan(0.9)
    expect(truth.selectedFakeClusters).toBeLessThanOrEqual(2)
    expect(summary.clusters).toBe(truth.matchedClusters + truth.fakeClusters)
  })

  it('gives the same bytes again, however many workers there are', async () => {
    const one = await reconstruct('one')
    const two = await reconstruct('two', { workers: 2 })
    expect(two.summary.contentSha256).toBe(one.summary.contentSha256)
    const [first, second] = await Promise.all(
      [one, two].map(({ outFolder }) => readFile(join(outFolder, productNames.clusters))),
    )
    expect(first!.equals(second!)).toBe(true)
  })

  it('can be read by event, by page and by quality', async () => {
    const { summary, outFolder } = await reconstruct('read')
    const reader = createProductReader()
    const path = join(outFolder, productNames.clusters)
    const all = await reader.clusters(path, { fromRow: 0, limit: 1000 })
    expect(all.items.length).toBe(summary.clusters)
    expect(all.nextRow).toBeNull()
    const paged = []
    for (let row: number | null = 0; row !== null;) {
      const page = await reader.clusters(path, { fromRow: row, limit: 7 })
      paged.push(...page.items)
      row = page.nextRow
    }
    expect(paged).toEqual(all.items)
    const selected = await reader.clusters(path, { fromRow: 0, limit: 1000, selected: true })
    expect(selected.items).toEqual(all.items.filter((cluster) => cluster.selected))
    const event = all.items.at(-1)!.event
    expect(await reader.clustersOfEvent(path, event)).toEqual(all.items.filter((cluster) => cluster.event === event))
    const outlines = await reader.outlinesOfEvent(path, event)
    expect(outlines.length).toBe(all.items.filter((cluster) => cluster.event === event).length)
    for (const { rings } of outlines) expect(rings.flat().every((value) => value >= -8 && value <= side + 8)).toBe(true)
    await expect(reader.clustersOfEvent(path, 999)).rejects.toMatchObject({ code: 'reconstruction.no_such_event' })
    const events = await reader.events(join(outFolder, productNames.events), { fromRow: 0, limit: 100 })
    expect(events.items.map((one) => one.event)).toEqual(Array.from({ length: 20 }, (_, index) => index))
    expect(events.items.reduce((sum, one) => sum + one.clusters, 0)).toBe(summary.clusters)
  })

  it('stores the pixels that the clusters are the sums of', async () => {
    const { summary, outFolder } = await reconstruct('pixels', { workers: 2 })
    const pixels = await parquetReadObjects({
      file: await asyncBufferFromFile(join(outFolder, productNames.pixels)),
    })
    const { items } = await createProductReader().clusters(join(outFolder, productNames.clusters), {
      fromRow: 0,
      limit: 1000,
    })
    const bright = items.filter((cluster) => cluster.integralCounts > defaultParameters.savePixelsMinimumIntegralCounts)
    expect(bright.length).toBeGreaterThan(summary.images)
    const sums = new Map<string, { pixels: number; counts: number }>()
    for (const { event, cluster, counts } of pixels) {
      const key = `${event}/${cluster}`
      const sum = sums.get(key) ?? { pixels: 0, counts: 0 }
      sums.set(key, { pixels: sum.pixels + 1, counts: sum.counts + Number(counts) })
    }
    expect(sums.size).toBe(bright.length)
    for (const { event, cluster, sizePx, integralCounts } of bright) {
      const sum = sums.get(`${event}/${cluster}`)!
      expect(sum.pixels).toBe(sizePx)
      expect(Math.abs(sum.counts - integralCounts)).toBeLessThan(0.05 * sizePx)
    }
  })

  it('shows any picture of the stored file, raw and above pedestal', async () => {
    const frames = createFrameReader()
    const raw = await frames.raw(rawPath, 7, 0)
    expect([raw.width, raw.height, raw.pixels.length]).toEqual([side, side, side * side])
    const map = (await readPedestalMap(pedestalPath, 0))!
    const seen = (await frames.pedestal(pedestalPath, 0))!
    expect([seen.width, seen.height, seen.sigma.length]).toEqual([side, side, 0])
    const { values } = abovePedestal(raw, seen.mean, undefined)
    for (let pixel = 0; pixel < values.length; pixel += 997) {
      expect(values[pixel]).toBeCloseTo(raw.pixels[pixel]! - map.mean[pixel]!, 3)
    }
    expect(await frames.pedestal(pedestalPath, 3)).toBeUndefined()
    expect((await frames.hot(pedestalPath, 0))!.indices.length).toBeLessThan(side * side * 0.01)
    await expect(frames.raw(rawPath, 20, 0)).rejects.toMatchObject({ code: 'reconstruction.no_such_event' })
    await expect(frames.raw(rawPath, 0, 3)).rejects.toMatchObject({ code: 'reconstruction.no_such_camera' })
  })

  it('reconstructs what is readable of a truncated file and says so', async () => {
    const cut = join(folder.path, 'cut.mid')
    await copyFile(rawPath, cut)
    await truncate(cut, Math.floor((await stat(cut)).size * 0.42))
    const { summary } = await reconstruct('cut', { rawPath: cut })
    expect(summary.complete).toBe(false)
    expect(summary.imagesReconstructed).toBeGreaterThan(5)
    expect(summary.imagesReconstructed).toBeLessThan(10)
    expect(summary.problems.join()).toMatch(/end|truncated|middle/)
  })

  it('makes an empty result of a file without images, and refuses it as a pedestal', async () => {
    const empty = join(folder.path, 'empty.mid')
    await writeFile(empty, '')
    const { summary, outFolder } = await reconstruct('empty', { rawPath: empty })
    expect(summary).toMatchObject({ images: 0, clusters: 0, complete: false })
    expect(summary.problems.join()).toMatch(/no image/)
    expect(
      (await createProductReader().clusters(join(outFolder, productNames.clusters), { fromRow: 0, limit: 10 })).items,
    ).toEqual([])
    const spec = { task: 'pedestal', run: 'demo/sim:3', rawPath: empty, outFolder, codeVersion: 'test' } as const
    await expect(makePedestal(spec, quiet)).rejects.toMatchObject({ code: 'reconstruction.too_few_images' })
  })

  it('notes frames that the pedestal map does not fit', async () => {
    const other = await writeSimulatedRun(folder.path, {
      ...simulation(4, 'data', 2),
      frame: { width: 256, height: 256 },
    })
    const { summary } = await reconstruct('other', { rawPath: other.path, truthPath: null })
    expect(summary).toMatchObject({ images: 2, imagesReconstructed: 0, complete: false, truth: null })
    expect(summary.problems[0]).toMatch(/256x256.*576x576/)
  })

  it('runs as a program: readable progress in its log, refusal as a file, exit code 0', async () => {
    const outFolder = join(folder.path, 'program')
    await mkdir(outFolder)
    const spec = { task: 'pedestal', run: 'demo/sim:3', rawPath: rawPath, images: 20, outFolder, codeVersion: 'test' }
    const specPath = join(folder.path, 'spec.json')
    await writeFile(specPath, JSON.stringify(spec))
    const done = spawnSync(process.execPath, [join(import.meta.dirname, 'payload.ts'), specPath], { encoding: 'utf8' })
    expect(done.status, done.stderr).toBe(0)
    const lines = done.stdout.trim().split('\n')
    expect(lines[0]).toBe('pedestal map of demo/sim:3, 20 images')
    expect(lines[1]).toMatch(/^image \d+ of 20$/)
    expect(lines.at(-2)).toBe('image 20 of 20')
    expect(lines.at(-1)).toMatch(/^demo\/sim:3: 20 images in \d+\.\d\d s$/)
    await writeFile(specPath, JSON.stringify({ ...spec, rawPath: join(folder.path, 'missing.mid') }))
    const refused = spawnSync(process.execPath, [join(import.meta.dirname, 'payload.ts'), specPath], {
      encoding: 'utf8',
    })
    expect(refused.status, refused.stderr).toBe(0)
    expect(JSON.parse(await readFile(join(outFolder, productNames.refusal), 'utf8'))).toMatchObject({
      detail: expect.stringMatching(/missing.mid/),
    })
  })

  const python = process.env.CYGNET_TEST_PYTHON
  const hasPyarrow =
    python !== undefined && existsSync(python) && spawnSync(python, ['-c', 'import pyarrow.parquet']).status === 0
  it.skipIf(!hasPyarrow)(
    `is read by pyarrow${hasPyarrow ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with pyarrow)'}`,
    async () => {
      const { summary, outFolder } = await reconstruct('pyarrow')
      const program = `import sys, json, pyarrow.parquet as p
t = p.read_table(sys.argv[1]); print(json.dumps([t.num_rows, t.column_names, sum(t['integral_counts'].to_pylist())]))`
      const run = spawnSync(python!, ['-c', program, join(outFolder, productNames.clusters)], { encoding: 'utf8' })
      expect(run.status, run.stderr).toBe(0)
      const [rows, names, light] = JSON.parse(run.stdout) as [number, string[], number]
      expect(rows).toBe(summary.clusters)
      expect(names).toEqual([...clusterColumns.map(({ column }) => column), 'outline_px'])
      const { items } = await createProductReader().clusters(join(outFolder, productNames.clusters), {
        fromRow: 0,
        limit: 1000,
      })
      expect(light).toBeCloseTo(
        items.reduce((sum, cluster) => sum + cluster.integralCounts, 0),
        0,
      )
    },
  )
})
