/** The reconstruction job: run file and pedestal map to clusters.parquet, events.parquet and summary.json. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { openMidasFile, readDrs4Tables, readTruth } from '../detector/index.ts'
import type { Frame, ImageTruth, Surroundings } from '../detector/index.ts'
import type { RunProductsSummary } from './contract.ts'
import { createFramePool } from './frame-pool.ts'
import type { FramePool, FrameResult } from './frame-pool.ts'
import { prepareCalibration } from './kernels/image-cells.ts'
import type { ImageCalibration } from './kernels/image-cells.ts'
import { stages } from './kernels/image-chain.ts'
import { seedOfText } from './kernels/seeded-random.ts'
import { lightCorrectionOf } from './kernels/vignetting.ts'
import { scoreImages } from './learning/score-images.ts'
import { createPixelFile } from './pixel-file.ts'
import { productNames } from './payload-spec.ts'
import type { ReconstructionSpec, ReportProgress } from './payload-spec.ts'
import { readPedestalHeader, readPedestalMap } from './pedestal-file.ts'
import { framesOrProblem } from './pedestal-payload.ts'
import { eventRowsKey, hashFiles, lineageMetadata, writeClusterFile, writeEventFile } from './products.ts'
import type { ImageRows } from './products.ts'
import { readAhead } from './read-ahead.ts'
import { rootFileName } from './run-names.ts'
import { writeRootProducts } from './root-products.ts'
import { createRunTally } from './run-tally.ts'
import { addTally, emptyTally, truthByEvent, truthSummaryOf } from './truth-matching.ts'
import { analyseRequest } from './waveforms/analyse-event.ts'
import type { DigitizerRequest } from './waveforms/analyse-event.ts'
import { openRunWaveforms } from './waveforms/run-waveforms.ts'

/**
 * Reconstructs what can be read of the run. Damage (truncated or corrupt file, frames that fit no map, sparks) is
 * listed in `problems` of the summary, never silently dropped. Throws `unreadablePedestal` and what the detector's
 * reader throws for a file that cannot be opened.
 */
export async function reconstructRun(spec: ReconstructionSpec, report: ReportProgress): Promise<RunProductsSummary> {
  // First of all: the threads load their programs while the calibration is read.
  const pool = createFramePool(spec.workers)
  try {
    return await reconstructWith(pool, spec, report)
  } finally {
    await pool.close()
  }
}

async function reconstructWith(
  pool: FramePool,
  spec: ReconstructionSpec,
  report: ReportProgress,
): Promise<RunProductsSummary> {
  const begin = performance.now()
  const problems: string[] = []
  const calibrations = await loadCalibrations(spec)
  const preparedMs = performance.now() - begin
  const truth = await loadTruth(spec, calibrations, problems)
  const tally = createRunTally([...stages, 'read', 'image'])
  const truthTally = emptyTally()
  const images: ImageRows[] = []
  const lineage = {
    run: spec.run,
    campaign: spec.campaign,
    codeVersion: spec.codeVersion,
    calibrationId: spec.calibrationId,
    parameters: { ...spec.parameters },
    origin: spec.lineage,
  }
  const drs4Tables = spec.drs4Tables && (await readDrs4Tables(spec.drs4Tables.cellPath, spec.drs4Tables.samplePath))
  const waveformPath = join(spec.outFolder, productNames.waveforms)
  const waveforms = openRunWaveforms({
    path: waveformPath,
    metadata: lineageMetadata(lineage),
    parameters: spec.parameters,
    tables: drs4Tables,
  })
  pool.start({
    calibrations: [...calibrations].map(([camera, calibration]) => ({ camera, calibration })),
    parameters: spec.parameters,
    randomSeed: seedOfText(spec.run),
    drs4Tables,
  })
  const pixelPath = join(spec.outFolder, productNames.pixels)
  const pixelFile =
    spec.parameters.savePixels === 1 ? createPixelFile(pixelPath, lineageMetadata(lineage), eventRowsKey) : undefined
  const reader = openMidasFile(spec.rawPath, { ahead: pool.ahead, memory: pool.memory })
  let frames = 0
  let done = 0
  let vetoed = 0
  let implementation: FrameResult['implementation'] | undefined
  let event = 0
  let mark = performance.now()
  for await (const read of readAhead(reader)) {
    const before = problems.length
    waveforms.see(read)
    const found = framesOrProblem(read, problems)
    tally.addTime('read', performance.now() - mark)
    let digitizer = found.length > 0 ? waveforms.request(read, event, problems) : undefined
    for (const frame of found) {
      frames++
      const entry = imageRowsOf(event, frame, read.timestampSeconds * 1000, waveforms.surroundings())
      images.push(entry)
      const refusal = refusalOf(frame, calibrations)
      if (refusal !== undefined) {
        entry.row.note = refusal
        problems.push(`event ${event} camera ${frame.camera}: ${refusal}`)
        continue
      }
      const banks = digitizer
      digitizer = undefined
      const takePixels = pixelFile?.reserve(event)
      await submit(pool, entry, frame, { truth: truth?.get(event), digitizer: banks }, (result) => {
        done++
        if (result.waveforms !== undefined) waveforms.take(entry.row.event, result.waveforms)
        if (result.tubeGains !== undefined && frame.camera === 0) waveforms.takeGains(entry.row.event, result.tubeGains)
        implementation ??= result.implementation
        takePixels?.(result.pixels)
        if (result.vetoed) vetoed++
        let imageMs = 0
        for (const stage of stages) {
          tally.addTime(stage, result.stageMs[stage])
          imageMs += result.stageMs[stage]
        }
        tally.addTime('image', imageMs)
        if (result.tally !== undefined) addTally(truthTally, result.tally)
        const { consumedBytes, fileSizeBytes } = reader.outcome
        report({ images: done, of: spec.images, readBytes: consumedBytes, fileBytes: fileSizeBytes })
      })
    }
    // No image went to a worker: the waveforms are analysed here.
    if (digitizer !== undefined) waveforms.take(event, analyseRequest(digitizer, spec.parameters, drs4Tables))
    // An event whose camera bank could not be decoded was a picture too: later pictures keep their numbers.
    if (found.length > 0 || problems.length > before) event++
    pool.memory.giveBack(read.data)
    mark = performance.now()
  }
  await pool.drain()
  await pool.close()
  if (reader.outcome.fault !== undefined) problems.push(reader.outcome.fault.reason)
  if (frames === 0) problems.push('the file holds no image')
  if (vetoed > 0) problems.push(`${vetoed} images vetoed as sparks`)

  const waveformSummary = waveforms.finish(images, truth)
  if (spec.model !== undefined) await scoreImages(images, spec.model)
  const clusterPath = join(spec.outFolder, productNames.clusters)
  const eventPath = join(spec.outFolder, productNames.events)
  const writing = performance.now()
  writeClusterFile(clusterPath, images, lineage)
  writeEventFile(eventPath, images, lineage)
  pixelFile?.finish()
  if (spec.parameters.rootFile !== 'none') {
    const runNumber = Number(/:(\d+)$/.exec(spec.run)?.[1] ?? -1)
    const { madeFrom } = await readPedestalHeader(spec.pedestalPath)
    await writeRootProducts(
      join(spec.outFolder, rootFileName(runNumber)),
      runNumber,
      {
        images,
        lineage,
        pedestalRun: Number(/:(\d+)$/.exec(madeFrom)?.[1] ?? -1),
        waveformPath: waveformSummary === null ? undefined : waveformPath,
        pixelPath: spec.parameters.rootFile === 'pixels' && pixelFile !== undefined ? pixelPath : undefined,
      },
      images[0]?.row.atMs ?? 0,
    )
  }
  const writeMs = performance.now() - writing
  for (const image of images) tally.addClusters(image.clusters)
  const totals = tally.finish()
  const summary: RunProductsSummary = {
    ...(spec.lineage !== undefined && { lineage: { ...spec.lineage, madeAtMs: Date.now() } }),
    codeVersion: spec.codeVersion,
    calibrationId: spec.calibrationId,
    images: frames,
    imagesReconstructed: done - vetoed,
    imagesVetoed: vetoed,
    ...totals,
    macroHits: images.reduce((sum, image) => sum + image.row.macroHits, 0),
    problems,
    complete: reader.outcome.complete && done === frames,
    timings: { ...totals.timings, prepare: once(preparedMs), write: once(writeMs) },
    wallMs: performance.now() - begin,
    workers: spec.workers,
    ...(implementation && { implementation }),
    truth: truth === undefined ? null : truthSummaryOf(truthTally),
    waveforms: waveformSummary,
    parameters: { ...spec.parameters },
    contentSha256: await hashFiles([clusterPath, eventPath, ...(waveformSummary === null ? [] : [waveformPath])]),
  }
  await writeFile(join(spec.outFolder, productNames.summary), JSON.stringify(summary, null, 1))
  return summary
}

const once = (ms: number) => ({ count: 1, medianMs: ms, p95Ms: ms, totalMs: ms })

async function loadCalibrations(spec: ReconstructionSpec): Promise<Map<number, ImageCalibration>> {
  const header = await readPedestalHeader(spec.pedestalPath)
  const calibrations = new Map<number, ImageCalibration>()
  for (const { camera } of header.cameras) {
    const map = await readPedestalMap(spec.pedestalPath, camera)
    const correction = lightCorrectionOf(map!.width, map!.height, spec.parameters)
    calibrations.set(camera, prepareCalibration(map!, correction, spec.parameters))
  }
  return calibrations
}

/** Truth by picture number; a sidecar that cannot be read or does not fit is a problem of the run, not a failure. */
async function loadTruth(
  spec: ReconstructionSpec,
  calibrations: Map<number, ImageCalibration>,
  problems: string[],
): Promise<Map<number, ImageTruth> | undefined> {
  if (spec.truthPath === null) return undefined
  const calibration = calibrations.get(0)
  try {
    const truth = await readTruth(spec.truthPath)
    const byEvent = calibration && truthByEvent(truth, calibration.width, calibration.height)
    if (byEvent === undefined) problems.push('the truth file is of another frame size and was not used')
    return byEvent
  } catch (error) {
    problems.push(`the truth file was not used: ${error instanceof Error ? error.message : String(error)}`)
    return undefined
  }
}

function refusalOf(frame: Frame, calibrations: Map<number, ImageCalibration>): string | undefined {
  const calibration = calibrations.get(frame.camera)
  if (calibration === undefined) return `the pedestal map has no camera ${frame.camera}`
  if (calibration.width !== frame.width || calibration.height !== frame.height) {
    return `the image is ${frame.width}x${frame.height}, the pedestal map ${calibration.width}x${calibration.height}`
  }
  return undefined
}

function imageRowsOf(event: number, frame: Frame, atMs: number, surroundings: Surroundings): ImageRows {
  return {
    row: {
      event,
      camera: frame.camera,
      atMs,
      widthPx: frame.width,
      heightPx: frame.height,
      macroHits: 0,
      clusters: 0,
      selectedClusters: 0,
      zeroSuppressedSumCounts: 0,
      note: '',
      ...surroundings,
    },
    clusters: [],
    outlines: [],
  }
}

function submit(
  pool: FramePool,
  entry: ImageRows,
  frame: Frame,
  more: { truth: ImageTruth | undefined; digitizer: DigitizerRequest | undefined },
  onResult: (result: FrameResult) => void,
): Promise<void> {
  // A track seen by two cameras has an entry for each.
  const tracks = more.truth?.tracks.filter((track) => track.camera === frame.camera)
  const truth = more.truth && { ...more.truth, tracks: tracks ?? [] }
  const request = { camera: frame.camera, event: entry.row.event, truth, digitizer: more.digitizer }
  return pool.submit(frame.pixels, request, (result) => {
    entry.clusters = result.clusters
    entry.outlines = result.outlines
    entry.row.macroHits = result.macroHits
    entry.row.clusters = result.clusters.length
    entry.row.selectedClusters = result.clusters.filter((cluster) => cluster.selected).length
    entry.row.zeroSuppressedSumCounts = result.suppressedSumCounts
    if (result.vetoed) entry.row.note = 'vetoed as a spark'
    onResult(result)
  })
}
