/** Answers with pixels: images of stored runs and the pedestal they are seen against. */
import type { Handlers } from '../foundation/http.ts'
import type { Run } from '../logbook/contract.ts'
import type { Calibration } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import { pedestalScale } from './frame-contract.ts'
import type { FrameViewName, frameRoutes } from './frame-contract.ts'
import { abovePedestal, asInt16, asUint16, greyPng, middleOf, reduced, scaleFor } from './frame-picture.ts'
import type { Values } from './frame-picture.ts'
import type { FrameReader } from './frames.ts'
import { lightCorrectionOf } from './kernels/vignetting.ts'
import { defaultParameters } from './parameters.ts'

export interface FrameRouteContext {
  frames: FrameReader
  requireRun(experiment: string, run: string): Promise<Run>
  rawPathOf(run: Run): Promise<string>
  /** The pedestal that is valid for a run, or undefined. */
  pedestalOf(run: Run): Promise<Calibration | undefined>
  pathIfThere(bucket: string, key: string): Promise<string | undefined>
}

export function frameHandlers(context: FrameRouteContext): Handlers<typeof frameRoutes> {
  const { frames } = context

  async function pedestalPathOf(run: Run): Promise<{ path: string; pedestal: Calibration }> {
    const pedestal = await context.pedestalOf(run)
    if (pedestal === undefined) {
      throw reconstructionFaults.noPedestal(`No pedestal is valid for run ${run.reference}.`, {
        hint: 'Ask for view=raw, or take a pedestal run.',
      })
    }
    const path = await context.pathIfThere(pedestal.bucket, pedestal.key)
    if (path !== undefined) return { path, pedestal }
    throw reconstructionFaults.productsMissing(
      `The pedestal map ${pedestal.bucket}/${pedestal.key} is not in the store.`,
    )
  }

  async function valuesOf(
    run: Run,
    view: FrameViewName,
    event: number,
    camera: number,
    signal: AbortSignal,
  ): Promise<Values | { width: number; height: number; values: Uint16Array }> {
    const { width, height, pixels } = await frames.raw(await context.rawPathOf(run), event, camera, signal)
    if (view === 'raw') return { width, height, values: pixels }
    const { path } = await pedestalPathOf(run)
    const map = await frames.pedestal(path, camera)
    if (map === undefined || map.width !== width || map.height !== height) {
      throw reconstructionFaults.sizeMismatch(`The pedestal map does not fit the image of camera ${camera}.`)
    }
    const light = view === 'calibrated' ? lightCorrectionOf(width, height, defaultParameters) : undefined
    return abovePedestal({ width, height, pixels }, map.mean, light)
  }

  return {
    async readFrame({ params, query }, { signal }) {
      const run = await context.requireRun(params.experiment, params.run)
      const full = await valuesOf(run, query.view, params.event, query.camera, signal)
      // The file of a closed run does not change any more; which pedestal is valid for it may.
      const caching =
        query.view !== 'raw' ? 'private, max-age=60' : run.state === 'closed' ? 'private, max-age=86400' : 'no-store'
      const headers = {
        'x-full-width': String(full.width),
        'x-full-height': String(full.height),
        'cache-control': caching,
      }
      if (query.reduce === 1 && query.format === 'counts') {
        const { values } = full
        return values instanceof Uint16Array
          ? countsAnswer(full, 'uint16', values, 1, headers)
          : countsAnswer(full, 'int16', asInt16(values, 1), 1, headers)
      }
      const small: Values =
        query.reduce === 1 ? { ...full, values: Float32Array.from(full.values) } : reduced(full, query.reduce)
      if (query.format === 'png') {
        const automatic = middleOf(small.values)
        const png = greyPng(small, query.low ?? automatic.low, query.high ?? automatic.high)
        return { contentType: 'image/png', sizeBytes: png.byteLength, headers, body: png }
      }
      if (query.view === 'raw') {
        const scale = scaleFor(small.values, 65_535)
        return countsAnswer(small, 'uint16', asUint16(small.values, scale), scale, headers)
      }
      const scale = scaleFor(small.values, 32_767)
      return countsAnswer(small, 'int16', asInt16(small.values, scale), scale, headers)
    },
    async readPedestalMap({ params, query }) {
      const run = await context.requireRun(params.experiment, params.run)
      const { path, pedestal } = await pedestalPathOf(run)
      const what =
        query.what === 'hot' ? await frames.hot(path, query.camera) : await frames.pedestal(path, query.camera)
      if (what === undefined) {
        throw reconstructionFaults.noSuchCamera(`The pedestal map has no camera ${query.camera}.`)
      }
      const values = 'indices' in what ? what.indices : asUint16(what.mean, pedestalScale)
      const { vignettingQuadratic, vignettingQuartic, vignettingRadiusPx, acceptanceFrameRows } = defaultParameters
      const radius = what.height === acceptanceFrameRows ? vignettingRadiusPx : Math.max(what.width, what.height) / 2
      return {
        contentType: 'application/octet-stream',
        sizeBytes: values.byteLength,
        headers: {
          'x-frame-width': String(what.width),
          'x-frame-height': String(what.height),
          'x-pedestal-run': `${pedestal.series}:${pedestal.madeFromRun}`,
          'x-pedestal-version': String(pedestal.version),
          'x-light-correction': [vignettingQuadratic, vignettingQuartic, radius].join(),
          'cache-control': 'private, max-age=60',
        },
        body: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
      }
    },
  }
}

function countsAnswer(
  { width, height }: { width: number; height: number },
  type: 'uint16' | 'int16',
  values: Uint16Array | Int16Array,
  scale: number,
  headers: Record<string, string>,
) {
  return {
    contentType: 'application/octet-stream',
    sizeBytes: values.byteLength,
    headers: {
      ...headers,
      'x-frame-width': String(width),
      'x-frame-height': String(height),
      'x-frame-type': type,
      'x-frame-scale': String(scale),
    },
    body: new Uint8Array(values.buffer, values.byteOffset, values.byteLength),
  }
}
