/** One pedestal run and two data runs without a person; every step is checked from outside, over the wire. */
import { join } from 'node:path'
import { performance } from 'node:perf_hooks'
import { setTimeout as sleep } from 'node:timers/promises'
import { logbookContract } from '../../logbook/contract.ts'
import { notebooksContract } from '../../notebooks/contract.ts'
import { automaticCampaign, reconstructionContract } from '../../reconstruction/index.ts'
import { shellFaults } from '../errors.ts'
import type { Platform } from '../platform.ts'
import { experiment, prepareDemo, series, takeData, type DaqEvent, type Demo } from './demo.ts'
import { enterSession, runNotebook, startSession } from './notebook-check.ts'
import { compareObjects } from './object-check.ts'
import { checkPhysics, type PhysicsReport } from './physics-check.ts'
import { matchOutside, type OutsideMatch } from './truth-check.ts'

const imagesPerRun = 10
const dataRuns = 2
const resultPatienceMs = 300_000
/** Well below what the reconstruction reaches: a demo below these has found a fault, not bad luck. */
const leastEfficiency = 0.8
const leastPurity = 0.8

export interface DemoReport {
  runs: number
  images: number
  rawBytes: number
  objects: number
  clusters: number
  truthEfficiency: number
  truthPurity: number
  physics: PhysicsReport
  seconds: {
    install: number
    platformUp: number
    ingestPerRun: number[]
    closeToTracksPerRun: number[]
    notebookReady: number
  }
  urls: { platform: string; s3: string }
}

interface WrittenRun {
  number: number
  kind: 'pedestal' | 'data'
  closedMs: number
  safeMs?: number
}

export async function runOnce(
  platform: Platform,
  checkout: string,
  onProgress: (message: string) => void,
): Promise<DemoReport> {
  const demo = await prepareDemo(platform)
  const written: WrittenRun[] = []
  const detector = takeData(demo, { runs: dataRuns, images: imagesPerRun, paceSeconds: 0 }, (event) => {
    onProgress(sentenceOf(event))
    if (event.event === 'run-written') {
      written.push({
        number: Number(event.number),
        kind: event.kind as WrittenRun['kind'],
        closedMs: Number(event.atMs),
      })
    }
    if (event.event === 'safe') noteSafe(written, String(event.run), Number(event.atMs))
  })
  try {
    await detector.simulated
    const closeToTracks: number[] = []
    for (const run of written) {
      onProgress(`waiting for the results of ${series}:${run.number}`)
      closeToTracks.push((await resultMs(demo, run)) - run.closedMs)
    }
    onProgress('reading every object back by S3 and comparing it')
    const objects = await compareObjects(demo, written)
    onProgress('comparing clusters with the simulated truth')
    const match = await matchAll(demo, written)
    const notebookReady = await checkNotebook(demo, written.at(-1)!, onProgress)
    const dataNumbers = written.filter(({ kind }) => kind === 'data').map(({ number }) => number)
    const physics = await checkPhysics(demo, checkout, dataNumbers, onProgress)
    return {
      runs: written.length,
      images: match.images + (written.length - dataRuns) * imagesPerRun,
      rawBytes: objects.rawBytes,
      objects: objects.count,
      clusters: match.clusters,
      truthEfficiency: round(match.efficiency, 4),
      truthPurity: round(match.purity, 4),
      physics,
      seconds: {
        install: Number(process.env.CYGNET_SETUP_SECONDS ?? 0),
        platformUp: round(platform.startMs / 1000),
        ingestPerRun: written.map((run) => round(((run.safeMs ?? run.closedMs) - run.closedMs) / 1000)),
        closeToTracksPerRun: closeToTracks.map((ms) => round(ms / 1000)),
        notebookReady: round(notebookReady / 1000),
      },
      urls: { platform: platform.addresses.publicUrl, s3: platform.addresses.s3Url },
    }
  } finally {
    await detector.stop()
  }
}

function sentenceOf(event: DaqEvent): string {
  if (event.event === 'image') return `run ${String(event.number)}: image ${Number(event.image) + 1} of ${imagesPerRun}`
  if (event.event === 'trouble') return `TROUBLE: ${String(event.detail)}`
  return `${event.event} ${String(event.file ?? event.number ?? '')}`
}

function noteSafe(written: WrittenRun[], reference: string, atMs: number): void {
  const run = written.find(({ number }) => reference === `${series}:${number}`)
  if (run) run.safeMs = atMs
}

/** When the run's result was there for everybody to see: its pedestal map, or its tracks. */
async function resultMs({ client }: Demo, { number }: WrittenRun): Promise<number> {
  const api = client(reconstructionContract)
  const run = `${series}:${number}`
  const deadlineMs = performance.now() + resultPatienceMs
  for (;;) {
    const { tasks, summaries } = await api.showRun({ params: { experiment, run } })
    const done = tasks.find((task) => task.state === 'done')
    if (done?.kind === 'pedestal' || (done && summaries.length > 0)) return done.updatedAtMs
    const failed = tasks.find((task) => task.state === 'failed')
    if (failed) throw shellFaults.demoFailed(`The reconstruction of ${run} failed: ${failed.reason}`)
    if (performance.now() > deadlineMs)
      throw shellFaults.demoFailed(`${run} has no result after five minutes: ${JSON.stringify(tasks)}`)
    await sleep(50)
  }
}

/** The platform's own figures and an independent look at the same clusters must both be good, and agree. */
async function matchAll(
  demo: Demo,
  written: WrittenRun[],
): Promise<OutsideMatch & { efficiency: number; purity: number }> {
  const total: OutsideMatch = { images: 0, clusters: 0, findable: 0, found: 0, selected: 0, pure: 0 }
  for (const { number } of written.filter(({ kind }) => kind === 'data')) {
    const params = { experiment, run: `${series}:${number}` }
    const { summaries } = await demo.client(reconstructionContract).showRun({ params })
    const summary = summaries.find(({ campaign }) => campaign === automaticCampaign)
    if (!summary) throw shellFaults.demoFailed(`${params.run} has no summary.`)
    if (!summary.complete || summary.images !== imagesPerRun) {
      throw shellFaults.demoFailed(`${params.run}: ${summary.images} of ${imagesPerRun} images reconstructed.`)
    }
    const { run } = await demo.client(logbookContract).showRun({ params })
    if (run.state !== 'closed' || run.images !== imagesPerRun)
      throw shellFaults.demoFailed(`${params.run} is ${run.state} with ${run.images} images.`)
    const match = await matchOutside(
      demo,
      params.run,
      join(demo.folder, `run${String(number).padStart(5, '0')}.truth.json`),
    )
    const efficiency = match.found / match.findable
    if (Math.abs(efficiency - (summary.efficiency ?? 0)) > 0.15) {
      throw shellFaults.demoFailed(
        `${params.run}: efficiency ${efficiency} from outside, ${summary.efficiency} by the platform.`,
      )
    }
    for (const key of Object.keys(total) as (keyof OutsideMatch)[]) total[key] += match[key]
  }
  const efficiency = total.found / total.findable
  const purity = total.pure / total.selected
  if (!(efficiency >= leastEfficiency && purity >= leastPurity)) {
    throw shellFaults.demoFailed(
      `Only ${total.found} of ${total.findable} tracks found; ${total.pure} of ${total.selected} clusters are tracks.`,
    )
  }
  return { ...total, efficiency, purity }
}

/** Opens the run in a notebook and runs its cells; answers how long it took until JupyterLab was usable. */
async function checkNotebook(
  { client }: Demo,
  run: WrittenRun,
  onProgress: (message: string) => void,
): Promise<number> {
  const startedMs = performance.now()
  const api = client(notebooksContract)
  const session = await startSession(api, experiment, `${series}:${run.number}`, (state) =>
    onProgress(`notebook: ${state}`),
  )
  const cookie = await enterSession(api, session)
  const readyMs = performance.now() - startedMs
  onProgress('notebook: running its cells')
  const { pictures } = await runNotebook(session, cookie)
  if (pictures === 0) throw shellFaults.demoFailed('The notebook drew no picture.')
  await api.stopSession({ params: { session: session.id } })
  return readyMs
}

function round(value: number, digits = 2): number {
  return Number(value.toFixed(digits))
}
