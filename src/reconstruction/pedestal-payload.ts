/** The pedestal job: all images of a pedestal run to one map per camera, plus what a person checks before trusting it. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { framesOf, openMidasFile } from '../detector/index.ts'
import type { Frame, MidasEvent } from '../detector/index.ts'
import { reconstructionFaults } from './errors.ts'
import { finishPedestalMap, judgePedestalMap, minimumPedestalImages } from './kernels/pedestal-map.ts'
import { createPedestalSums } from './kernels/pedestal-sums.ts'
import type { PedestalSums } from './kernels/pedestal-sums.ts'
import { productNames } from './payload-spec.ts'
import type { PedestalSpec, PedestalSummary, ReportProgress } from './payload-spec.ts'
import { writePedestalFile } from './pedestal-file.ts'
import { readAhead } from './read-ahead.ts'

/**
 * Writes `pedestal.cyped` and `summary.json`. Throws `tooFewImages` for a run that cannot make a map; a damaged run
 * is used as far as it can be read and the summary says so.
 */
export async function makePedestal(spec: PedestalSpec, report: ReportProgress): Promise<PedestalSummary> {
  const begin = performance.now()
  const reader = openMidasFile(spec.rawPath, { ahead: 2 })
  const accumulators = new Map<number, PedestalSums>()
  const problems: string[] = []
  let images = 0
  for await (const event of readAhead(reader)) {
    for (const frame of framesOrProblem(event, problems)) {
      let accumulator = accumulators.get(frame.camera)
      if (accumulator === undefined) {
        accumulator = createPedestalSums(frame.width, frame.height)
        accumulators.set(frame.camera, accumulator)
      }
      if (accumulator.width !== frame.width || accumulator.height !== frame.height) {
        problems.push(
          `image ${images} of camera ${frame.camera} is ${frame.width}x${frame.height}, the first was ${accumulator.width}x${accumulator.height}: left out`,
        )
        continue
      }
      accumulator.add(frame.pixels)
      images++
    }
    const { consumedBytes, fileSizeBytes } = reader.outcome
    report({ images, of: spec.images, readBytes: consumedBytes, fileBytes: fileSizeBytes })
  }
  if (reader.outcome.fault !== undefined) problems.push(reader.outcome.fault.reason)
  const cameras = [...accumulators].sort(([a], [b]) => a - b)
  const short = cameras.find(([, accumulator]) => accumulator.images < minimumPedestalImages)
  if (cameras.length === 0 || short !== undefined) {
    const found = cameras.length === 0 ? 'no image' : `${short![1].images} images of camera ${short![0]}`
    throw reconstructionFaults.tooFewImages(
      `${spec.run} has ${found}; a pedestal map needs ${minimumPedestalImages}.`,
      {
        hint: problems.length > 0 ? problems.join('; ') : 'Take a longer pedestal run; 100 images are usual.',
      },
    )
  }
  const maps = cameras.map(([camera, accumulator]) => {
    const { map, rejectedPeaks } = finishPedestalMap(accumulator.accumulator())
    return { camera, map, quality: judgePedestalMap(map, rejectedPeaks) }
  })
  await writePedestalFile(
    join(spec.outFolder, productNames.pedestal),
    { madeFrom: spec.run, codeVersion: spec.codeVersion },
    maps,
  )
  const summary: PedestalSummary = {
    codeVersion: spec.codeVersion,
    images,
    problems,
    complete: reader.outcome.complete,
    wallMs: performance.now() - begin,
    quality: Object.fromEntries(maps.map(({ camera, quality }) => [`camera${camera}`, quality])),
  }
  await writeFile(join(spec.outFolder, productNames.summary), JSON.stringify(summary, null, 1))
  return summary
}

/** Frames of an event; an event whose camera bank fits no camera gives none and a problem. */
export function framesOrProblem(event: MidasEvent, problems: string[]): Frame[] {
  try {
    return framesOf(event)
  } catch (error) {
    problems.push(
      `event ${event.serialNumber} at byte ${event.byteOffset}: ${error instanceof Error ? error.message : String(error)}`,
    )
    return []
  }
}
