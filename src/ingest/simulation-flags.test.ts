import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { readRunFacts, readTruth } from '../detector/index.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { simulateDaq } from './simulate-daq.ts'
import { simulationOf, type SimulationFlags } from './simulation-flags.ts'

test('flags become options', () => {
  expect(simulationOf({})).toEqual({})
  const flags = { site: 'LNGS-4cm', tracks: 'iron=2, electron=0.5', camera: 'quest', gem: '420', exposure: '0.1' }
  expect(simulationOf({ ...flags, shutter: false, frame: '576', detector: 'absorptionMm=1350' })).toEqual({
    site: 'lngs-4cm',
    tracksPerImage: { iron: 2, electron: 0.5 },
    camera: 'Quest',
    gemVolts: 420,
    exposureMs: 100,
    shutter: false,
    frame: { width: 576, height: 576 },
    detector: { absorptionMm: 1350 },
  })
})

test.each<[SimulationFlags, RegExp]>([
  [{ site: 'moon' }, /--site knows no 'moon'/],
  [{ tracks: 'iron' }, /--tracks cannot read 'iron'/],
  [{ tracks: 'lead=1' }, /--tracks knows no 'lead'/],
  [{ tracks: 'iron=many' }, /--tracks cannot read/],
  [{ cameras: '0' }, /--cameras '0'/],
  [{ gem: 'high' }, /--gem 'high'/],
  [{ sourceRate: '3' }, /a source/],
  [{ eventsPerImage: '3' }, /a track file/],
])('%o is refused', (flags, message) => {
  expect(() => simulationOf(flags)).toThrow(message)
})

test('a track file is shared out over the runs of a production, which end where it ends', async () => {
  await using folder = await temporaryDirectory()
  const tracksFile = join(folder.path, 'tracks.csv')
  const rows = [0, 1, 2, 3, 4].map((event) => `${event},0,0,0,${100 + event},5.9`)
  await writeFile(tracksFile, ['event,track,x_mm,y_mm,z_mm,energy_kev', ...rows].join('\n'))
  const daq = { directory: join(folder.path, 'daq'), seed: 1, paceMs: 0, signal: new AbortController().signal }
  const simulation = { tracksFile, production: 'test', frame: { width: 128, height: 128 } }
  const asked = { ...daq, runs: Number.POSITIVE_INFINITY, images: 2, pedestalImages: 1, simulation, onEvent: () => {} }
  expect(await simulateDaq(asked)).toEqual([1, 2, 3, 4])
  const kinds = await Promise.all([1, 2, 4].map((run) => readRunFacts(join(daq.directory, `run0000${run}.mid`))))
  expect(kinds.map(({ kind, images }) => [kind, images])).toEqual([
    ['pedestal', 1],
    ['simulation', 2],
    ['simulation', 1],
  ])
  const last = await readTruth(join(daq.directory, 'run00004.truth.json'))
  expect(last.images[0]!.tracks[0]!.zMm).toBeCloseTo(104, 6)

  // What is wrong is told before anything is there.
  await writeFile(tracksFile, 'event,track\n')
  const elsewhere = { ...asked, directory: join(folder.path, 'other') }
  await expect(simulateDaq(elsewhere)).rejects.toMatchObject({ code: 'detector.bad_tracks' })
  await expect(readRunFacts(join(folder.path, 'other', 'run00001.mid'))).rejects.toMatchObject({ status: 404 })
})
