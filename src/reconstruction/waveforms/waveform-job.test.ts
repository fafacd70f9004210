import { mkdir, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createMidasWriter, simulateRun, writeSimulatedRun } from '../../detector/index.ts'
import { openDatabase } from '../../foundation/database.ts'
import { createApp } from '../../foundation/http.ts'
import type { Gate } from '../../foundation/http.ts'
import { silentLogger } from '../../foundation/log.ts'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { tasksOfRun } from '../tasks.ts'
import { openTestRoom } from '../testing.ts'

const everybody: Gate = {
  authenticate: async () => ({ id: 'person', kind: 'person', name: 'person', subject: undefined }),
  require: () => undefined,
}
const common = { seed: 5, frame: { width: 256, height: 256 }, startMs: Date.UTC(2026, 0, 1) }

/** A table of 8 x 1024 equal numbers as NumPy writes it. */
function npy(value: number): Uint8Array {
  const header = "{'descr': '<f8', 'fortran_order': False, 'shape': (8, 1024), }".padEnd(117, ' ') + '\n'
  const head = Buffer.from([0x93, ...Buffer.from('NUMPY'), 1, 0, header.length, 0])
  return Buffer.concat([head, Buffer.from(header), new Uint8Array(new Float64Array(8192).fill(value).buffer)])
}

it('a job corrects the waveforms with the tables of the setup and publishes them', async () => {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const opened = await openTestRoom(database, folder.path)
  onTestFinished(async () => {
    await opened.close()
    await database.close()
  })
  for (const [name, value] of [
    ['table_cell.npy', 3],
    ['table_nsample.npy', 2],
  ] as const) {
    const path = opened.storage.pathOf('demo-reco', `calibration/drs4/lime/${name}`)
    await mkdir(dirname(path), { recursive: true })
    await writeFile(path, npy(value))
  }
  const { path: dark } = await writeSimulatedRun(folder.path, { ...common, number: 1, kind: 'pedestal', images: 12 })
  const data = join(folder.path, 'data.mid')
  const writer = await createMidasWriter(data, {})
  const tracksPerImage = { iron: 2, muon: 0, alpha: 0 }
  for await (const event of simulateRun({ ...common, number: 2, kind: 'data', images: 3, tracksPerImage })) {
    if (event.kind === 'event') await writer.event(event)
    else if (event.kind === 'end-of-run') await writer.endOfRun(event)
    else {
      ;(event.odb as { Configurations: Record<string, unknown> }).Configurations.DRS4Correction = false
      await writer.beginOfRun(event)
    }
  }
  await writer.close()

  await opened.compute.start()
  const pedestal = await opened.closeRun(1, 'pedestal', dark)
  const run = await opened.closeRun(2, 'data', data)
  for (const { id } of [pedestal, run]) {
    for (;;) {
      await opened.facts.settled()
      const task = (await tasksOfRun(database.kysely, id)).find(({ state }) => state === 'submitted')
      if (task === undefined) break
      await opened.compute.ended(task.jobId!)
    }
  }

  const app = createApp({ log: silentLogger() })
  opened.reconstruction.routes(app, everybody)
  onTestFinished(() => app.close())
  const get = async (path: string) => (await app.inject({ url: `/api/experiments/demo/runs/sim:2${path}` })).json()
  const { waveforms } = (await get('/reconstruction')).summaries[0].details
  expect(waveforms).toMatchObject({ events: 3, drs4: { state: 'corrected', uncorrectedWaveforms: 0 } })
  expect(opened.storage.puts).toContain('demo-reco/main/sim/run00002/waveforms.parquet')
  const page = await get('/waveforms?limit=1000')
  expect(page.total).toBe(waveforms.waveforms)
  const event = page.items[0].event
  const rows = (await get(`/events/${event}/waveforms`)).items
  expect(rows).toEqual(page.items.filter((row: { event: number }) => row.event === event))
  const traces = await get(`/events/${event}/traces?trigger=0`)
  expect(traces.boards.map(({ name }: { name: string }) => name)).toEqual(['fast', 'slow'])
  // What is recorded lies 3 + 2 counts above what was analysed.
  const recorded = traces.boards[0].channels[1].low.slice(0, 100)
  const mean = recorded.reduce((sum: number, count: number) => sum + count, 0) / 100
  expect(mean - rows.find((row: { channel: number }) => row.channel === 1).baselineCounts).toBeCloseTo(5, 2)
  const matched = (await get(`/events/${event}/clusters`)).items.filter(
    (cluster: { pmtTrigger: number }) => cluster.pmtTrigger >= 0,
  )
  expect(traces.triggers.flatMap(({ clusters }: { clusters: number[] }) => clusters).length).toBe(matched.length)
}, 60_000)
