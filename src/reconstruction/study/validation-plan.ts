/**
 * Which samples a validation makes. Tuning and test samples never share a seed: tuning seeds begin at 1,000,000, test
 * seeds at 2,000,000, each plus 1,000 times the study's own seed.
 *
 * Tracks of known energy and depth stand on a grid so that efficiency and resolution are those of single tracks;
 * crowded images come from the site recipes.
 */
import type { SimulationOptions, TrackRequest } from '../../detector/index.ts'
import type { ValidationOptions } from '../study-contract.ts'
import type { TrackLayout } from './samples.ts'

export const sampleNames = [
  'noise',
  'electrons',
  'iron-tuning',
  'iron',
  'lines',
  'recoils-tuning',
  'recoils',
  'muons',
  'alphas',
  'site-water',
  'site-copper',
  'site-surface',
  'pmt-water',
  'pmt-copper',
  'pmt-surface',
  'yield-440',
  'yield-410',
  'yield-400',
  'yield-390',
  'yield-360',
] as const
export type SampleName = (typeof sampleNames)[number]

export interface SamplePlan {
  name: SampleName
  purpose: 'tuning' | 'test'
  seed: number
  images: number
  framePx: number
  content: string
  simulation: Partial<SimulationOptions>
  layout?: TrackLayout
  /** Images whose points are compared with other implementations. */
  keepPointsOf: number
  /** Of those, how many go through both modes of the directional step. */
  compareModesOf: number
}

export const electronEnergiesKev = [0.5, 1, 1.5, 2, 3, 4, 6, 8, 10, 20, 30, 60]
/** Depths of the light-yield data of LIME, mm from the GEM. */
export const scanDepthsMm = [47.5, 147.5, 247.5, 347.5, 457.5]
/** K-alpha lines of the calibration targets. */
export const calibrationLines = [
  { name: 'Ca', energyKev: 3.69 },
  { name: 'Ti', energyKev: 4.51 },
  { name: 'Fe', energyKev: 5.9 },
  { name: 'Cu', energyKev: 8.04 },
  { name: 'Rb', energyKev: 13.37 },
  { name: 'Mo', energyKev: 17.44 },
  { name: 'Ag', energyKev: 22.1 },
  { name: 'Ba', energyKev: 32.06 },
]
export const lineDepthMm = 250
/** Depths of the light-yield table, mm. */
export const yieldDepthsMm = [50, 150, 250, 360, 480]

/** Shares of all images, in parts of 1000. */
const shares: Record<SampleName, number> = {
  noise: 110,
  electrons: 230,
  'iron-tuning': 40,
  iron: 120,
  lines: 100,
  'recoils-tuning': 60,
  recoils: 80,
  muons: 30,
  alphas: 20,
  'site-water': 50,
  'site-copper': 40,
  'site-surface': 40,
  'pmt-water': 40,
  'pmt-copper': 40,
  'pmt-surface': 15,
  'yield-440': 10,
  'yield-410': 5,
  'yield-400': 10,
  'yield-390': 5,
  'yield-360': 10,
}

/** In the order of `sampleNames`; the images add up to `options.images` within rounding (at least 2 per sample). */
export function planOf(options: ValidationOptions): SamplePlan[] {
  const images = options.quick ? Math.max(32, Math.round(options.images / 10)) : options.images
  const framePx = options.framePx ?? (options.quick ? 1152 : 2304)
  const total = Object.values(shares).reduce((sum, share) => sum + share, 0)
  return sampleNames.map((name, index) => {
    const tuning = name.endsWith('-tuning') || name === 'yield-440'
    const own = detailOf(name, framePx)
    const count = Math.max(2, Math.round((images * shares[name]) / total))
    return {
      name,
      purpose: tuning ? 'tuning' : 'test',
      seed: (tuning ? 1_000_000 : 2_000_000) + 1000 * options.seed + index,
      images: count,
      framePx,
      ...keptOf(name, count),
      ...own,
      simulation: {
        frame: { width: own.framePx ?? framePx, height: own.framePx ?? framePx },
        shutter: false,
        ...own.simulation,
        ...(name.startsWith('pmt-') && { waveforms: true }),
      },
    }
  })
}

/** Crowded images and single tracks for the comparison of labels: more than a thousand of two thousand images. */
function keptOf(name: SampleName, images: number): Pick<SamplePlan, 'keepPointsOf' | 'compareModesOf'> {
  if (name.startsWith('site-')) return { keepPointsOf: images, compareModesOf: images }
  if (name === 'muons' || name === 'alphas') return { keepPointsOf: images, compareModesOf: images }
  return { keepPointsOf: ['noise', 'electrons', 'iron'].includes(name) ? images : 0, compareModesOf: 0 }
}

type Detail = Pick<SamplePlan, 'content'> & Partial<Pick<SamplePlan, 'simulation' | 'layout' | 'framePx'>>

function detailOf(name: SampleName, framePx: number): Detail {
  const grid = (requests: TrackRequest[], apartPx = 300, side = framePx): { layout: TrackLayout } => ({
    layout: gridOf(side, apartPx, strided(requests)),
  })
  const none = { tracksPerImage: { iron: 0, muon: 0, alpha: 0 } }
  switch (name) {
    case 'noise':
      return { content: 'sensor noise only', simulation: none }
    case 'electrons':
      return {
        content: `single electrons of ${electronEnergiesKev.join(', ')} keV at z ${scanDepthsMm.join(', ')} mm`,
        ...grid(
          electronEnergiesKev.flatMap((energyKev) => scanDepthsMm.map((zMm) => ({ kind: 'electron', energyKev, zMm }))),
        ),
      }
    case 'iron':
    case 'iron-tuning':
      return {
        content: `55Fe at z ${scanDepthsMm.join(', ')} mm`,
        ...grid(
          scanDepthsMm.map((zMm) => ({ kind: 'iron', zMm })),
          200,
        ),
      }
    case 'lines':
      return {
        content: `electrons of the eight line energies at z ${lineDepthMm} mm`,
        ...grid(
          calibrationLines.map(({ energyKev }) => ({ kind: 'electron', energyKev, zMm: lineDepthMm })),
          260,
        ),
      }
    case 'recoils':
    case 'recoils-tuning':
      return {
        content: 'He (exponential, mean 30 keV) and F (mean 12 keV) recoils, 55Fe and electrons of 4 to 30 keV, any z',
        ...grid(recoilRequests()),
      }
    case 'muons':
      return { content: 'two muons per image', simulation: { tracksPerImage: { iron: 0, muon: 2, alpha: 0 } } }
    case 'alphas':
      return { content: 'two alphas per image', simulation: { tracksPerImage: { iron: 0, muon: 0, alpha: 2 } } }
    case 'pmt-water':
    case 'site-water':
      return {
        content: 'background of LNGS with copper and water, 0.7 Hz',
        simulation: { site: 'lngs-water', shutter: true },
      }
    case 'pmt-copper':
    case 'site-copper':
      return {
        content: 'background of LNGS with 4 cm of copper, 3.5 Hz',
        simulation: { site: 'lngs-4cm', shutter: true },
      }
    case 'pmt-surface':
    case 'site-surface':
      return { content: 'background at the surface, 34 Hz and muons', simulation: { site: 'surface', shutter: true } }
    default: {
      const side = Math.min(framePx, 1152)
      return {
        content: `55Fe with GEM1 at ${name.slice('yield-'.length)} V at z ${yieldDepthsMm.join(', ')} mm, flat gain`,
        framePx: side,
        simulation: { gemVolts: Number(name.slice('yield-'.length)), detector: { gainRmsShare: 0 } },
        ...grid(
          yieldDepthsMm.map((zMm) => ({ kind: 'iron', energyKev: 5.9, zMm })),
          160,
          side,
        ),
      }
    }
  }
}

/** Energies at even quantiles, so that a sample has its spectrum without luck. Recoils below 2 keV are not asked for. */
function recoilRequests(): TrackRequest[] {
  const spectrum = (kind: TrackRequest['kind'], meanKev: number, count: number): TrackRequest[] =>
    Array.from({ length: count }, (_, index) => ({
      kind,
      energyKev: Math.min(100, 2 - meanKev * Math.log(1 - (index + 0.5) / count)),
    }))
  const electrons = Array.from({ length: 40 }, (_, index) => ({
    kind: 'electron' as const,
    energyKev: 4 * (30 / 4) ** ((index + 0.5) / 40),
  }))
  const iron = Array.from({ length: 40 }, () => ({ kind: 'iron' as const, energyKev: 5.9 }))
  return [...spectrum('helium', 30, 41), ...spectrum('fluorine', 12, 40), ...electrons, ...iron]
}

/** Margins of a seventh: inside the acceptance and the GEM. As many places as fit so far apart, at most 6 x 6. */
function gridOf(framePx: number, apartPx: number, requests: TrackRequest[]): TrackLayout {
  const marginPx = Math.round(framePx / 7)
  const side = Math.max(1, Math.min(6, Math.floor((framePx - 2 * marginPx) / apartPx)))
  const pitch = (framePx - 2 * marginPx) / side
  return { side, marginPx, jitterPx: Math.round(pitch / 5), requests }
}

/** The same list in an order in which neighbours are unlike: a stride that has no divisor in common with the length. */
function strided<Item>(items: readonly Item[]): Item[] {
  const divisor = (a: number, b: number): number => (b === 0 ? a : divisor(b, a % b))
  let stride = Math.max(1, Math.round(items.length * 0.382))
  while (divisor(stride, items.length) !== 1) stride++
  return items.map((_, index) => items[(index * stride) % items.length]!)
}
