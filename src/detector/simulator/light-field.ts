import { simulatedVignettingMap } from '../vignetting.ts'
import { diffusionAt, gemExtraction, gemGain, solidAngle } from './detector-model.ts'
import type { DetectorModel, Diffusion } from './detector-model.ts'
import { Random } from './random.ts'

export const tileSide = 64
/** Gain and lens are known per block of 8 x 8 pixels. */
export const blockSide = 8

/** A square of the GEM plane with the charge of one track in it: electrons at the third GEM, and the first two moments of their z. */
export interface Tile {
  electrons: Float32Array
  /** Sums of (z - zMm) and its square, weighted by electrons. */
  first: Float32Array
  second: Float32Array
  zMm: number
}

/** What turns deposits into light: constants, maps, and the tiles a track has touched (none between tracks). */
export interface LightField {
  model: DetectorModel
  diffusion: Diffusion
  /** Of one camera. The plane holds `cameras` of them side by side. */
  width: number
  height: number
  cameras: number
  planeWidth: number
  /** Electrons at the third GEM for one (fluctuating) electron of the first; gain of the third. */
  gainBeforeLast: number
  lastGain: number
  /** Photo-electrons in the camera for one electron of the last GEM, at the centre. */
  photoelectrons: number
  blockColumns: number
  /** Lens times gain, and gain alone. */
  response: Float32Array
  gain: Float32Array
  saturationTable: Float32Array
  tileColumns: number
  tiles: Map<number, Tile>
  free: Tile[]
}

/** The same GEM for every run with one `detectorSeed`. */
export function makeLightField(
  model: DetectorModel,
  width: number,
  height: number,
  cameras: number,
  detectorSeed: number,
): LightField {
  const [columns, rows] = [width / blockSide, height / blockSide]
  const lens = simulatedVignettingMap(columns, rows).values
  const gain = gainMap(columns * cameras, rows, model, detectorSeed)
  const response = gain.map((value, i) => {
    const column = (i % (columns * cameras)) % columns
    const row = Math.floor(i / (columns * cameras))
    return value * Math.max(0.02, lens[row * columns + column] as number)
  })
  const planeWidth = width * cameras
  return {
    model,
    diffusion: diffusionAt(model.driftKvPerCm),
    width,
    height,
    cameras,
    planeWidth,
    gainBeforeLast:
      gemGain(model.gem1Volts) *
      gemExtraction(model.gem1Volts) *
      gemGain(model.gem2Volts) *
      gemExtraction(model.gem2Volts),
    lastGain: gemGain(model.gem3Volts),
    photoelectrons: solidAngle(model) * model.photonsPerElectron * model.quantumEfficiency,
    blockColumns: columns * cameras,
    response,
    gain,
    saturationTable: saturationTable(),
    tileColumns: Math.ceil(planeWidth / tileSide),
    tiles: new Map(),
    free: [],
  }
}

/** Gain over the plane: eight waves of 40 to 100 mm. */
function gainMap(columns: number, rows: number, model: DetectorModel, detectorSeed: number): Float32Array {
  const random = new Random(detectorSeed, 'gain')
  const waves = Array.from({ length: 8 }, () => {
    const wave = (2 * Math.PI * blockSide * model.pixelMm) / random.between(40, 100)
    const direction = random.between(0, 2 * Math.PI)
    return { x: wave * Math.cos(direction), y: wave * Math.sin(direction), phase: random.between(0, 2 * Math.PI) }
  })
  const map = new Float32Array(columns * rows)
  const amplitude = model.gainRmsShare * Math.sqrt(2 / waves.length)
  for (let row = 0; row < rows; row++)
    for (let column = 0; column < columns; column++) {
      let sum = 1
      for (const wave of waves) sum += amplitude * Math.cos(wave.x * column + wave.y * row + wave.phase)
      map[row * columns + column] = Math.max(0.05, sum)
    }
  return map
}

/** The table below is equally spaced in the fourth root of u, up to u = 1e5. */
const tableScale = 2047 / 1e5 ** 0.25

/**
 * Share of the gain that is left when a charge with a Gaussian profile along z goes through the saturating GEM: the mean over the profile of
 * 1 / (1 + u exp(-t^2/2)), u = saturation * g * N at the peak.
 */
function saturationTable(): Float32Array {
  return Float32Array.from({ length: 2049 }, (_, i) => {
    const u = (i / tableScale) ** 4
    let [sum, norm] = [0, 0]
    for (let t = 0.05; t < 6; t += 0.1) {
      const weight = Math.exp(-0.5 * t * t)
      norm += weight
      sum += weight / (1 + u * weight)
    }
    return sum / norm
  })
}

export function saturated(table: Float32Array, u: number): number {
  const position = Math.min(2047.99, Math.sqrt(Math.sqrt(u)) * tableScale)
  const index = Math.floor(position)
  const low = table[index] as number
  return low + ((table[index + 1] as number) - low) * (position - index)
}

/** The tile of a number, clean if the track had not touched it yet. */
export function tileAt(field: LightField, index: number, zMm: number): Tile {
  const known = field.tiles.get(index)
  if (known) return known
  const size = tileSide * tileSide
  const tile = field.free.pop() ?? {
    electrons: new Float32Array(size),
    first: new Float32Array(size),
    second: new Float32Array(size),
    zMm,
  }
  tile.zMm = zMm
  field.tiles.set(index, tile)
  return tile
}

/** Makes the field ready for the next track. */
export function clearTiles(field: LightField): void {
  for (const tile of field.tiles.values()) {
    tile.electrons.fill(0)
    tile.first.fill(0)
    tile.second.fill(0)
    field.free.push(tile)
  }
  field.tiles.clear()
}
