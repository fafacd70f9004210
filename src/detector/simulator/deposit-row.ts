import { detectorFaults } from '../errors.ts'
import type { Fault } from '../../foundation/errors.ts'
import type { DepositRow } from './track-source.ts'

/** The columns of a track file and what else they may be called. */
export const depositColumns = ['event', 'track', 'x_mm', 'y_mm', 'z_mm', 'energy_kev', 'time_ns', 'particle'] as const
export type DepositColumn = (typeof depositColumns)[number]
export const neededColumns: readonly DepositColumn[] = depositColumns.slice(0, 6)

/** What was wrong with a track file, where, and what to do about it. */
export function badTracks(name: string, place: string, what: string, hint?: string): Fault {
  return detectorFaults.badTracks(`${name}, ${place}: ${what}`, {
    hint:
      hint ?? `Correct it, or leave the row out. Columns: ${depositColumns.join(', ')} (the last two may be missing).`,
    extra: { place },
  })
}

/** Throws `badTracks` where a needed column is missing or one stands twice. */
export function checkColumns(name: string, place: string, columns: readonly string[]): void {
  const missing = neededColumns.filter((one) => !columns.includes(one))
  if (missing.length > 0) throw badTracks(name, place, `there is no column ${missing.join(', ')}.`)
  const twice = depositColumns.find((one) => columns.indexOf(one) !== columns.lastIndexOf(one))
  if (twice !== undefined) throw badTracks(name, place, `column ${twice} stands there twice.`)
}

/** Larger than any detector and any track, so a number beyond is in another unit. */
const farMm = 1e5
const largestKev = 1e7

/** A row from what a reader found in it, as text or number. Throws `badTracks`. */
export function depositRow(name: string, place: string, valueOf: (column: DepositColumn) => unknown): DepositRow {
  const number = (column: DepositColumn): number => {
    const value = valueOf(column)
    const read =
      typeof value === 'number'
        ? value
        : typeof value === 'bigint'
          ? Number(value)
          : typeof value === 'string' && value.trim() !== ''
            ? Number(value)
            : Number.NaN
    if (Number.isFinite(read)) return read
    throw badTracks(name, place, `${column} is ${shown(value)}, not a number.`)
  }
  const counted = (column: DepositColumn): number => {
    const value = number(column)
    if (Number.isSafeInteger(value) && value >= 0) return value
    throw badTracks(name, place, `${column} is ${value}, not a whole number of 0 or more.`)
  }
  const length = (column: DepositColumn): number => {
    const value = number(column)
    if (Math.abs(value) <= farMm) return value
    throw badTracks(name, place, `${column} is ${value}.`, 'Lengths are in millimetres.')
  }
  const energyKev = number('energy_kev')
  if (energyKev < 0 || energyKev > largestKev)
    throw badTracks(name, place, `energy_kev is ${energyKev}.`, 'Deposits are in keV, not below 0.')
  const row: DepositRow = {
    event: counted('event'),
    track: counted('track'),
    xMm: length('x_mm'),
    yMm: length('y_mm'),
    zMm: length('z_mm'),
    energyKev,
  }
  const time = valueOf('time_ns')
  if (time !== undefined && time !== null && time !== '') row.timeNs = number('time_ns')
  if (row.timeNs !== undefined && row.timeNs < 0)
    throw badTracks(name, place, `time_ns is ${row.timeNs}, before its event.`)
  const particle = valueOf('particle')
  if (particle !== undefined && particle !== null && particle !== '') {
    if (typeof particle === 'object') throw badTracks(name, place, 'particle is neither a name nor a number.')
    row.particle = String(particle as string | number | bigint).trim()
  }
  return row
}

const shown = (value: unknown): string =>
  value === undefined || value === null || value === '' ? 'empty' : `'${String(value).slice(0, 40)}'`
