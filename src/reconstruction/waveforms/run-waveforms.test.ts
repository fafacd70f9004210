import { spawnSync } from 'node:child_process'
import { mkdir, readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createMidasWriter, encodeDigitizer, readTruth, simulateRun, writeSimulatedRun } from '../../detector/index.ts'
import type { SimulationOptions } from '../../detector/index.ts'
import { createClient } from '../../foundation/client.ts'
import { defineContract } from '../../foundation/contract.ts'
import { bindRoutes, createApp } from '../../foundation/http.ts'
import { silentLogger } from '../../foundation/log.ts'
import { domainData, temporaryDirectory } from '../../foundation/testing.ts'
import type { TemporaryDirectory } from '../../foundation/testing.ts'
import type { ReconstructionSummary, RunProductsSummary } from '../contract.ts'
import { createFrameReader } from '../frames.ts'
import { defaultParameters } from '../parameters.ts'
import { makePedestal } from '../pedestal-payload.ts'
import { productNames } from '../payload-spec.ts'
import type { ReconstructionSpec } from '../payload-spec.ts'
import { createProductReader } from '../product-reader.ts'
import { reconstructRun } from '../reconstruction-payload.ts'
import { waveformColumns } from '../waveform-columns.ts'
import type { Waveform } from '../waveform-columns.ts'
import { waveformRoutes } from '../waveform-contract.ts'
import { waveformHandlers } from '../waveform-routes.ts'

const quiet = () => undefined
const images = 7

describe('waveforms of simulated runs', () => {
  let folder: TemporaryDirectory
  const reader = createProductReader()

  async function pedestalOf(name: string, frame: SimulationOptions['frame']): Promise<string> {
    const outFolder = join(folder.path, name)
    await mkdir(outFolder)
    const run = await writeSimulatedRun(outFolder, simulation(1, 12, frame, 'pedestal'))
    const spec = { task: 'pedestal', run: 'demo/sim:1', rawPath: run.path, outFolder, codeVersion: 'test' } as const
    await makePedestal(spec, quiet)
    return join(outFolder, productNames.pedestal)
  }
  async function reconstruct(
    name: string,
    spec: Pick<ReconstructionSpec, 'rawPath' | 'pedestalPath'> & Partial<ReconstructionSpec>,
  ) {
    const outFolder = join(folder.path, name)
    await mkdir(outFolder)
    const whole: ReconstructionSpec = {
      task: 'reconstruction',
      run: 'demo/sim:2',
      campaign: 'main',
      truthPath: null,
      outFolder,
      codeVersion: 'test',
      calibrationId: 'calibration',
      workers: 1,
      parameters: { ...defaultParameters },
      ...spec,
    }
    return { summary: await reconstructRun(whole, quiet), outFolder }
  }
  const rowsOf = async (outFolder: string): Promise<Waveform[]> =>
    (await reader.waveforms(join(outFolder, productNames.waveforms), { fromRow: 0, limit: 100_000 })).items

  beforeAll(async () => {
    folder = await temporaryDirectory()
  })
  afterAll(() => folder[Symbol.asyncDispose]())

  describe('of the whole detector', () => {
    let summary: RunProductsSummary
    let outFolder = ''
    let rawPath = ''
    let truthPath = ''
    let pedestalPath = ''

    beforeAll(async () => {
      pedestalPath = await pedestalOf('large-pedestal', undefined)
      ;({ path: rawPath, truthPath } = await writeSimulatedRun(folder.path, simulation(2, images, undefined, 'data')))
      ;({ summary, outFolder } = await reconstruct('large', { rawPath, truthPath, pedestalPath }))
    }, 60_000)

    it('become rows for every trigger, at the times of the simulated tracks', async () => {
      const truth = await readTruth(truthPath)
      const tracks = truth.images.flatMap((image) => image.tracks.map((track) => ({ ...track, event: image.event })))
      const triggers = new Set(
        tracks.filter(({ trigger }) => trigger >= 0).map(({ event, trigger }) => `${event}/${trigger}`),
      )
      expect(summary.waveforms).toMatchObject({ events: images, triggers: triggers.size, exposureMs: 300 })
      const rows = await rowsOf(outFolder)
      // Four photomultipliers and their mean on both boards, three GEMs on the fast one.
      expect(rows.length).toBe(triggers.size * 13)
      expect(summary.waveforms!.waveforms).toBe(rows.length)
      expect(rows.map(({ event }) => event)).toEqual(rows.map(({ event }) => event).toSorted((a, b) => a - b))
      for (const { event, trigger, atMs, rowsLost } of tracks) {
        const mean = rows.find((row) => row.event === event && row.trigger === trigger && row.channel === 9)
        if (mean === undefined) continue
        // Drift takes up to 10 us; another track may have triggered a little earlier.
        expect(Math.abs(mean.triggerTimeMs - atMs)).toBeLessThan(0.05)
        expect(mean.insideGlobalExposure).toBe(mean.triggerTimeMs >= 180 && mean.triggerTimeMs <= 300)
        expect(rowsLost).toBe(0)
        expect(mean.timeOverThresholdSamples).toBeGreaterThan(9)
      }
    })

    it('are matched with the clusters of their tracks', async () => {
      const { match } = summary.waveforms!
      expect(match.truth!.clusters).toBeGreaterThan(15)
      // Measured over 456 clusters: 94 % and 2 %.
      expect(match.truth!.efficiency).toBeGreaterThan(0.85)
      expect(match.truth!.wrongRate).toBeLessThan(0.1)
      const { items } = await reader.clusters(join(outFolder, productNames.clusters), { fromRow: 0, limit: 10_000 })
      const matched = items.filter(({ pmtTrigger }) => pmtTrigger >= 0)
      expect(matched.length).toBe(match.matched)
      expect(
        matched.every(
          ({ selected, pmtChi2 }) => selected && pmtChi2 >= 0 && pmtChi2 <= defaultParameters.matchMaximumChi2,
        ),
      ).toBe(true)
      const truth = await readTruth(truthPath)
      for (const cluster of matched) {
        const track = truth.images[cluster.event]!.tracks.find(({ id }) => id === cluster.truthTrack)
        if (track === undefined || track.trigger !== cluster.pmtTrigger || cluster.truthPurity < 0.95) continue
        // What it is more than the truth is the length of the pulse itself.
        const more = cluster.depthMm - (track.zMaxMm - track.zMinMm)
        expect(more).toBeGreaterThan(0)
        expect(more).toBeLessThan(14)
      }
    })

    it('are the same bytes again with two workers', async () => {
      const again = await reconstruct('large-again', { rawPath, truthPath, pedestalPath, workers: 2 })
      expect(again.summary.contentSha256).toBe(summary.contentSha256)
      const [first, second] = await Promise.all(
        [outFolder, again.outFolder].map((path) => readFile(join(path, productNames.waveforms))),
      )
      expect(first!.equals(second!)).toBe(true)
    }, 60_000)

    it('are answered over HTTP: traces, rows of an event, the table of the run', async () => {
      const app = createApp({ log: silentLogger() })
      const contract = defineContract('reconstruction', waveformRoutes)
      const handlers = waveformHandlers({
        products: reader,
        frames: createFrameReader(),
        requireRun: () => Promise.resolve({} as never),
        rawPathOf: () => Promise.resolve(rawPath),
        resultOf: () => Promise.resolve({} as ReconstructionSummary),
        productPathIfThere: (_, name) => Promise.resolve(join(outFolder, name)),
      })
      const caller = { id: 'p', kind: 'person', name: 'p', subject: undefined } as const
      bindRoutes(app, contract, handlers, { authenticate: async () => caller, require: () => undefined })
      await app.listen({ port: 0, host: '127.0.0.1' })
      try {
        const { port } = app.server.address() as { port: number }
        const client = createClient(contract, { baseUrl: `http://127.0.0.1:${port}` })
        const params = { experiment: 'demo', run: 'sim:2', event: 1 }
        const traces = await client.readTraces({ params, query: { trigger: 1, points: 256 } })
        const rows = (await client.listEventWaveforms({ params })).items
        expect(traces.triggers.map(({ trigger, timeMs }) => [trigger, timeMs])).toEqual(
          rows
            .filter(({ channel, samplesPerWaveform }) => channel === 9 && samplesPerWaveform === 1024)
            .map(({ trigger, triggerTimeMs }) => [trigger, triggerTimeMs]),
        )
        const { items } = await reader.clusters(join(outFolder, productNames.clusters), { fromRow: 0, limit: 10_000 })
        for (const { trigger, clusters } of traces.triggers) {
          const own = items.filter(({ event, pmtTrigger }) => event === 1 && pmtTrigger === trigger)
          expect(clusters).toEqual(own.map(({ cluster }) => cluster))
        }
        expect(traces).toMatchObject({ trigger: 1, exposureMs: 300, note: null })
        expect(
          traces.boards.map(({ name, samplesPerPoint, channels }) => [
            name,
            samplesPerPoint,
            channels.length,
            channels[1]!.low.length,
          ]),
        ).toEqual([
          ['fast', 4, 32, 256],
          ['slow', 16, 8, 250],
        ])
        await expect(client.readTraces({ params, query: { trigger: 99 } })).rejects.toMatchObject({
          code: 'reconstruction.no_such_trigger',
        })
        await expect(client.readTraces({ params: { ...params, event: 99 } })).rejects.toMatchObject({
          code: 'reconstruction.no_such_event',
        })
        const page = await client.listRunWaveforms({ params, query: { limit: 7 } })
        expect(page).toMatchObject({ nextCursor: '7', total: summary.waveforms!.waveforms, note: null })
        const next = await client.listRunWaveforms({ params, query: { limit: 7, cursor: '7' } })
        expect([...page.items, ...next.items]).toEqual((await rowsOf(outFolder)).slice(0, 14))
      } finally {
        await app.close()
      }
    })

    const python = process.env.CYGNET_TEST_PYTHON
    const hasPyarrow = python !== undefined && spawnSync(python, ['-c', 'import pyarrow.parquet']).status === 0
    it.skipIf(!hasPyarrow)(
      `are read by pyarrow${hasPyarrow ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with pyarrow)'}`,
      () => {
        const program = `import sys, json, pyarrow.parquet as p
t = p.read_table(sys.argv[1]); print(json.dumps([t.num_rows, t.column_names, sum(len(json.loads(x)) for x in t['peak_list'].to_pylist()), sum(t['peaks'].to_pylist())]))`
        const run = spawnSync(python!, ['-c', program, join(outFolder, productNames.waveforms)], { encoding: 'utf8' })
        expect(run.status, run.stderr).toBe(0)
        const [rows, names, listed, peaks] = JSON.parse(run.stdout) as [number, string[], number, number]
        expect(rows).toBe(summary.waveforms!.waveforms)
        expect(names).toEqual(waveformColumns.map(({ column }) => column))
        expect(listed).toBe(peaks)
      },
    )
  })

  describe('of a small detector', () => {
    const frame = { width: 256, height: 256 }
    let pedestalPath = ''
    beforeAll(async () => {
      pedestalPath = await pedestalOf('small-pedestal', frame)
    })

    /** A run whose digitizers fail now and then, with an Environment event before picture 3; waveforms not corrected by the frontend. */
    async function oddRun(name: string): Promise<string> {
      const path = join(folder.path, `${name}.mid`)
      const writer = await createMidasWriter(path, {})
      for await (const event of simulateRun(simulation(5, 6, frame, 'data'))) {
        if (event.kind === 'begin-of-run') {
          const odb = event.odb as { Configurations: Record<string, unknown>; Equipment: Record<string, unknown> }
          odb.Configurations.DRS4Correction = false
          delete odb.Equipment.Environment
          await writer.beginOfRun(event)
          continue
        }
        if (event.kind === 'end-of-run') await writer.endOfRun(event)
        if (event.kind !== 'event' || event.id !== 1) continue
        if (event.serialNumber === 3) {
          const inputs = Float32Array.from({ length: 24 }, () => 12)
          const bank = { name: 'INPT', type: 9, data: new Uint8Array(inputs.buffer) }
          await writer.event({ ...event, id: 5, serialNumber: 0, banks: [bank], format: '16-bit' })
        }
        const none = encodeDigitizer({ version: 0, boards: [] })
        const camera = event.banks.filter((bank) => bank.name.startsWith('CAM'))
        const cut = event.banks.map((bank) =>
          bank.name === 'DIG0' ? { ...bank, data: bank.data.subarray(0, 1000) } : bank,
        )
        const withoutTrigger = [
          ...camera,
          { name: 'DIG0', type: 4, data: none.samples },
          { name: 'DGH0', type: 6, data: none.header },
        ]
        await writer.event({ ...event, banks: [camera, cut, withoutTrigger][event.serialNumber] ?? event.banks })
      }
      await writer.close()
      return path
    }

    it('are analysed as far as they can be read, with the state of the detector beside each picture', async () => {
      const rawPath = await oddRun('odd')
      const { summary, outFolder } = await reconstruct('odd', { rawPath, pedestalPath })
      expect(summary.problems.join('\n')).toMatch(/^event 1: DGH0 announces \d+ samples, DIG0 holds 500 /)
      expect(summary.waveforms).toMatchObject({ events: 4, drs4: { state: 'uncorrected', tablesSha256: null } })
      expect(summary.waveforms!.drs4.note).toMatch(/no tables at calibration\/drs4/)
      const path = join(outFolder, productNames.waveforms)
      expect(await reader.waveformsOfEvent(path, 0)).toBeUndefined()
      expect(await reader.waveformsOfEvent(path, 1)).toBeUndefined()
      expect(await reader.waveformsOfEvent(path, 2)).toEqual([])
      expect((await reader.waveformsOfEvent(path, 3))!.length).toBeGreaterThan(0)
      const { items } = await reader.events(join(outFolder, productNames.events), { fromRow: 0, limit: 10 })
      expect(
        items.map(({ gasTemperatureCelsius, mixtureDensityGPerL, humidityPercent }) => [
          gasTemperatureCelsius,
          mixtureDensityGPerL,
          humidityPercent,
        ]),
      ).toEqual([
        ...Array.from({ length: 3 }, () => [null, null, null]),
        ...Array.from({ length: 3 }, () => [50, 5, null]),
      ])
    })

    const data = domainData()
    it.skipIf(data === undefined)(
      `are corrected with the tables of the crate${data === undefined ? ' (SKIPPED: no domain data; set CYGNET_TEST_DATA)' : ''}`,
      async () => {
        const rawPath = await oddRun('tables')
        const table = (name: string) => join(data!, 'digitizer', `table_${name}_LNGS.npy`)
        const drs4Tables = { cellPath: table('cell'), samplePath: table('nsample') }
        const { summary } = await reconstruct('tables', { rawPath, pedestalPath, drs4Tables })
        expect(summary.waveforms!.drs4).toMatchObject({ state: 'corrected', uncorrectedWaveforms: 0 })
        expect(summary.waveforms!.drs4.tablesSha256).toMatch(/^[0-9a-f]{64}$/)
        expect(summary.waveforms!.drs4.correctedWaveforms).toBeGreaterThan(0)
      },
    )

    it('do not exist where the camera was alone, and are not matched in pictures with sparks', async () => {
      const alone = { ...simulation(6, 2, frame, 'data'), waveforms: false }
      const { path } = await writeSimulatedRun(folder.path, alone)
      const { summary, outFolder } = await reconstruct('alone', { rawPath: path, pedestalPath })
      expect(summary.waveforms).toBeNull()
      expect(await readdir(outFolder)).not.toContain(productNames.waveforms)
      const sparks = await reconstruct('sparks', {
        rawPath: await oddRun('sparks'),
        pedestalPath,
        parameters: { ...defaultParameters, sparkVetoCountsPerPixel: 1, sparkVetoOffsetCounts: 0 },
      })
      expect(sparks.summary).toMatchObject({
        imagesVetoed: 6,
        waveforms: { events: 4, match: { matched: 0, clusters: 0 } },
      })
      expect((await rowsOf(sparks.outFolder)).length).toBeGreaterThan(0)
    })
  })
})

function simulation(
  number: number,
  count: number,
  frame: SimulationOptions['frame'],
  kind: 'pedestal' | 'data',
): SimulationOptions {
  return {
    seed: 11,
    number,
    kind,
    images: count,
    startMs: Date.UTC(2026, 0, 1),
    tracksPerImage: { iron: 4, muon: 0.3, alpha: 0.3 },
    waveforms: kind === 'data',
    ...(frame && { frame }),
  }
}
