/**
 * Speed of the detector room: `node bench/detector.ts [images]`. JSON lines {name, value, unit, peer, peerValue, ratio}; a ratio above 1 is better
 * than the peer. Works in a temporary folder of about 11 MB per image.
 */
import { execFile } from 'node:child_process'
import { createReadStream } from 'node:fs'
import { mkdtemp, rm, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import {
  openMidasFile,
  openMidasIndex,
  readPictureAt,
  readRunFacts,
  simulateRun,
  writeSimulatedRun,
} from '../src/detector/index.ts'
import type { SimulationOptions } from '../src/detector/index.ts'

const images = Number(process.argv[2] ?? 20)
const repeat = 3
const folder = await mkdtemp(join(tmpdir(), 'cygnet-bench-'))

function report(
  name: string,
  value: number,
  unit: string,
  peer: string,
  peerValue: number,
  higherIsBetter: boolean,
): void {
  const round = (number: number): number => Number(number.toPrecision(4))
  const ratio = higherIsBetter ? value / peerValue : peerValue / value
  console.log(
    JSON.stringify({ name, value: round(value), unit, peer, peerValue: round(peerValue), ratio: round(ratio) }),
  )
}

/** Best of a few: the machine is shared, and the best is what the program can do. */
async function bestMs(act: () => Promise<unknown>): Promise<number> {
  let best = Infinity
  for (let i = 0; i < repeat; i++) {
    const start = performance.now()
    await act()
    best = Math.min(best, performance.now() - start)
  }
  return best
}

async function readAll(path: string): Promise<void> {
  for await (const _ of openMidasFile(path));
}

try {
  const run: SimulationOptions = { seed: 1, number: 1, kind: 'data', images, startMs: 0 }
  for (const kind of ['data', 'pedestal'] as const) {
    const ms = await bestMs(async () => {
      for await (const _ of simulateRun({ ...run, kind }));
    })
    report(`detector.simulate.${kind}`, (1000 * images) / ms, 'full-size images/s', 'floor of the slice', 1, true)
  }
  const recordStart = performance.now()
  const { path } = await writeSimulatedRun(folder, run)
  report(
    'detector.record',
    (1000 * images) / (performance.now() - recordStart),
    'full-size images/s with fsync',
    'LIME, picture rate',
    1.65,
    true,
  )
  const { path: compressed } = await writeSimulatedRun(folder, { ...run, number: 2 }, { gzip: true })
  const { size } = await stat(path)
  const megabytes = size / 1e6

  const rawMs = await bestMs(async () => {
    for await (const _ of createReadStream(path, { highWaterMark: 1 << 20 }));
  })
  const streamMs = await bestMs(() => readAll(path))
  report(
    'detector.stream.plain',
    (1000 * megabytes) / streamMs,
    'MB/s',
    'node createReadStream',
    (1000 * megabytes) / rawMs,
    true,
  )
  const gunzipMs = await bestMs(() => promisify(execFile)('sh', ['-c', 'gzip -dc "$1" > /dev/null', 'sh', compressed]))
  const inflateMs = await bestMs(() => readAll(compressed))
  report(
    'detector.stream.gzip',
    (1000 * megabytes) / inflateMs,
    'MB/s uncompressed',
    'gzip -dc',
    (1000 * megabytes) / gunzipMs,
    true,
  )

  report(
    'detector.facts.plain',
    await bestMs(() => readRunFacts(path)),
    `ms for ${Math.round(megabytes)} MB`,
    'reading the file',
    rawMs,
    false,
  )
  report(
    'detector.facts.gzip',
    await bestMs(() => readRunFacts(compressed)),
    `ms for ${Math.round(megabytes)} MB`,
    'gzip -dc',
    gunzipMs,
    false,
  )
  const index = await openMidasIndex(path)
  report(
    'detector.picture.indexed',
    await bestMs(() => readPictureAt(index, images - 1)),
    'ms',
    'one frame every 484 ms',
    484,
    false,
  )
  report(
    'detector.picture.gzip-last',
    await bestMs(() => readPictureAt(compressed, images - 1)),
    'ms',
    'gzip -dc',
    gunzipMs,
    false,
  )
  report(
    'detector.memory',
    process.resourceUsage().maxRSS / 1024,
    'MB peak of this bench',
    'the file',
    megabytes,
    false,
  )
} finally {
  await rm(folder, { recursive: true, force: true })
}
