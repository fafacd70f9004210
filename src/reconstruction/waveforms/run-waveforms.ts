/**
 * The digitizers of a run while it is reconstructed: what the begin of run says of them, what each picture is given to
 * its worker, the table written in event order however the workers finish, and the match with the clusters at the end.
 */
import {
  channelNamesOf,
  decodeDigitizer,
  digitizerBanksOf,
  drs4AppliedByFrontend,
  parseOdb,
  runParametersOf,
  slowReadingOf,
  slowReadingsOfOdb,
  surroundingsOf,
  unknownSurroundings,
} from '../../detector/index.ts'
import type { ChannelNames, Drs4Tables, ImageTruth, MidasEvent, Surroundings } from '../../detector/index.ts'
import type { ImageRows } from '../products.ts'
import type { WaveformSummary } from '../waveform-contract.ts'
import type { WaveformParameters } from '../waveform-parameters.ts'
import type { DigitizerRequest, EventWaveforms, TriggerLight } from './analyse-event.ts'
import { addMatchTruth, emptyMatchTruth, matchTruthOf } from './match-truth.ts'
import { chargePerCount, matchClusters } from './pmt-matching.ts'
import type { MatchEvent } from './pmt-matching.ts'
import { createWaveformFile } from './waveform-file.ts'
import type { WaveformFile } from './waveform-file.ts'

export interface RunWaveforms {
  /** Begin of run and slow control; other events are none of its business. */
  see(event: MidasEvent): void
  /** The latest state of the detector's surroundings. */
  surroundings(): Surroundings
  /** The banks of a picture with triggers, for a worker. Banks that do not fit together are a problem of the run. */
  request(picture: MidasEvent, event: number, problems: string[]): DigitizerRequest | undefined
  /** The answer to a request. */
  take(event: number, waveforms: EventWaveforms): void
  /** Light of the clusters of a picture in the tubes, by rank; undefined for clusters that are not matched. */
  takeGains(event: number, gains: readonly (readonly number[] | undefined)[]): void
  /** Matches clusters with triggers (their rows are changed), closes the file. Null for a run without digitizer banks. */
  finish(images: readonly ImageRows[], truth: ReadonlyMap<number, ImageTruth> | undefined): WaveformSummary | null
}

export function openRunWaveforms(options: {
  path: string
  metadata: readonly { key: string; value: string }[]
  parameters: WaveformParameters
  tables: Drs4Tables | undefined
}): RunWaveforms {
  const { parameters, tables } = options
  let exposureMs: number | undefined
  let alreadyCorrected = false
  let names: ChannelNames | undefined
  let surroundings: Surroundings = { ...unknownSurroundings }
  let file: WaveformFile | undefined
  /** Events in order; the first ones are written as soon as they have their rows. */
  const waiting: { event: number; waveforms: EventWaveforms | undefined }[] = []
  const triggers = new Map<number, TriggerLight[]>()
  const gainsOf = new Map<number, readonly (readonly number[] | undefined)[]>()
  const sums = { events: 0, triggers: 0, corrected: 0, uncorrected: 0 }
  const spent = { fast: { waveforms: 0, ms: 0 }, slow: { waveforms: 0, ms: 0 } }

  function put(event: number, waveforms: EventWaveforms): void {
    file!.add(event, waveforms.rows)
    if (waveforms.triggers.some(({ charges }) => charges !== undefined)) triggers.set(event, waveforms.triggers)
    sums.triggers += waveforms.triggers.length
    sums.corrected += waveforms.corrected
    sums.uncorrected += waveforms.uncorrected
    for (const board of ['fast', 'slow'] as const) {
      spent[board].waveforms += waveforms[board].waveforms
      spent[board].ms += waveforms[board].ms
    }
  }
  function writeReady(): void {
    while (waiting[0]?.waveforms !== undefined) {
      const { event, waveforms } = waiting.shift()!
      put(event, waveforms!)
    }
  }
  function match(images: readonly ImageRows[], truth: ReadonlyMap<number, ImageTruth> | undefined) {
    const events: MatchEvent[] = []
    for (const { row, clusters } of images) {
      // One camera has these tubes.
      if (row.camera !== 0) continue
      const gains = gainsOf.get(row.event)
      const chosen = clusters.flatMap((cluster, rank) => {
        const light = gains?.[rank]
        return cluster.selected && light !== undefined ? [{ cluster, gains: light }] : []
      })
      const lights = triggers.get(row.event)
      if (lights !== undefined && chosen.length > 0) events.push({ clusters: chosen, triggers: lights })
    }
    const perCount = chargePerCount(events, parameters)
    if (perCount !== undefined) for (const event of events) matchClusters(event, perCount, parameters)
    const tally = emptyMatchTruth()
    if (truth !== undefined) {
      for (const { clusters } of events) {
        const tracks = truth.get(clusters[0]!.cluster.event)?.tracks
        if (tracks !== undefined)
          addMatchTruth(
            tally,
            clusters.map(({ cluster }) => cluster),
            tracks,
          )
      }
    }
    const all = events.flatMap(({ clusters }) => clusters)
    return {
      triggers: [...triggers.values()].flat().filter(({ charges }) => charges !== undefined).length,
      clusters: all.length,
      matched: all.filter(({ cluster }) => cluster.pmtTrigger >= 0).length,
      chargePerCount: perCount ?? null,
      truth: matchTruthOf(tally),
    }
  }

  return {
    see(event) {
      if (event.kind === 'begin-of-run') {
        const { odb } = parseOdb(Buffer.from(event.data).toString('utf8'))
        const { exposureSeconds } = runParametersOf(odb)
        exposureMs = exposureSeconds === undefined ? undefined : exposureSeconds * 1000
        alreadyCorrected = drs4AppliedByFrontend(odb) ?? false
        names = channelNamesOf(odb)
        for (const reading of slowReadingsOfOdb(odb, event.timestampSeconds * 1000))
          surroundings = surroundingsOf(reading) ?? surroundings
        return
      }
      const reading = slowReadingOf(event, names)
      if (reading !== undefined) surroundings = surroundingsOf(reading) ?? surroundings
    },
    surroundings: () => surroundings,
    request(picture, event, problems) {
      const banks = digitizerBanksOf(picture)
      if (banks === undefined) return undefined
      let found = 0
      try {
        const { boards } = decodeDigitizer(banks.header, banks.samples)
        found = Math.max(0, ...boards.map((board) => board.triggers))
      } catch (error) {
        problems.push(`event ${event}: ${error instanceof Error ? error.message : String(error)}`)
        return undefined
      }
      file ??= createWaveformFile(options.path, options.metadata)
      sums.events++
      const entry = { event, waveforms: found > 0 ? undefined : noTriggers() }
      waiting.push(entry)
      writeReady()
      if (found === 0) return undefined
      // Copies: the rest of the event's memory must not travel with them.
      const header = Uint8Array.from(banks.header)
      return { event, header, samples: Uint8Array.from(banks.samples), exposureMs, alreadyCorrected }
    },
    take(event, waveforms) {
      waiting.find((one) => one.event === event)!.waveforms = waveforms
      writeReady()
    },
    takeGains: (event, gains) => void gainsOf.set(event, gains),
    finish(images, truth) {
      if (file === undefined) return null
      const matched = match(images, truth)
      file.close()
      const { fast, slow } = spent
      return {
        events: sums.events,
        triggers: sums.triggers,
        waveforms: file.rows,
        exposureMs: exposureMs ?? null,
        drs4: drs4Words(sums, alreadyCorrected, tables),
        fastMsPerWaveform: fast.waveforms > 0 ? fast.ms / fast.waveforms : null,
        slowMsPerWaveform: slow.waveforms > 0 ? slow.ms / slow.waveforms : null,
        match: matched,
      }
    },
  }
}

const noTriggers = (): EventWaveforms => ({
  rows: [],
  triggers: [],
  corrected: 0,
  uncorrected: 0,
  fast: { waveforms: 0, ms: 0 },
  slow: { waveforms: 0, ms: 0 },
})

function drs4Words(
  { corrected, uncorrected }: { corrected: number; uncorrected: number },
  alreadyCorrected: boolean,
  tables: Drs4Tables | undefined,
): WaveformSummary['drs4'] {
  const [state, note] = alreadyCorrected
    ? (['by-frontend', 'The frontend wrote waveforms whose DRS4 errors were already taken out.'] as const)
    : corrected > 0
      ? (['corrected', `DRS4 errors of ${corrected} fast waveforms were taken out.`] as const)
      : uncorrected > 0
        ? ([
            'uncorrected',
            `${uncorrected} fast waveforms were analysed with their DRS4 errors: the setup has no tables at calibration/drs4/.`,
          ] as const)
        : (['not-needed', 'No fast waveform needed a DRS4 correction.'] as const)
  return {
    state,
    correctedWaveforms: corrected,
    uncorrectedWaveforms: uncorrected,
    tablesSha256: state === 'corrected' ? (tables?.sha256 ?? null) : null,
    note,
  }
}
