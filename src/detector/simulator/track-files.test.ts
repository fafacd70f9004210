import { spawnSync } from 'node:child_process'
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { gzipSync } from 'node:zlib'
import * as fc from 'fast-check'
import { parquetWriteBuffer } from 'hyparquet-writer'
import { describe, expect, test } from 'vitest'
import { Fault } from '../../foundation/errors.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { readRunFacts } from '../run-facts.ts'
import { detectorModel } from './detector-model.ts'
import { externalEvents, inspectTracks, kindOf } from './external-tracks.ts'
import { lindhardQuenching } from './ion.ts'
import { parquetRows } from './parquet-tracks.ts'
import { simulateRun } from './simulate-run.ts'
import type { SimulationOptions } from './simulation-options.ts'
import { volumeOf } from './track.ts'
import { trackFile } from './track-files.ts'
import type { DepositRow, TrackSource } from './track-source.ts'
import { readTruth } from './truth.ts'
import type { ImageTruth, Production } from './truth.ts'
import { writeSimulatedRun } from './write-run.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasUproot = python !== undefined && spawnSync(python, ['-c', 'import uproot, awkward']).status === 0
const volume = volumeOf(detectorModel(), 256, 256)
const head = 'event,track,x_mm,y_mm,z_mm,energy_kev,time_ns,particle'
const small: SimulationOptions = {
  seed: 1,
  number: 4,
  kind: 'data',
  images: 100,
  startMs: 0,
  frame: { width: 256, height: 256 },
}

async function fileOf(content: string | Uint8Array, name = 'tracks.csv'): Promise<string> {
  const { path } = await temporaryDirectory()
  const file = join(path, name)
  await writeFile(file, content)
  return file
}

async function simulated(options: SimulationOptions): Promise<{ truths: ImageTruth[]; production: Production }> {
  const truths: ImageTruth[] = []
  let production: Production | undefined
  for await (const event of simulateRun(options)) {
    if (event.kind === 'event') truths.push(...(event.truth ? [event.truth] : []))
    else production = event.production
  }
  return { truths, production: production! }
}

const inspect = async (path: string) => await inspectTracks(trackFile(path), volume)
async function faultOf(path: string): Promise<Fault> {
  return await inspect(path).then(
    () => expect.fail('it was taken'),
    (error: unknown) => (error instanceof Fault ? error : expect.fail(`not a Fault: ${String(error)}`)),
  )
}

describe('what is digitized', () => {
  test('events become pictures, tracks tracks, nuclei are quenched, times and places kept', async () => {
    const file = await fileOf(
      [
        '# made by another program',
        head,
        '7,1,0,0,250,3,0,e-',
        '7,1,0.2,0,250,2.9,0.1,e-',
        '7,2,5,-5,100,20,10,F19',
        '',
        '9,1,-10,10,30,5.9,,',
        '9,1,900,0,30,5.9,,',
      ].join('\r\n'),
    )
    const { truths, production } = await simulated({ ...small, tracksFile: file })
    expect(truths.map((one) => one.tracks.length)).toEqual([2, 1])
    const [electron, recoil] = truths[0]!.tracks
    expect(electron).toMatchObject({
      kind: 'electron',
      energyKev: 5.9,
      visibleEnergyKev: 5.9,
      length3dMm: 0.2,
      rowsLost: 0,
    })
    expect(electron!.startPx).toEqual({ x: 128, y: 128 })
    expect(electron!.zMm).toBeCloseTo(250, 6)
    expect(recoil).toMatchObject({ kind: 'fluorine', energyKev: 20 })
    expect(recoil!.visibleEnergyKev).toBeCloseTo(20 * lindhardQuenching('fluorine', 20), 2)
    expect(recoil!.atMs - electron!.atMs).toBeCloseTo(1e-5, 6)
    expect(recoil!.trigger).toBe(electron!.trigger)
    // Outside of the detector nothing is seen.
    expect(truths[1]!.tracks[0]).toMatchObject({ kind: 'external', energyKev: 5.9 })
    expect(truths[1]!.tracks[0]!.xPx).toBeLessThan(128)
    expect(truths[1]!.tracks[0]!.yPx).toBeGreaterThan(128)
    expect(production.source).toMatchObject({ name: 'tracks.csv', format: 'csv', events: 2, deposits: 5 })
    expect(production.source!.sha256).toMatch(/^[0-9a-f]{64}$/)
  })

  test('the light of a deposit of 5.9 keV is that of iron', async () => {
    const rows = Array.from({ length: 30 }, (_, event) => `${event};0;0;0;250;5.9`)
    const path = await fileOf(['event;track;x_mm;y_mm;z_mm;energy_kev', ...rows].join('\n'))
    const { truths } = await simulated({ ...small, tracksFile: path, waveforms: false })
    const counts = truths.map((one) => one.tracks[0]!.expectedCounts)
    const iron = await simulated({
      ...small,
      images: 30,
      waveforms: false,
      tracksPerImage: { iron: 0, muon: 0, alpha: 0 },
      tracks: [{ kind: 'iron', xPx: 128, yPx: 128, zMm: 250, energyKev: 5.9 }],
    })
    const mean = (values: number[]): number => values.reduce((sum, one) => sum + one, 0) / values.length
    expect(mean(counts) / mean(iron.truths.map((one) => one.tracks[0]!.expectedCounts))).toBeCloseTo(1, 1)
  })

  test('CSV, compressed CSV, Parquet and any other reader give the same run', async () => {
    const rows = [
      [1, 0, 1.5, -2, 100, 3.25, 0, 'e-'],
      [1, 0, 1.75, -2, 101, 4.5, 2, 'e-'],
      [1, 5, -3, 4, 300, 6, 1, 'alpha'],
      [2, 0, 0, 0, 50, 5.9, 0, 'gamma'],
    ] as const
    const names = head.split(',')
    const text = [head, ...rows.map((row) => row.join(','))].join('\n')
    const csv = await fileOf(text)
    const parquet = await fileOf(
      new Uint8Array(
        parquetWriteBuffer({
          columnData: names.map((name, i) => ({
            name,
            data: rows.map((row) => row[i]!),
            type: i < 2 ? 'INT32' : i === 7 ? 'STRING' : 'DOUBLE',
          })),
          rowGroupSize: 2,
        }),
      ),
      'tracks.parquet',
    )
    const source: TrackSource = {
      name: 'tracks',
      format: 'memory',
      fingerprint: () => Promise.resolve({ sha256: '0'.repeat(64), sizeBytes: 0 }),
      async *rows() {
        for (const [event, track, xMm, yMm, zMm, energyKev, timeNs, particle] of rows)
          yield { row: { event, track, xMm, yMm, zMm, energyKev, timeNs, particle } satisfies DepositRow, place: 'row' }
      },
    }
    const { truths } = await simulated({ ...small, tracksFile: csv })
    expect(truths).toHaveLength(2)
    const zipped = await fileOf(gzipSync(text), 'tracks.csv.gz')
    expect((await simulated({ ...small, tracksFile: zipped })).truths).toEqual(truths)
    expect((await simulated({ ...small, tracksFile: parquet })).truths).toEqual(truths)
    expect((await simulated({ ...small, tracksSource: source })).truths).toEqual(truths)
  })

  test.skipIf(!hasUproot)(
    `a ROOT tree, one entry per deposit or per event${hasUproot ? '' : ' (SKIPPED: CYGNET_TEST_PYTHON names no Python with uproot)'}`,
    async () => {
      const csv = await fileOf(
        `${head}\n1,0,1.5,-2,100,3.25,0,11\n1,0,1.75,-2,101,4.5,2,11\n1,5,-3,4,300,6,1,1000020040\n2,0,0,0,50,5.9,0,22\n`,
      )
      const { truths } = await simulated({ ...small, tracksFile: csv })
      const { path } = await temporaryDirectory()
      const program = `
import sys, csv, uproot, numpy as np, awkward as ak
rows = list(csv.DictReader(open(sys.argv[1])))
whole = ('event', 'track', 'particle')
columns = {n: np.array([float(r[n]) for r in rows]).astype('i4' if n in whole else 'f8') for n in rows[0]}
with uproot.recreate(sys.argv[2] + '/flat.root') as file:
    file.mktree('other', {'x': 'i4'})
    file['other'].extend({'x': np.arange(3, dtype='i4')})
    file.mktree('hits', {n: v.dtype for n, v in columns.items()})
    file['hits'].extend(columns)
with uproot.recreate(sys.argv[2] + '/tuple.root') as file:
    file.mkrntuple('hits', columns)
counts = [3, 1]
with uproot.recreate(sys.argv[2] + '/events.root') as file:
    file.mktree('events', {'event': 'i4', **{n: 'var * ' + ('int32' if n in whole else 'float64') for n in columns if n != 'event'}})
    file['events'].extend({'event': np.array([1, 2], 'i4'), **{n: ak.unflatten(v, counts) for n, v in columns.items() if n != 'event'}})
`
      const made = spawnSync(python!, ['-c', program, csv, path], { encoding: 'utf8' })
      expect(made.stderr).toBe('')
      for (const name of ['flat.root', 'events.root']) {
        const root = await simulated({ ...small, tracksFile: join(path, name) })
        expect(root.production.source).toMatchObject({ format: 'root', events: 2, deposits: 4 })
        expect(root.truths).toEqual(truths)
      }
      await expect(simulated({ ...small, tracksFile: join(path, 'tuple.root') })).rejects.toThrow(/RNTuple/)
    },
  )

  test('runs share a file out: so many images, so many events per image, from where the last one ended', async () => {
    const rows = Array.from({ length: 10 }, (_, event) => `${event},0,0,0,${10 + event * 10},5.9,,`)
    const tracksFile = await fileOf([head, ...rows].join('\n'))
    const depths = async (options: Partial<SimulationOptions>): Promise<number[][]> =>
      (await simulated({ ...small, tracksFile, waveforms: false, ...options })).truths.map((one) =>
        one.tracks.map((track) => Math.round(track.zMm)),
      )
    expect(await depths({})).toEqual([[10], [20], [30], [40], [50], [60], [70], [80], [90], [100]])
    expect(await depths({ images: 2, eventsPerImage: 3 })).toEqual([
      [10, 20, 30],
      [40, 50, 60],
    ])
    expect(await depths({ skipEvents: 8, images: 5 })).toEqual([[90], [100]])
    expect(await depths({ skipEvents: 6, eventsPerImage: 3 })).toEqual([[70, 80, 90], [100]])
    expect(await depths({ skipEvents: 99 })).toEqual([])
  })

  test('names of particles', () => {
    expect(
      ['e-', 'gamma', '-11', 'mu+', 'He4', '1000020040', 'C12', 'F19', 'proton', ''].map((one) => kindOf(one, 100)),
    ).toEqual([
      'electron',
      'electron',
      'electron',
      'muon',
      'helium',
      'helium',
      'carbon',
      'fluorine',
      'external',
      'external',
    ])
    expect(kindOf('alpha', 5490)).toBe('alpha')
  })
})

describe('productions', () => {
  test('a named one is of kind simulation, its source and constants stand in file and truth; a demonstration is data', async () => {
    const { path } = await temporaryDirectory()
    const tracksFile = await fileOf([head, '0,0,0,0,100,5.9,,'].join('\n'))
    const run = await writeSimulatedRun(path, { ...small, tracksFile, production: 'geant4 test', gemVolts: 430 })
    const facts = await readRunFacts(run.path)
    expect(facts).toMatchObject({ kind: 'simulation', images: 1, complete: true })
    const condition = (name: string) => facts.conditions.find((one) => one.path === `/Simulation/${name}`)?.value
    expect(condition('Production')).toBe('geant4 test')
    expect(condition('Seed')).toBe(1)
    expect(condition('Version')).toBe('2')
    expect(condition('Geometry/gem1Volts')).toBe(430)
    const truth = await readTruth(run.truthPath)
    expect(condition('Source/SHA256')).toBe(truth.production.source!.sha256)
    expect(truth).toMatchObject({
      version: 2,
      production: { name: 'geant4 test', version: '2', seed: 1, geometry: { gem1Volts: 430, absorptionMm: 5000 } },
    })
    expect(run.production).toEqual(truth.production)
    const plain = await writeSimulatedRun(path, { ...small, number: 5, images: 1 })
    expect((await readRunFacts(plain.path)).kind).toBe('data')
    const dark = await writeSimulatedRun(path, { ...small, number: 6, images: 1, kind: 'pedestal', production: 'p' })
    expect((await readRunFacts(dark.path)).kind).toBe('pedestal')
    await expect(simulateRun({ ...small, production: '' }).next()).rejects.toMatchObject({
      code: 'detector.bad_options',
    })
  })

  test('a truth file of version 1 is still read', async () => {
    const track = {
      id: 0,
      kind: 'alpha',
      energyKev: 5490,
      xPx: 100,
      yPx: 50,
      zMm: 200,
      lengthMm: 30,
      angleRad: 0,
      box: { x0: 0, y0: 0, x1: 8, y1: 4 },
      expectedCounts: 1000,
      pixelCount: 32,
      cells: { rebin: 4, runs: [0, 0, 2], counts: [500, 500] },
    }
    const version1 = {
      format: 'cygnet-truth',
      version: 1,
      generator: 'cygnet-detector-simulator 1',
      seed: 3,
      run: 2,
      kind: 'data',
      frameWidth: 256,
      frameHeight: 256,
      images: [{ event: 0, tracks: [track] }],
    }
    const truth = await readTruth(await fileOf(JSON.stringify(version1), 'run00002.truth.json'))
    expect(truth).toMatchObject({ version: 2, production: { generator: version1.generator, seed: 3 } })
    expect(truth.images[0]!.tracks[0]).toMatchObject({
      ...track,
      camera: 0,
      trigger: -1,
      rowsLost: 0,
      visibleEnergyKev: 5490,
    })
    expect(truth.images[0]!.tracks[0]!.endPx.x - truth.images[0]!.tracks[0]!.startPx.x).toBeCloseTo(
      30 / (346 / 2304),
      6,
    )
    const future = await fileOf(JSON.stringify({ ...version1, version: 3 }), 'run00003.truth.json')
    await expect(readTruth(future)).rejects.toMatchObject({ code: 'detector.bad_truth' })
  })
})

describe('bad files', () => {
  test.each([
    ['a column is missing', 'event,track,x_mm,y_mm,z_mm\n', /line 1.*energy_kev/],
    ['a column twice', `${head},event\n`, /line 1.*event stands there twice/],
    ['no number', `${head}\n0,0,1,2,abc,5,,\n`, /line 2: z_mm is 'abc'/],
    ['an empty number', `${head}\n0,0,1,2,3,5,,\n\n0,0,,2,3,5,,\n`, /line 4: x_mm is empty/],
    ['infinite', `${head}\n0,0,1,Infinity,3,5,,\n`, /line 2: y_mm/],
    ['another unit', `${head}\n0,0,1,2,3e7,5,,\n`, /line 2: z_mm is 30000000/],
    ['negative energy', `${head}\n0,0,1,2,3,-5,,\n`, /line 2: energy_kev is -5/],
    ['too few values', `${head}\n0,0,1\n`, /line 2: 3 values/],
    ['a broken event number', `${head}\n1.5,0,1,2,3,5,,\n`, /line 2: event is 1.5/],
    ['before its event', `${head}\n0,0,1,2,3,5,-4,\n`, /line 2: time_ns/],
    [
      'an event that comes again',
      `${head}\n0,0,1,2,3,5,,\n1,0,1,2,3,5,,\n0,0,1,2,3,5,,\n`,
      /line 4: event 0 comes again/,
    ],
    ['empty', '', /the file is empty/],
    ['only names', `${head}\n`, /no deposit/],
    ['elsewhere', `${head}\n0,0,0,0,-100,5,,\n`, /No deposit of tracks.csv lies in the detector/],
    ['a binary file', '\u0000'.repeat(200_000), /longer than/],
  ])('%s', async (_, text, message) => {
    const fault = await faultOf(await fileOf(text))
    expect(fault).toMatchObject({ code: 'detector.bad_tracks', status: 422 })
    expect(fault.detail).toMatch(message)
    expect(fault.hint).toMatch(/./)
  })

  test('nothing appears in the folder for a bad or missing file', async () => {
    const { path } = await temporaryDirectory()
    const bad = await fileOf(`${head}\n0,0,1,2,3,5,,\n0,0,1,2,x,5,,\n`)
    await expect(writeSimulatedRun(path, { ...small, tracksFile: bad })).rejects.toMatchObject({
      code: 'detector.bad_tracks',
      extra: { place: 'line 3' },
    })
    await expect(writeSimulatedRun(path, { ...small, tracksFile: join(path, 'none.csv') })).rejects.toMatchObject({
      code: 'detector.no_such_file',
    })
    await expect(writeSimulatedRun(path, { ...small, tracksFile: '/x/tracks.xyz' })).rejects.toMatchObject({
      code: 'detector.bad_options',
      hint: expect.stringMatching(/\.parquet/) as string,
    })
    await expect(readRunFacts(join(path, 'run00004.mid'))).rejects.toMatchObject({ code: 'detector.no_such_file' })
  })

  test('any text ends in rows or a Fault, and rows are finite', async () => {
    const cell = fc.oneof(
      fc.integer({ min: -5, max: 400 }).map(String),
      fc.string({ maxLength: 6 }),
      fc.double().map(String),
    )
    const line = fc.array(cell, { minLength: 6, maxLength: 9 }).map((cells) => cells.join(','))
    await fc.assert(
      fc.asyncProperty(fc.array(line, { maxLength: 12 }), fc.boolean(), async (lines, withHead) => {
        const path = await fileOf([...(withHead ? [head] : []), ...lines].join('\n'))
        try {
          for await (const { row } of trackFile(path).rows())
            expect([row.xMm, row.yMm, row.zMm, row.energyKev].every(Number.isFinite)).toBe(true)
          for await (const tracks of externalEvents(trackFile(path), volume))
            for (const { track } of tracks) expect(track.energyKev).toBeGreaterThanOrEqual(0)
        } catch (error) {
          expect(error).toMatchObject({ code: 'detector.bad_tracks' })
        }
      }),
      { numRuns: 120 },
    )
  })

  test('damaged Parquet and gzip end in a Fault', async () => {
    const data = Array.from({ length: 500 }, (_, i) => i)
    const whole = new Uint8Array(
      parquetWriteBuffer({
        columnData: head
          .split(',')
          .slice(0, 6)
          .map((name, i) => ({
            name,
            data: i < 2 ? data.map(() => 1) : data.map((one) => one % 9),
            type: i < 2 ? 'INT32' : 'DOUBLE',
          })),
      }),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), { minLength: 1, maxLength: 6 }),
        fc.nat(whole.length),
        async (changes, cut) => {
          const bytes = whole.slice()
          for (const [at, value] of changes) bytes[at] = value
          const path = await fileOf(cut % 3 === 0 ? bytes.subarray(0, cut) : bytes, 'tracks.parquet')
          try {
            // Some make the decoder loop for ever.
            for await (const { row } of parquetRows(path, 'tracks.parquet', undefined, 700))
              expect(Number.isFinite(row.energyKev)).toBe(true)
          } catch (error) {
            expect(error).toMatchObject({ code: 'detector.bad_tracks' })
          }
        },
      ),
      {
        numRuns: process.env.CYGNET_LONG === 'detector' ? 400 : 5,
        // A decoder's error that carries a code of its own.
        examples: [
          [
            [
              [885, 0],
              [0, 0],
            ],
            136,
          ],
        ],
      },
    )
    const zipped = gzipSync([head, ...data.map((one) => `${one},0,1,2,3,5,,`)].join('\n'))
    const cut = await faultOf(await fileOf(zipped.subarray(0, zipped.length - 40), 'tracks.csv.gz'))
    expect(cut.detail).toMatch(/damaged/)
  })
})
