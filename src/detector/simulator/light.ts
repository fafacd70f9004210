import { simulatedVignettingMap } from '../vignetting.ts'
import { driftMm, pairEnergyKev, pixelMm } from './deposits.ts'
import type { Track } from './deposits.ts'
import { Random } from './random.ts'
import { electronsPerCount } from './sensor.ts'
import type { TrackTruth } from './truth.ts'

/**
 * From deposits to counts, as the collaboration's digitization does it: diffusion in the drift, three GEMs at 440 V with the third one saturating,
 * light, lens, photon statistics. Constants: reconstruction study 4.1 and 4.3.
 */
const gemGain = 0.03 * Math.exp(0.0209 * 440)
const gemExtraction = 0.87319885 * Math.exp(-0.002 * 440)
/** Electrons that reach the third GEM for one electron that reaches the first. */
const gainBeforeLast = (gemGain * gemExtraction) ** 2
/** Electrons are lost on the way: 5 m fits the measured light yields over the drift. */
const absorptionMm = 5000
/** Last GEM: N_out = g N / (1 + beta g N) in a voxel of one pixel by 0.1 mm. */
const saturation = 0.8e-5
const voxelMm = 0.1
const solidAngle = 1 / (4 * (346 / 14.976 + 1) * 0.95) ** 2
const photonsPerElectron = 0.07
const quantumEfficiency = 0.8
const photoelectrons = solidAngle * photonsPerElectron * quantumEfficiency

/** rms of the electron cloud in mm after drifting z mm: transverse and longitudinal, at 0.8 kV/cm. */
export const transverseRmsMm = (zMm: number): number => Math.sqrt(0.13475 + 0.00143819 * zMm)
export const longitudinalRmsMm = (zMm: number): number => Math.sqrt(0.0676 + 0.00103483 * zMm)

const tileSide = 64
const rebin = 4
/** A cell belongs to a track if the track adds half a count per pixel to it. */
const cellThreshold = 0.5 * rebin * rebin

export interface LightField {
  width: number
  height: number
  /** Lens times the slow non-uniformity of the gain, per block of 8 x 8 pixels. */
  response: Float32Array
  responseColumns: number
  saturationTable: Float32Array
  /** Electrons at the third GEM, all zero between tracks. */
  electrons: Float32Array
  touched: Uint8Array
  tileColumns: number
}

export function makeLightField(width: number, height: number, detectorSeed: number): LightField {
  const columns = Math.ceil(width / 8)
  const rows = Math.ceil(height / 8)
  const response = simulatedVignettingMap(columns, rows).values
  const gain = gainMap(columns, rows, detectorSeed)
  for (let i = 0; i < response.length; i++) response[i] = Math.max(0.02, response[i] as number) * (gain[i] as number)
  const tileColumns = Math.ceil(width / tileSide)
  return {
    width,
    height,
    response,
    responseColumns: columns,
    saturationTable: saturationTable(),
    electrons: new Float32Array(width * height),
    touched: new Uint8Array(tileColumns * Math.ceil(height / tileSide)),
    tileColumns,
  }
}

/** Gain over the plane: waves of 40 to 100 mm, 8 % rms, as the measured resolution of 12 to 14 % at 5.9 keV asks for. */
function gainMap(columns: number, rows: number, detectorSeed: number): Float32Array {
  const random = new Random(detectorSeed, 'gain')
  const waves = Array.from({ length: 8 }, () => {
    const wave = (2 * Math.PI * 8 * pixelMm) / random.between(40, 100)
    const direction = random.between(0, 2 * Math.PI)
    return { x: wave * Math.cos(direction), y: wave * Math.sin(direction), phase: random.between(0, 2 * Math.PI) }
  })
  const map = new Float32Array(columns * rows)
  const amplitude = 0.08 * Math.sqrt(2 / waves.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let sum = 1
      for (const wave of waves) sum += amplitude * Math.cos(wave.x * column + wave.y * row + wave.phase)
      map[row * columns + column] = sum
    }
  return map
}

const tableMin = Math.log(1e-3)
const tableStep = Math.log(1e8) / 800

/**
 * Fraction of the gain that is left when a charge with a Gaussian profile along z goes through the saturating GEM: the mean over the profile of
 * 1 / (1 + u exp(-t^2/2)), u = beta g N at the peak. Table over ln u from 1e-3 to 1e5.
 */
function saturationTable(): Float32Array {
  return Float32Array.from({ length: 801 }, (_, i) => {
    const u = Math.exp(tableMin + i * tableStep)
    let sum = 0
    let norm = 0
    for (let t = -6; t <= 6; t += 0.05) {
      const weight = Math.exp(-0.5 * t * t)
      norm += weight
      sum += weight / (1 + u * weight)
    }
    return sum / norm
  })
}

function saturated(table: Float32Array, u: number): number {
  if (u <= 1e-3) return 1 - u * Math.SQRT1_2
  const position = Math.min(799.999, (Math.log(u) - tableMin) / tableStep)
  const index = Math.floor(position)
  const low = table[index] as number
  return low + ((table[index + 1] as number) - low) * (position - index)
}

/**
 * Adds one track to the frame and answers its truth, or undefined if it leaves no light in the frame.
 * The longitudinal spread enters through the saturation only; a slanted track spreads its charge further along z.
 */
export function exposeTrack(
  field: LightField,
  track: Track,
  id: number,
  random: Random,
  pixels: Uint16Array,
): TrackTruth | undefined {
  let [sumX, sumY, sumZ, sumEnergy] = [0, 0, 0, 0]
  for (const deposit of track.deposits) {
    sumX += deposit.energyKev * deposit.xMm
    sumY += deposit.energyKev * deposit.yMm
    sumZ += deposit.energyKev * deposit.zMm
    sumEnergy += deposit.energyKev
    const pairs = random.poisson((deposit.energyKev / pairEnergyKev) * Math.exp(-deposit.zMm / absorptionMm))
    if (pairs > 0)
      spread(
        field,
        deposit.xMm / pixelMm,
        deposit.yMm / pixelMm,
        random.gamma(pairs) * gainBeforeLast,
        transverseRmsMm(deposit.zMm) / pixelMm,
      )
  }
  if (sumEnergy === 0) return undefined
  const zMm = sumZ / sumEnergy
  const depthRmsMm = Math.hypot(longitudinalRmsMm(zMm), track.slope * transverseRmsMm(zMm))
  const light = collect(field, depthRmsMm, random, pixels)
  if (light.runs.length === 0) return undefined
  return {
    id,
    kind: track.kind,
    energyKev: rounded(track.energyKev, 3),
    xPx: rounded(sumX / sumEnergy / pixelMm, 2),
    yPx: rounded(sumY / sumEnergy / pixelMm, 2),
    zMm: rounded(Math.min(driftMm, zMm), 2),
    lengthMm: rounded(track.lengthMm, 2),
    angleRad: rounded(track.angleRad, 4),
    box: light.box,
    expectedCounts: rounded(light.expectedCounts, 1),
    pixelCount: light.counts.length * rebin * rebin,
    cells: { rebin, runs: light.runs, counts: light.counts },
  }
}

const rounded = (value: number, digits: number): number => Math.round(value * 10 ** digits) / 10 ** digits

/** A round Gaussian cloud of electrons, sampled at pixel centres (its rms is never below 2.4 pixels). */
function spread(field: LightField, x: number, y: number, electrons: number, rms: number): void {
  const reach = 4.2 * rms
  const x0 = Math.max(0, Math.floor(x - reach))
  const x1 = Math.min(field.width - 1, Math.floor(x + reach))
  const y0 = Math.max(0, Math.floor(y - reach))
  const y1 = Math.min(field.height - 1, Math.floor(y + reach))
  if (x0 > x1 || y0 > y1) return
  const factor = -0.5 / (rms * rms)
  const along = new Float64Array(x1 - x0 + 1)
  for (let i = x0; i <= x1; i++) along[i - x0] = Math.exp(factor * (i + 0.5 - x) ** 2)
  const peak = electrons / (2 * Math.PI * rms * rms)
  for (let j = y0; j <= y1; j++) {
    const row = peak * Math.exp(factor * (j + 0.5 - y) ** 2)
    const start = j * field.width
    for (let i = x0; i <= x1; i++)
      field.electrons[start + i] = (field.electrons[start + i] as number) + row * (along[i - x0] as number)
  }
  for (let tileY = Math.floor(y0 / tileSide); tileY <= Math.floor(y1 / tileSide); tileY++)
    for (let tileX = Math.floor(x0 / tileSide); tileX <= Math.floor(x1 / tileSide); tileX++)
      field.touched[tileY * field.tileColumns + tileX] = 1
}

interface CollectedLight {
  expectedCounts: number
  runs: number[]
  counts: number[]
  box: TrackTruth['box']
}

/** Turns the electrons of one track into light and counts, tile by tile, and leaves the field clean for the next track. */
function collect(field: LightField, depthRmsMm: number, random: Random, pixels: Uint16Array): CollectedLight {
  const peakFraction = (saturation * gemGain * voxelMm) / (Math.sqrt(2 * Math.PI) * depthRmsMm)
  const lit: { cell: number; counts: number }[] = []
  const cellColumns = Math.floor(field.width / rebin)
  let expectedCounts = 0
  for (let tile = 0; tile < field.touched.length; tile++) {
    if (!field.touched[tile]) continue
    field.touched[tile] = 0
    const left = (tile % field.tileColumns) * tileSide
    const top = Math.floor(tile / field.tileColumns) * tileSide
    const right = Math.min(field.width, left + tileSide)
    const bottom = Math.min(field.height, top + tileSide)
    for (let cellY = top; cellY < bottom; cellY += rebin)
      for (let cellX = left; cellX < right; cellX += rebin) {
        const counts = collectCell(field, cellX, cellY, peakFraction, random, pixels)
        expectedCounts += counts
        if (counts > cellThreshold)
          lit.push({ cell: (cellY / rebin) * cellColumns + cellX / rebin, counts: Math.round(counts) })
      }
  }
  lit.sort((one, other) => one.cell - other.cell)
  return {
    expectedCounts,
    counts: lit.map((one) => one.counts),
    ...runLengths(
      lit.map((one) => one.cell),
      cellColumns,
    ),
  }
}

/** Light of one 4 x 4 cell: adds counts to the pixels, answers their expectation. */
function collectCell(
  field: LightField,
  x0: number,
  y0: number,
  peakFraction: number,
  random: Random,
  pixels: Uint16Array,
): number {
  let expected = 0
  const response = field.response[Math.floor(y0 / 8) * field.responseColumns + Math.floor(x0 / 8)] as number
  for (let y = y0; y < y0 + rebin; y++)
    for (let i = y * field.width + x0, end = i + rebin; i < end; i++) {
      const electrons = field.electrons[i] as number
      if (electrons === 0) continue
      field.electrons[i] = 0
      const mean =
        gemGain * electrons * saturated(field.saturationTable, peakFraction * electrons) * photoelectrons * response
      expected += mean
      const seen = random.poisson(mean)
      if (seen > 0)
        pixels[i] = Math.min(65535, (pixels[i] as number) + Math.floor(seen / electronsPerCount + random.uniform()))
    }
  return expected / electronsPerCount
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
