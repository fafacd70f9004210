/** Answers about the digitizers of a run: recorded traces from the run file, rows from `waveforms.parquet`. */
import { parseOdb, readEventAt, runParametersOf, triggerTimeMs } from '../detector/index.ts'
import type { DigitizerEvent } from '../detector/index.ts'
import { Fault } from '../foundation/errors.ts'
import type { Handlers } from '../foundation/http.ts'
import type { Run } from '../logbook/contract.ts'
import type { ReconstructionSummary } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import type { FrameReader } from './frames.ts'
import { defaultParameters } from './parameters.ts'
import { productNames } from './payload-spec.ts'
import type { ProductReader } from './product-reader.ts'
import type { EventTrigger, Traces, waveformRoutes } from './waveform-contract.ts'
import { insideGlobalExposure } from './waveforms/analyse-event.ts'
import { tracesOf } from './waveforms/traces.ts'

type RunParams = { experiment: string; run: string }

export interface WaveformRouteContext {
  products: ProductReader
  frames: FrameReader
  requireRun(experiment: string, run: string): Promise<Run>
  rawPathOf(run: Run): Promise<string>
  /** Throws `notReconstructed`. */
  resultOf(params: RunParams, campaign: string): Promise<ReconstructionSummary>
  /** Undefined when the result has no such file. */
  productPathIfThere(result: ReconstructionSummary, name: string): Promise<string | undefined>
}

const noDigitizer = 'This event has no digitizer data: the run was taken with the camera alone.'
const noTrigger = 'The digitizers did not trigger during this picture.'
const noTable =
  'This result has no waveforms: the run has no digitizer data, or it was reconstructed before they were analysed.'

export function waveformHandlers(context: WaveformRouteContext): Handlers<typeof waveformRoutes> {
  const { products, frames, resultOf, productPathIfThere } = context
  /** From the begin of run of the file; null where it does not say. */
  async function exposureOf(path: string, signal: AbortSignal): Promise<number | null> {
    const begin = await readEventAt(path, 0, { signal })
    const seconds =
      begin.kind === 'begin-of-run'
        ? runParametersOf(parseOdb(Buffer.from(begin.data).toString('utf8')).odb).exposureSeconds
        : undefined
    return seconds === undefined ? null : seconds * 1000
  }

  /** Ranks of the clusters of camera 0 by trigger; a run without a result has none. */
  async function matchesOf(params: RunParams & { event: number }, campaign: string): Promise<Map<number, number[]>> {
    const matches = new Map<number, number[]>()
    try {
      const result = await resultOf(params, campaign)
      const path = await productPathIfThere(result, productNames.clusters)
      const clusters = path === undefined ? [] : await products.clustersOfEvent(path, params.event)
      for (const { camera, cluster, pmtTrigger } of clusters)
        if (camera === 0 && pmtTrigger >= 0) matches.set(pmtTrigger, [...(matches.get(pmtTrigger) ?? []), cluster])
    } catch (error) {
      if (!(error instanceof Fault) || error.status !== 404) throw error
    }
    return matches
  }

  return {
    async readTraces({ params, query }, { signal }): Promise<Traces> {
      const run = await context.requireRun(params.experiment, params.run)
      const path = await context.rawPathOf(run)
      const digitizer = await frames.digitizer(path, params.event, signal)
      const exposureMs = await exposureOf(path, signal)
      const matches = await matchesOf(params, query.campaign)
      const triggers = digitizer === undefined ? [] : triggersOf(digitizer, exposureMs, matches)
      if (digitizer === undefined || triggers.length === 0) {
        const note = digitizer === undefined ? noDigitizer : noTrigger
        return { triggers, trigger: null, exposureMs, boards: [], note }
      }
      if (query.trigger >= triggers.length) {
        throw reconstructionFaults.noSuchTrigger(`Event ${params.event} has no trigger ${query.trigger}.`, {
          hint: `Its triggers are 0 to ${triggers.length - 1}.`,
        })
      }
      const boards = digitizer.boards
        .filter((board) => query.trigger < board.triggers)
        .map((board) => tracesOf(board, query.trigger, query.points, defaultParameters))
      return { triggers, trigger: query.trigger, exposureMs, boards, note: null }
    },
    async listEventWaveforms({ params, query }) {
      const result = await resultOf(params, query.campaign)
      const path = await productPathIfThere(result, productNames.waveforms)
      if (path === undefined) return { items: [], note: noTable }
      const items = await products.waveformsOfEvent(path, params.event)
      return { items: items ?? [], note: items === undefined ? noDigitizer : items.length === 0 ? noTrigger : null }
    },
    async listRunWaveforms({ params, query }) {
      const result = await resultOf(params, query.campaign)
      const path = await productPathIfThere(result, productNames.waveforms)
      if (path === undefined) return { items: [], nextCursor: null, total: 0, note: noTable }
      const from = Number(query.cursor ?? '0')
      const fromRow = Number.isSafeInteger(from) && from >= 0 ? from : 0
      const { items, nextRow, total } = await products.waveforms(path, { fromRow, limit: query.limit })
      return { items, nextCursor: nextRow === null ? null : String(nextRow), total, note: null }
    },
  }
}

function triggersOf(
  digitizer: DigitizerEvent,
  exposureMs: number | null,
  matches: ReadonlyMap<number, number[]>,
): EventTrigger[] {
  const count = Math.max(0, ...digitizer.boards.map((board) => board.triggers))
  return Array.from({ length: count }, (_, trigger) => {
    const timeMs = triggerTimeMs(
      digitizer.boards.find((board) => trigger < board.triggers)!,
      trigger,
    )
    return {
      trigger,
      timeMs,
      insideGlobalExposure: exposureMs === null ? null : insideGlobalExposure(timeMs, exposureMs, defaultParameters),
      clusters: matches.get(trigger) ?? [],
    }
  })
}
