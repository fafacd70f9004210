import { blockSide, clearTiles, saturated, tileAt, tileSide } from './light-field.ts'
import type { LightField, Tile } from './light-field.ts'
import type { Random } from './random.ts'
import type { Deposit, Track } from './track.ts'
import type { TrackTruth } from './truth.ts'

const rebin = 4
/** A cell belongs to a track if the track adds half a count per pixel to it. */
const cellThreshold = 0.5 * rebin * rebin

/** Rows of the sensor that are exposed when a track happens, the end excluded. */
export interface OpenRows {
  first: number
  end: number
}

/** Light of one track in one camera. */
export interface CameraLight {
  camera: number
  expectedCounts: number
  rowsLost: number
  box: TrackTruth['box']
  pixelCount: number
  cells: TrackTruth['cells']
}

export interface ExposedTrack {
  /** Electrons that reached the first GEM. */
  primaries: number
  /** Cameras that see it, or whose shutter cut all of it. */
  cameras: CameraLight[]
  /** Electrons out of the last GEM for each deposit, for the photomultipliers. */
  electronsOut: Float64Array
}

/**
 * Adds one track to the frames of the cameras. From deposits to counts as the collaboration's digitization does it: primaries, diffusion, three GEMs, the
 * third saturating, light, lens, photon statistics (reconstruction study 4.3), but with whole clouds instead of single electrons: in each pixel the
 * charge along z is taken as a Gaussian with the mean and rms of what arrives there.
 */
export function exposeTrack(
  field: LightField,
  track: Track,
  rows: OpenRows,
  random: Random,
  frames: readonly Uint16Array[],
): ExposedTrack {
  const { model, diffusion } = field
  const electrons = new Float64Array(track.deposits.length)
  let primaries = 0
  track.deposits.forEach((deposit, i) => {
    const mean = (deposit.energyKev / model.pairEnergyKev) * Math.exp(-deposit.zMm / model.absorptionMm)
    const pairs = random.poisson(mean)
    if (pairs === 0) return
    primaries += pairs
    electrons[i] = random.gamma(pairs) * field.gainBeforeLast
    spread(field, deposit, electrons[i] as number, diffusion.transverseRmsMm(deposit.zMm) / model.pixelMm)
  })
  const { collectors, electronsOut: total } = collect(field, rows, random, frames)
  const electronsOut = outOfLastGem(field, track.deposits, electrons, total)
  clearTiles(field)
  return {
    primaries,
    cameras: collectors.flatMap((one, camera) => (one === undefined ? [] : [lightOf(field, one, camera, rows)])),
    electronsOut,
  }
}

/** A round Gaussian cloud of electrons, sampled at pixel centres (its rms is never below 2.4 pixels at LIME). */
function spread(field: LightField, deposit: Deposit, electrons: number, rms: number): void {
  const [x, y] = [deposit.xMm / field.model.pixelMm, deposit.yMm / field.model.pixelMm]
  const reach = 4 * rms
  const x0 = Math.max(0, Math.floor(x - reach))
  const x1 = Math.min(field.planeWidth - 1, Math.floor(x + reach))
  const y0 = Math.max(0, Math.floor(y - reach))
  const y1 = Math.min(field.height - 1, Math.floor(y + reach))
  if (x0 > x1 || y0 > y1) return
  const factor = -0.5 / (rms * rms)
  const across = gaussian(x0, x1, x, factor, 1)
  const down = gaussian(y0, y1, y, factor, electrons / (2 * Math.PI * rms * rms))
  const depthSquare = field.diffusion.longitudinalRmsMm(deposit.zMm) ** 2
  for (let tileY = Math.floor(y0 / tileSide); tileY * tileSide <= y1; tileY++)
    for (let tileX = Math.floor(x0 / tileSide); tileX * tileSide <= x1; tileX++) {
      const tile = tileAt(field, tileY * field.tileColumns + tileX, deposit.zMm)
      const dz = deposit.zMm - tile.zMm
      const [left, top] = [tileX * tileSide, tileY * tileSide]
      const fromX = Math.max(x0, left)
      const toX = Math.min(x1, left + tileSide - 1)
      const toY = Math.min(y1, top + tileSide - 1)
      for (let j = Math.max(y0, top); j <= toY; j++)
        addRow(
          tile,
          (j - top) * tileSide - left,
          fromX,
          toX,
          across,
          x0,
          down[j - y0] as number,
          dz,
          dz * dz + depthSquare,
        )
    }
}

function addRow(
  tile: Tile,
  start: number,
  fromX: number,
  toX: number,
  across: Float64Array,
  x0: number,
  weight: number,
  dz: number,
  square: number,
): void {
  const { electrons, first, second } = tile
  for (let i = fromX; i <= toX; i++) {
    const add = weight * (across[i - x0] as number)
    electrons[start + i] = (electrons[start + i] as number) + add
    first[start + i] = (first[start + i] as number) + add * dz
    second[start + i] = (second[start + i] as number) + add * square
  }
}

/** peak * exp(factor * (i + 0.5 - centre)^2) by recursion: each value is the one before times a ratio that changes by a constant factor. */
function gaussian(from: number, to: number, centre: number, factor: number, peak: number): Float64Array {
  const values = new Float64Array(to - from + 1)
  const first = from + 0.5 - centre
  let value = peak * Math.exp(factor * first * first)
  let ratio = Math.exp(factor * (2 * first + 1))
  const change = Math.exp(2 * factor)
  for (let i = 0; i < values.length; i++) {
    values[i] = value
    value *= ratio
    ratio *= change
  }
  return values
}

/** Cells of one camera that a track lights. */
interface Collector {
  expected: number
  lit: { cell: number; counts: number }[]
  /** Rows of cells with light before the shutter cut it. */
  firstRow: number
  lastRow: number
}

/** Turns the electrons of one track into light and counts, cell by cell, and leaves in the tiles the share of the gain that was left. */
function collect(
  field: LightField,
  rows: OpenRows,
  random: Random,
  frames: readonly Uint16Array[],
): { collectors: (Collector | undefined)[]; electronsOut: number } {
  const { width, height, planeWidth, tileColumns } = field
  const { electronsPerCount } = field.model
  const collectors: (Collector | undefined)[] = Array.from({ length: field.cameras }, () => undefined)
  const cellColumns = width / rebin
  const light: CellLight = { whole: 0, seen: 0, charge: 0 }
  let charge = 0
  for (const [index, tile] of field.tiles) {
    const left = (index % tileColumns) * tileSide
    const top = Math.floor(index / tileColumns) * tileSide
    const [right, bottom] = [Math.min(planeWidth, left + tileSide), Math.min(height, top + tileSide)]
    for (let y = top; y < bottom; y += rebin)
      for (let x = left; x < right; x += rebin) {
        const camera = Math.floor(x / width)
        const at = (y - top) * tileSide + x - left
        lightCell(field, tile, at, x, y, camera, rows, random, frames[camera] as Uint16Array, light)
        if (light.whole === 0) continue
        charge += light.charge
        const collector = (collectors[camera] ??= { expected: 0, lit: [], firstRow: height, lastRow: -1 })
        const counts = light.seen / electronsPerCount
        collector.expected += counts
        if (light.whole <= cellThreshold * electronsPerCount) continue
        const row = y / rebin
        collector.firstRow = Math.min(collector.firstRow, row)
        collector.lastRow = Math.max(collector.lastRow, row)
        if (counts > cellThreshold)
          collector.lit.push({ cell: row * cellColumns + (x - camera * width) / rebin, counts: Math.round(counts) })
      }
  }
  return { collectors, electronsOut: charge * field.lastGain }
}

/** Photo-electrons expected in a cell without and with the shutter, and its charge after saturation and gain map, at the entry of the last GEM. */
interface CellLight {
  whole: number
  seen: number
  charge: number
}

/** Below this density of charge saturation takes less than a thousandth. */
const unsaturated = 3e-4

/** Light of one 4 x 4 cell: adds counts to the open pixels and answers in `light`. */
function lightCell(
  field: LightField,
  tile: Tile,
  tileAt: number,
  planeX: number,
  y: number,
  camera: number,
  rows: OpenRows,
  random: Random,
  pixels: Uint16Array,
  light: CellLight,
): void {
  const { lastGain, saturationTable, width } = field
  const { electrons, first, second } = tile
  const { electronsPerCount, saturation, voxelMm } = field.model
  const block = (y >> 3) * field.blockColumns + (planeX >> 3)
  const perElectron = lastGain * field.photoelectrons * (field.response[block] as number)
  const perDensity = (saturation * lastGain * voxelMm) / Math.sqrt(2 * Math.PI)
  let [whole, seen, charge] = [0, 0, 0]
  for (let j = 0; j < rebin; j++) {
    const open = y + j >= rows.first && y + j < rows.end
    const pixel = (y + j) * width + planeX - camera * width
    for (let i = 0, at = tileAt + j * tileSide; i < rebin; i++, at++) {
      const count = electrons[at] as number
      if (count === 0) continue
      let left = 1
      if (perDensity * count > unsaturated) {
        const shift = (first[at] as number) / count
        const depth = Math.sqrt(Math.max(0.01, (second[at] as number) / count - shift * shift))
        left = saturated(saturationTable, (perDensity * count) / depth)
      }
      electrons[at] = left
      charge += count * left
      const mean = perElectron * count * left
      whole += mean
      if (!open) continue
      seen += mean
      const photons = random.poisson(mean)
      if (photons === 0) continue
      const value = (pixels[pixel + i] as number) + Math.floor(photons / electronsPerCount + random.uniform())
      pixels[pixel + i] = value > 65535 ? 65535 : value
    }
  }
  light.whole = whole
  light.seen = seen
  light.charge = charge * (field.gain[block] as number)
}

/** The electrons out of the last GEM shared among the deposits: by their charge, the gain left where they stand, and the gain of the place. */
function outOfLastGem(
  field: LightField,
  deposits: readonly Deposit[],
  electrons: Float64Array,
  total: number,
): Float64Array {
  const { pixelMm } = field.model
  let sum = 0
  const shares = electrons.map((count, i) => {
    const deposit = deposits[i] as Deposit
    const x = Math.min(field.planeWidth - 1, Math.floor(deposit.xMm / pixelMm))
    const y = Math.min(field.height - 1, Math.floor(deposit.yMm / pixelMm))
    const tile = field.tiles.get(Math.floor(y / tileSide) * field.tileColumns + Math.floor(x / tileSide))
    if (count === 0 || tile === undefined) return 0
    const left = tile.electrons[(y % tileSide) * tileSide + (x % tileSide)] as number
    const block = Math.floor(y / blockSide) * field.blockColumns + Math.floor(x / blockSide)
    const share = count * left * (field.gain[block] as number)
    sum += share
    return share
  })
  return sum === 0 ? shares : shares.map((share) => (share * total) / sum)
}

function lightOf(field: LightField, collector: Collector, camera: number, rows: OpenRows): CameraLight {
  const lit = collector.lit.sort((one, other) => one.cell - other.cell)
  const [first, end] = [collector.firstRow * rebin, (collector.lastRow + 1) * rebin]
  const open = Math.max(0, Math.min(end, rows.end) - Math.max(first, rows.first))
  const { runs, box } = runLengths(
    lit.map((one) => one.cell),
    field.width / rebin,
  )
  return {
    camera,
    expectedCounts: collector.expected,
    rowsLost: collector.lastRow < 0 ? 0 : end - first - open,
    box,
    pixelCount: lit.length * rebin * rebin,
    cells: { rebin, runs, counts: lit.map((one) => one.counts) },
  }
}

/** Flat triples row, first column, length of sorted cell numbers, and their bounding box in pixels. */
function runLengths(cells: number[], cellColumns: number): { runs: number[]; box: TrackTruth['box'] } {
  const runs: number[] = []
  let [minX, maxX] = [Infinity, -Infinity]
  let previous = -2
  for (const cell of cells) {
    const column = cell % cellColumns
    if (cell === previous + 1 && column > 0) runs[runs.length - 1] = (runs.at(-1) as number) + 1
    else runs.push(Math.floor(cell / cellColumns), column, 1)
    minX = Math.min(minX, column)
    maxX = Math.max(maxX, column)
    previous = cell
  }
  if (cells.length === 0) return { runs, box: { x0: 0, y0: 0, x1: 0, y1: 0 } }
  const lastRow = Math.floor((cells.at(-1) as number) / cellColumns)
  return {
    runs,
    box: { x0: minX * rebin, y0: (runs[0] as number) * rebin, x1: (maxX + 1) * rebin, y1: (lastRow + 1) * rebin },
  }
}
