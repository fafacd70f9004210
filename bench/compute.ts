/**
 * Speed of compute: `node bench/compute.ts [jobs]`. Jobs accepted durably, one transaction each and in one transaction; jobs started
 * and ended with real shims in the real sandbox. JSON lines {name, value, unit, peer, peerValue, ratio}; the peer is DESIGN's bar.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { computeConfig } from '../src/compute/index.ts'
import { openTestRoom, commandSpec } from '../src/compute/testing.ts'
import { openDatabase, transact } from '../src/foundation/database.ts'

const jobs = Number(process.argv[2] ?? 300)
const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))

function report(
  name: string,
  value: number,
  unit: string,
  peer: string,
  peerValue: number,
  higherIsBetter = true,
): void {
  const round = (number: number): number => Number(number.toPrecision(4))
  const ratio = higherIsBetter ? value / peerValue : peerValue / value
  console.log(JSON.stringify({ name, value: round(value), unit, peer, peerValue, ratio: round(ratio) }))
}

const database = await openDatabase({ url: `sqlite:${join(folder, 'bench.sqlite')}` })
const room = await openTestRoom(database, folder, {
  config: computeConfig.parse({ cpuMilli: 8000, memoryMiB: 8192, interactiveMemoryMiB: 0 }),
})
const spec = commandSpec(['true'], { request: { cpuMilli: 1000, memoryMiB: 64, walltimeMs: 60_000 } })

let begun = performance.now()
for (let job = 0; job < jobs; job++) await room.submit(spec)
report('compute.accepted', (jobs / (performance.now() - begun)) * 1000, 'jobs/s', 'bar: floor 500, aim 1000', 1000)

begun = performance.now()
await transact(database, async (trx) => {
  for (let job = 0; job < 10 * jobs; job++) await room.compute.submit(trx, { ...spec, class: 'batch', title: 'array' })
})
report(
  'compute.accepted-in-one-transaction',
  ((10 * jobs) / (performance.now() - begun)) * 1000,
  'jobs/s',
  'bar: floor 500, aim 1000',
  1000,
)
await database.kysely.deleteFrom('compute_job').where('title', '=', 'array').execute()

await room.compute.sandboxReport()
const cpuBefore = process.cpuUsage()
begun = performance.now()
await room.compute.start()
const count = async () => {
  const row = await database.kysely
    .selectFrom('compute_job')
    .select((builder) => builder.fn.countAll<number>().as('count'))
    .where('state', '=', 'succeeded')
    .executeTakeFirstOrThrow()
  return Number(row.count)
}
while ((await count()) < jobs) await new Promise((resolve) => setTimeout(resolve, 50))
const tookMs = performance.now() - begun
report('compute.started-and-ended', (jobs / tookMs) * 1000, 'jobs/s', 'bar: floor 30, aim 100', 100)
const cpu = process.cpuUsage(cpuBefore)
report('compute.control-cpu-per-job', (cpu.user + cpu.system) / 1000 / jobs, 'ms', 'none', 10, false)

const latencies: number[] = []
for (let job = 0; job < 20; job++) {
  const at = performance.now()
  const { id } = await room.submit(spec)
  await room.compute.ended(id)
  latencies.push(performance.now() - at)
}
latencies.sort((one, other) => one - other)
report('compute.submit-to-done-p50', latencies[10]!, 'ms', 'none', 100, false)

await room.compute.close()
await database.close()
await rm(folder, { recursive: true, force: true })
