import { detectorFaults } from '../errors.ts'
import { badTracks } from './deposit-row.ts'
import { lindhardQuenching } from './ion.ts'
import type { RecoilKind } from './ion.ts'
import { anglesOf, isInside } from './track.ts'
import type { Deposit, Place, Track, Volume } from './track.ts'
import type { DepositRow, TrackSource } from './track-source.ts'
import type { Production, TrackKind } from './truth.ts'

/** A track of a file, and when it begins after its event. */
export interface ExternalTrack {
  track: Track
  timeNs: number
}

/** One event is in memory at a time. */
const mostDepositsPerEvent = 2_000_000
const mostEvents = 1_000_000
/** If none of so many deposits lies in the detector, the file means another place. */
const patienceDeposits = 100_000

/**
 * Reads a track file once from end to end, so that a bad row is told before anything is recorded, and answers what the production records of it.
 * Throws `badTracks` with the place of the first bad row, or where no deposit lies in the detector.
 */
export async function inspectTracks(
  source: TrackSource,
  volume: Volume,
  signal?: AbortSignal,
): Promise<NonNullable<Production['source']>> {
  const { sha256, sizeBytes } = await source.fingerprint(signal)
  const seen = new Set<number>()
  let [event, deposits, inside, ofEvent] = [-1, 0, 0, 0]
  let far = ''
  for await (const { row, place } of source.rows(signal)) {
    if (row.event !== event) {
      if (seen.has(row.event))
        throw badTracks(
          source.name,
          place,
          `event ${row.event} comes again after event ${event}.`,
          'Sort the rows by event.',
        )
      if (seen.size === mostEvents)
        throw badTracks(source.name, place, `more than ${mostEvents} events.`, 'Split the file.')
      event = row.event
      seen.add(event)
      ofEvent = 0
    }
    if (++ofEvent > mostDepositsPerEvent)
      throw badTracks(
        source.name,
        place,
        `event ${event} has more than ${mostDepositsPerEvent} deposits.`,
        'Give it larger steps.',
      )
    deposits++
    if (isInside(placeOf(row, volume), volume)) inside++
    else far ||= `${place}: ${row.xMm}, ${row.yMm}, ${row.zMm} mm`
    if (inside === 0 && deposits >= patienceDeposits) break
  }
  if (deposits === 0)
    throw detectorFaults.badTracks(`${source.name} holds no deposit.`, {
      hint: 'One row per deposit after the names of the columns.',
    })
  if (inside === 0)
    throw detectorFaults.badTracks(`No deposit of ${source.name} lies in the detector (${far}).`, {
      hint: `x and y count from the centre of the GEM plane (up to ${half(volume.x0, volume.x1)} and ${half(volume.y0, volume.y1)} mm), z from the first GEM (0 to ${volume.depthMm} mm).`,
    })
  return { name: source.name, format: source.format, sha256, sizeBytes, events: seen.size, deposits }
}

const half = (from: number, to: number): number => Math.floor((to - from) / 2)

/** The events of a file, in its order, without the first `skip`. */
export async function* externalEvents(
  source: TrackSource,
  volume: Volume,
  skip = 0,
): AsyncGenerator<ExternalTrack[], void, undefined> {
  let event: number | undefined
  let passed = -1
  let rows: DepositRow[] = []
  for await (const { row } of source.rows()) {
    if (row.event !== event) {
      if (passed >= skip) yield tracksOf(rows, volume)
      passed++
      event = row.event
      rows = []
    }
    if (passed >= skip) rows.push(row)
  }
  if (rows.length > 0) yield tracksOf(rows, volume)
}

function tracksOf(rows: readonly DepositRow[], volume: Volume): ExternalTrack[] {
  const tracks = new Map<number, DepositRow[]>()
  for (const row of rows) {
    const known = tracks.get(row.track)
    if (known) known.push(row)
    else tracks.set(row.track, [row])
  }
  return [...tracks.values()].flatMap((deposits) => externalTrack(deposits, volume) ?? [])
}

/** Undefined without energy in the detector. */
function externalTrack(rows: readonly DepositRow[], volume: Volume): ExternalTrack | undefined {
  const timeNs = rows.reduce((first, row) => Math.min(first, row.timeNs ?? 0), Infinity)
  const totalKev = rows.reduce((sum, row) => sum + row.energyKev, 0)
  const kind = kindOf(rows[0]?.particle, totalKev)
  const quenching = isNucleus(kind) ? lindhardQuenching(kind === 'alpha' ? 'helium' : kind, totalKev) : 1
  const deposits: Deposit[] = []
  let [energyKev, lengthMm, length3dMm] = [0, 0, 0]
  let last: Place | undefined
  let initial: { x: number; y: number; z: number } | undefined
  for (const row of rows) {
    const place = placeOf(row, volume)
    if (row.energyKev === 0 || !isInside(place, volume)) continue
    if (last) {
      const step = { x: place.xMm - last.xMm, y: place.yMm - last.yMm, z: place.zMm - last.zMm }
      const size = Math.hypot(step.x, step.y, step.z)
      length3dMm += size
      lengthMm += Math.hypot(step.x, step.y)
      if (size > 0) initial ??= { x: step.x / size, y: step.y / size, z: step.z / size }
    }
    last = place
    energyKev += row.energyKev
    deposits.push({ ...place, energyKev: row.energyKev * quenching, timeNs: (row.timeNs ?? 0) - timeNs })
  }
  const start = deposits[0]
  if (start === undefined || last === undefined) return undefined
  return {
    timeNs,
    track: {
      kind,
      deposits,
      energyKev,
      visibleEnergyKev: energyKev * quenching,
      kineticKev: -1,
      start: { xMm: start.xMm, yMm: start.yMm, zMm: start.zMm },
      end: last,
      lengthMm,
      length3dMm,
      ...anglesOf(initial ?? { x: 1, y: 0, z: 0 }),
    },
  }
}

/** From the centre of the GEM plane to the frame of the first camera. */
const placeOf = (row: DepositRow, volume: Volume): Place => ({
  xMm: row.xMm + (volume.x0 + volume.x1) / 2,
  yMm: row.yMm + (volume.y0 + volume.y1) / 2,
  zMm: row.zMm,
})

const isNucleus = (kind: TrackKind): kind is RecoilKind | 'alpha' =>
  kind === 'alpha' || kind === 'helium' || kind === 'carbon' || kind === 'fluorine'

/** An alpha of a decay has more energy than this, a recoil of a neutron less. */
const alphaAboveKev = 2000

/** Names of Geant4 and PDG numbers. What is not listed ionises with all of its energy. */
export function kindOf(particle: string | undefined, energyKev: number): TrackKind {
  const name = (particle ?? '').toLowerCase()
  if (/^(e[+-]?|electron|positron|gamma|-?11|22)$/.test(name)) return 'electron'
  if (/^(mu[+-]?|muon|-?13)$/.test(name)) return 'muon'
  if (/^(alpha|helium|he[34]?|10000200[34]0)$/.test(name)) return energyKev > alphaAboveKev ? 'alpha' : 'helium'
  if (/^(carbon|c(1[234])?|1000060(12|13|14)0)$/.test(name)) return 'carbon'
  if (/^(fluorine|f(19)?|1000090190)$/.test(name)) return 'fluorine'
  return 'external'
}
