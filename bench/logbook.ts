/**
 * Speed of the logbook: `node bench/logbook.ts [runs]`. The first page of a filtered list at 100 000 runs, over HTTP as
 * a browser asks, p95 of each filter. JSON lines {name, value, unit, peer, peerValue, ratio}; the peer is DESIGN's bar.
 */
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createClient } from '../src/foundation/client.ts'
import { migrate, openDatabase } from '../src/foundation/database.ts'
import { openFacts } from '../src/foundation/facts.ts'
import { createApp, type Gate } from '../src/foundation/http.ts'
import { uuid7 } from '../src/foundation/ids.ts'
import { silentLogger } from '../src/foundation/log.ts'
import { systemClock } from '../src/foundation/time.ts'
import { logbookContract } from '../src/logbook/contract.ts'
import { logbookMigrations, openLogbook } from '../src/logbook/index.ts'
import { insertRuns, readRunlog } from '../src/logbook/real-runlog.ts'

const wanted = Number(process.argv[2] ?? 100_000)
const aimMs = 50
const rounds = 60
const data = process.env.CYGNET_TEST_DATA ?? join(import.meta.dirname, '../../shared/domain')

const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))
const database = await openDatabase({ url: `sqlite:${join(folder, 'bench.sqlite')}` })
await migrate(database, [logbookMigrations])
const clock = systemClock()
const log = silentLogger()
const facts = openFacts({ database, clock, log })
const logbook = openLogbook({ database, facts, clock })
await logbook.transact((trx) =>
  logbook.createExperiment(trx, {
    name: 'cygno',
    title: 'Bench',
    template: 'single-setup',
    setup: 'lime',
    series: 'lngs',
  }),
)
await fill()

const gate: Gate = {
  authenticate: () => Promise.resolve({ id: 'bench', name: 'bench', kind: 'person', subject: undefined }),
  require: () => {},
}
const app = createApp({ log })
logbook.routes(app, gate)
const client = createClient(logbookContract, { baseUrl: await app.listen({ port: 0, host: '127.0.0.1' }) })
const params = { experiment: 'cygno' }

const filters: Record<string, Record<string, unknown>> = {
  'no filter': {},
  'kind pedestal': { kind: 'pedestal' },
  'state crashed': { state: 'crashed' },
  'with fault': { hasFault: 'yes' },
  'setup and kind': { setup: 'lime', kind: 'data' },
  'number range': { series: 'lngs', numbers: '1000-1500,12000' },
  'a month': { startedFromMs: Date.UTC(2023, 2, 1), startedToMs: Date.UTC(2023, 3, 1) },
  'text, many': { text: 'stability' },
  'text, rare': { text: 'pedestal, blind camera' },
  'text, none': { text: 'there is no such description' },
  'kind and text, none': { kind: 'data', text: 'there is no such description' },
  'all of them': {
    series: 'lngs',
    setup: 'lime',
    kind: 'data',
    state: 'closed',
    hasFault: 'no',
    text: 'fe 4cm',
    startedFromMs: 1,
  },
}
let worst = 0
for (const [name, query] of Object.entries(filters)) {
  const times: number[] = []
  let found = 0
  for (let round = 0; round < rounds; round++) {
    const startedMs = performance.now()
    found = (await client.listRuns({ params, query: { limit: 50, ...query } })).items.length
    times.push(performance.now() - startedMs)
  }
  const p95 = times.toSorted((one, other) => one - other)[Math.floor(rounds * 0.95)]!
  worst = Math.max(worst, p95)
  report(`logbook first page p95, ${name} (${found} rows of ${wanted} runs)`, p95)
}
report(`logbook first page p95, worst filter, ${wanted} runs`, worst)

await app.close()
await facts.close()
await database.close()
await rm(folder, { recursive: true })

function report(name: string, value: number): void {
  const rounded = Number(value.toPrecision(3))
  const ratio = Number((aimMs / value).toPrecision(3))
  console.log(JSON.stringify({ name, value: rounded, unit: 'ms', peer: 'aim', peerValue: aimMs, ratio }))
}

/** The real logbooks again and again under other series, until there are as many runs as wanted. */
async function fill(): Promise<void> {
  const place = { experiment: 'cygno', setup: 'lime', series: 'lngs' }
  const real = [
    ...(await readRunlog(join(data, 'runlog/runlog_LNGS_2023-05.csv.gz'), place)),
    ...(await readRunlog(join(data, 'runlog/runlog_LNF_auto.csv'), { ...place, setup: 'gin', series: 'lnf' })),
  ]
  const rows = Array.from({ length: wanted }, (_none, index) => {
    const row = real[index % real.length]!
    const turn = Math.floor(index / real.length)
    return { ...row, id: uuid7(), series: turn === 0 ? row.series : `${row.series}-${turn}` }
  })
  await logbook.transact((trx) => insertRuns(trx, rows))
}
