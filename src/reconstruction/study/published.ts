/**
 * Published and logged values this validation is held beside. `tag` says how we know a value: [A] read in the abstract
 * of the paper only, [P] read in the paper's source, [D] a data file or notebook constant of the collaboration's
 * repositories, [C] read in program source, [S] slides, [M] measured by us with the reference's program.
 */
import type { PublishedValue } from './verdicts.ts'

export const evidenceTags: Readonly<Record<string, string>> = {
  A: 'abstract of the paper only; the body was not available to us',
  P: 'read in the source of the paper',
  D: 'data file or notebook constant in the collaboration repositories',
  C: 'read in program source',
  S: 'collaboration slides',
  M: 'measured by us with the reference program on simulated frames',
}

const lemon = 'LEMON, arXiv 1905.04066 (JINST 14 P07011)'
const ambe = 'LEMON AmBe paper, arXiv 2007.12508, Table 1'
const scan = 'LIME 55Fe scan, collaboration wiki notebook'

export const published = {
  efficiencyAt59: { value: 0.95, error: null, text: '> 95 %', source: lemon, tag: 'A', bound: 'above' },
  threshold: { value: 2, error: null, text: '2 keV', source: lemon, tag: 'A', bound: 'below' },
  fakesPerYear: { value: 10, error: null, text: '< 10 per year', source: lemon, tag: 'A', bound: 'below' },
  resolutionLemon: { value: 0.18, error: null, text: '18 %', source: lemon, tag: 'A' },
  fakesOfReference: {
    value: 34,
    error: 1,
    text: '33 to 35 per noise frame',
    source: 'reference program on simulated noise frames',
    tag: 'M',
  },
  roiLight: { value: 0.93, error: 0.002, text: '93.0 ± 0.2 %', source: 'autoencoder, arXiv 2512.24290', tag: 'A' },
  roiArea: { value: 0.978, error: 0.001, text: '97.8 ± 0.1 %', source: 'autoencoder, arXiv 2512.24290', tag: 'A' },
  roiMs: {
    value: 25,
    error: null,
    text: 'about 25 ms per frame (GPU)',
    source: 'autoencoder, arXiv 2512.24290',
    tag: 'A',
  },
  wp50: { value: 0.035, error: null, text: '0.50 / 0.035', source: ambe, tag: 'P' },
  wp40: { value: 0.008, error: null, text: '0.40 / 0.008', source: ambe, tag: 'P' },
  spotWidths: [
    {
      zMm: 250,
      value: 0.78,
      error: 0.02,
      text: '0.78 mm',
      source: 'digitizationpp constants, our prototype',
      tag: 'M',
    },
    {
      zMm: 465,
      value: 0.95,
      error: 0.02,
      text: '0.95 mm',
      source: 'digitizationpp constants, our prototype',
      tag: 'M',
    },
  ],
  erDirectionAbove10: {
    value: 30,
    error: null,
    text: '< 30 deg',
    source: 'arXiv 2510.26239',
    tag: 'A',
    bound: 'below',
  },
  erDirection20to60: { value: 20, error: null, text: '< 20 deg', source: 'arXiv 2510.26239', tag: 'A', bound: 'below' },
  referenceSparseMs: {
    value: 9900,
    error: null,
    text: '9.9 to 21.3 s',
    source: 'reference program, one core',
    tag: 'M',
  },
} as const satisfies Record<string, PublishedValue | readonly (PublishedValue & { zMm: number })[]>

/** LIME 55Fe mean and sigma of the integral in counts, by depth of `scanDepthsMm`. */
export const limeScan = [
  {
    run: 'run 2 (440 V)',
    points: [
      { mean: 6990, sigma: 1394 },
      { mean: 9975, sigma: 1634 },
      { mean: 12131, sigma: 1622 },
      { mean: 13535, sigma: 1613 },
      { mean: 14574, sigma: 1745 },
    ],
  },
  {
    run: 'run 3',
    points: [
      { mean: 5026, sigma: 773 },
      { mean: 6561, sigma: 918 },
      { mean: 7642, sigma: 915 },
      { mean: 8235, sigma: 1009 },
      { mean: 8241, sigma: 1059 },
    ],
  },
] as const
export const limeScanSource = { source: scan, tag: 'D' } as const

/** 55Fe light yield of LIME in counts, GEM2 = GEM3 = 440 V, by depth of `yieldDepthsMm`. */
export const yieldTable = [
  { gemVolts: 440, counts: [6018, 8563, 10376, 12317, 13247] },
  { gemVolts: 410, counts: [null, null, 7451, null, null] },
  { gemVolts: 400, counts: [4115, 5728, 5282, 7497, 7601] },
  { gemVolts: 390, counts: [null, null, 5815, null, null] },
  { gemVolts: 360, counts: [2781, 3533, 3754, 4014, 4300] },
] as const
export const yieldSource = { source: 'LIME light-yield table, collaboration repository', tag: 'D' } as const
/** The 400 V entry at 250 mm breaks the trend of its neighbours (390 V 5815, 410 V 7451). */
export const yieldOutlier = { gemVolts: 400, zMm: 250 } as const
