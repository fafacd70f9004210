import type { CameraType } from '../camera.ts'
import { detectorFaults } from '../errors.ts'

/**
 * The constants of the simulated detector. Values: reconstruction study 4.1 to 4.4. Sources disagree on some of them (0.21 or 0.24 electrons per
 * count, 35 or 46.2 eV per pair, 0.150 to 0.155 mm per pixel), so each can be set, and a run records those it was made with.
 */
export interface DetectorModel {
  /** Side of a pixel on the GEM plane: LIME sees 346 mm with 2304 pixels. */
  pixelMm: number
  /** Free border of the image on each side, as a share of the frame: the GEM covers 330 of the 346 mm. */
  gemMarginShare: number
  /** Depth of the drift volume. */
  driftMm: number
  /** 0.5 to 0.8: between these the diffusion is known. */
  driftKvPerCm: number
  /** Mean energy of an ion pair. */
  pairEnergyKev: number
  /** g/cm3: He:CF4 60:40 at 1 atm and 20 C. */
  densityGPerCm3: number
  radiationLengthGPerCm2: number
  /**
   * Electrons survive a drift of z with exp(-z / absorptionMm). The one constant tuned on measured light: 1350 mm stands in the configuration of the
   * collaboration's digitization, 5000 mm fits the light of 55Fe at 440 V over the drift.
   */
  absorptionMm: number
  /** Volts of GEM1, whose multiplication fluctuates, GEM2, and GEM3, which saturates. */
  gem1Volts: number
  gem2Volts: number
  gem3Volts: number
  /** Last GEM: N_out = g N / (1 + saturation g N) in a voxel of one pixel by `voxelMm`. */
  saturation: number
  voxelMm: number
  /** rms of the gain over the plane, in waves of 40 to 100 mm: with the statistics it makes the measured 12 to 14 % at 5.9 keV. */
  gainRmsShare: number
  photonsPerElectron: number
  /** Aperture of the lens. */
  aperture: number
  sensorPixelMm: number
  quantumEfficiency: number
  electronsPerCount: number
  readNoiseElectrons: number
  /** Electrons per pixel and second at -5 C; falls to two fifths every 10 C. */
  darkElectronsPerSecond: number
  sensorCelsius: number
  readoutMs: number
}

const lime: Omit<DetectorModel, keyof CameraModel> = {
  pixelMm: 346 / 2304,
  gemMarginShare: (346 - 330) / 2 / 346,
  driftMm: 500,
  driftKvPerCm: 0.8,
  pairEnergyKev: 0.035,
  densityGPerCm3: 1.563e-3,
  radiationLengthGPerCm2: 35.4,
  absorptionMm: 5000,
  gem1Volts: 440,
  gem2Volts: 440,
  gem3Volts: 440,
  saturation: 0.8e-5,
  voxelMm: 0.1,
  gainRmsShare: 0.08,
  photonsPerElectron: 0.07,
  aperture: 0.95,
  darkElectronsPerSecond: 0.5,
  sensorCelsius: -19,
}

type CameraModel = Pick<
  DetectorModel,
  'sensorPixelMm' | 'quantumEfficiency' | 'electronsPerCount' | 'readNoiseElectrons' | 'readoutMs'
>

/** Fusion in its ultra-quiet mode. The Flash (LEMON) by its data sheet, its light efficiency as the Fusion's. */
const cameras: Record<Exclude<CameraType, 'crop'>, CameraModel> = {
  Fusion: {
    sensorPixelMm: 14.976 / 2304,
    quantumEfficiency: 0.8,
    electronsPerCount: 0.21,
    readNoiseElectrons: 0.7,
    readoutMs: 184.4,
  },
  Flash: {
    sensorPixelMm: 13.312 / 2048,
    quantumEfficiency: 0.8,
    electronsPerCount: 0.46,
    readNoiseElectrons: 1.4,
    readoutMs: 33,
  },
  Quest: {
    sensorPixelMm: 10.598 / 2304,
    quantumEfficiency: 0.85,
    electronsPerCount: 0.107,
    readNoiseElectrons: 0.27,
    readoutMs: 199,
  },
}

/** LIME with one of its cameras, some constants changed. Throws `badOptions` for values no detector has. */
export function detectorModel(
  camera: Exclude<CameraType, 'crop'> = 'Fusion',
  changes: Partial<DetectorModel> = {},
): DetectorModel {
  const model: DetectorModel = { ...lime, ...cameras[camera], ...changes }
  for (const [name, value] of Object.entries(model) as [keyof DetectorModel, number][]) {
    if (!(name in lime) && !(name in cameras.Fusion))
      throw detectorFaults.badOptions(`The detector has no constant ${name}.`)
    const [low, high] = limits[name] ?? [0, 1e6]
    if (
      !(typeof value === 'number' && value > low - 1e-12 && value <= high) ||
      (low === 0 && value === 0 && !mayBeZero.has(name))
    )
      throw detectorFaults.badOptions(`${name} lies between ${low} and ${high}, not at ${value}.`)
  }
  return model
}

const mayBeZero = new Set<keyof DetectorModel>([
  'gemMarginShare',
  'saturation',
  'gainRmsShare',
  'readNoiseElectrons',
  'darkElectronsPerSecond',
  'readoutMs',
])

const limits: Partial<Record<keyof DetectorModel, [number, number]>> = {
  pixelMm: [0.01, 1],
  gemMarginShare: [0, 0.4],
  driftMm: [10, 5000],
  driftKvPerCm: [0.5, 0.8],
  pairEnergyKev: [0.01, 0.1],
  gem1Volts: [200, 480],
  gem2Volts: [200, 480],
  gem3Volts: [200, 480],
  gainRmsShare: [0, 0.3],
  quantumEfficiency: [0, 1],
  sensorCelsius: [-60, 40],
}

/** Multiplication of one GEM at so many volts, and the share of its electrons that leaves it. */
export const gemGain = (volts: number): number => 0.03 * Math.exp(0.0209 * volts)
export const gemExtraction = (volts: number): number => 0.87319885 * Math.exp(-0.002 * volts)

/** Share of the photons of the GEM that enter the lens. */
export function solidAngle(model: DetectorModel): number {
  const demagnification = model.pixelMm / model.sensorPixelMm
  return 1 / (4 * (demagnification + 1) * model.aperture) ** 2
}

/** cm/us over kV/cm for He:CF4 60:40. */
const driftTable: readonly (readonly [number, number])[] = [
  [0, 0],
  [0.5, 4.06],
  [1, 6.12],
  [1.5, 7.42],
  [2, 8.3],
  [2.5, 8.84],
  [3, 9.08],
]

/** Linear between the values of the table: 5.30 cm/us = 0.0530 mm/ns at 0.8 kV/cm. */
export function driftMmPerNs(kvPerCm: number): number {
  const next = Math.max(
    1,
    driftTable.findIndex(([field]) => field >= kvPerCm),
  )
  const [[field0, speed0], [field1, speed1]] = [driftTable[next - 1]!, driftTable[next]!]
  return (speed0 + ((kvPerCm - field0) / (field1 - field0)) * (speed1 - speed0)) / 100
}

/** Squares of the spread in mm2 after drifting z mm; the coefficients are known at 0.5 and 0.8 kV/cm and taken as linear in 1/E between. */
export interface Diffusion {
  transverseRmsMm(zMm: number): number
  longitudinalRmsMm(zMm: number): number
}

export function diffusionAt(kvPerCm: number): Diffusion {
  const share = (1 / kvPerCm - 1 / 0.8) / (1 / 0.5 - 1 / 0.8)
  const transverse = 0.00143819 + share * (0.00198721 - 0.00143819)
  const longitudinal = 0.00103483 + share * (0.00152483 - 0.00103483)
  return {
    transverseRmsMm: (zMm) => Math.sqrt(0.13475 + transverse * zMm),
    longitudinalRmsMm: (zMm) => Math.sqrt(0.0676 + longitudinal * zMm),
  }
}
