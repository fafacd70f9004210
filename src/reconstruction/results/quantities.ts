/** Which tables can be asked, and the names that are understood in expressions about them. Browser-safe. */
import { clusterColumns } from '../cluster-columns.ts'
import { waveformColumns } from '../waveform-columns.ts'
import type { Quantity } from './expression.ts'

export const sourceNames = ['cluster', 'event', 'waveform'] as const
export type SourceName = (typeof sourceNames)[number]

interface Column {
  name: string
  column: string
  branch: string | null
  unit: string
  meaning: string
  storage: string
  neutral?: number | false
}

/** Words that people use and that no branch carries: the tables of cuts in use are written with them. */
const spoken: Record<string, string[]> = {
  densityCountsPerPx: ['delta', 'density', 'sc_delta'],
  xMeanPx: ['sc_xmean', 'xmean'],
  yMeanPx: ['sc_ymean', 'ymean'],
  xMinPx: ['sc_xmin', 'xmin'],
  xMaxPx: ['sc_xmax', 'xmax'],
  yMinPx: ['sc_ymin', 'ymin'],
  yMaxPx: ['sc_ymax', 'ymax'],
}

const runQuantity: Quantity = {
  name: 'run',
  column: null,
  unit: '',
  meaning: 'run number in its series',
  kind: 'number',
  storage: 'INT32',
  neutral: -1,
  aliases: ['run_number'],
}

function quantitiesOf(columns: readonly Column[]): Quantity[] {
  const names = new Set(columns.map(({ name }) => name.toLowerCase()))
  const own = columns
    .filter(({ storage }) => storage !== 'STRING')
    .map(({ name, column, branch, unit, meaning, storage, neutral }): Quantity => {
      const short = branch?.replace(/^(sc|pmt_wf|pmt_TOT|pmt_peak)_/, '') ?? null
      const aliases = [column, ...(branch === null ? [] : [branch]), ...(spoken[name] ?? [])]
      // `sc_rms` is also `rms`, unless a column is called that.
      if (short !== null && !names.has(short.toLowerCase())) aliases.push(short)
      return {
        name,
        column,
        unit,
        meaning,
        kind: storage === 'BOOLEAN' ? 'flag' : 'number',
        storage: storage as Quantity['storage'],
        neutral: neutral === undefined ? Number.NaN : Number(neutral),
        aliases: [...new Set(aliases)].filter((alias) => alias !== name),
      }
    })
  return [runQuantity, ...own]
}

export const eventColumns: readonly Column[] = [
  ['event', 'event', '', 'event number within the run'],
  ['camera', 'camera', '', 'camera index, 0 = first'],
  ['atMs', 'at_ms', 'ms', 'time of the image, UTC'],
  ['widthPx', 'width_px', 'px', 'columns of the image'],
  ['heightPx', 'height_px', 'px', 'rows of the image'],
  ['macroHits', 'macro_hits', 'cells', 'macro-pixels given to the clustering'],
  ['clusters', 'clusters', '', 'clusters of the image'],
  ['selectedClusters', 'selected_clusters', '', 'clusters that pass the standard quality cut'],
  ['zeroSuppressedSumCounts', 'zero_suppressed_sum_counts', 'counts', 'sum of the pixels above zero suppression'],
  ['detectorPressureBar', 'detector_pressure_bar', 'bar', 'pressure in the detector', 'Lime_pressure'],
  ['atmosphericPressureBar', 'atmospheric_pressure_bar', 'bar', 'pressure of the air', 'Atm_pressure'],
  ['gasTemperatureCelsius', 'gas_temperature_celsius', '°C', 'temperature of the gas', 'Lime_temperature'],
  ['roomTemperatureCelsius', 'room_temperature_celsius', '°C', 'temperature of the room', 'Atm_temperature'],
  ['humidityPercent', 'humidity_percent', '%', 'humidity of the gas', 'Humidity'],
  ['mixtureDensityGPerL', 'mixture_density_g_per_l', 'g/l', 'density of the gas mixture', 'Mixture_Density'],
].map(([name, column, unit, meaning, branch]) => ({
  name: name!,
  column: column!,
  unit: unit!,
  meaning: meaning!,
  branch: branch ?? null,
  storage: 'DOUBLE',
}))

export interface Source {
  /** The file of a run that holds it. */
  file: string
  quantities: readonly Quantity[]
  /** What is drawn when nothing else was asked. */
  first: string
  /** What one row is called: `0 of 12 408 clusters pass`. */
  rows: string
}

export const sources: Readonly<Record<SourceName, Source>> = {
  cluster: {
    file: 'clusters.parquet',
    quantities: quantitiesOf(clusterColumns),
    first: 'integralCounts',
    rows: 'clusters',
  },
  event: {
    file: 'events.parquet',
    quantities: quantitiesOf(eventColumns),
    first: 'selectedClusters',
    rows: 'images',
  },
  waveform: {
    file: 'waveforms.parquet',
    quantities: quantitiesOf(waveformColumns),
    first: 'totalCharge',
    rows: 'waveforms',
  },
}

/** Cuts of the collaboration (section names as people say them), and what is usually looked at with them. */
export interface Preset {
  id: string
  title: string
  meaning: string
  cuts: string
  quantity?: string
  low?: number
  high?: number
  bins?: number
  fit?: 'iron'
  aggregate?: Aggregate
}

export const aggregates = [
  'count',
  'perImage',
  'perSecond',
  'mean',
  'median',
  'rms',
  'ironPeak',
  'ironResolution',
] as const
export type Aggregate = (typeof aggregates)[number]

/** What runs of a trend can be told apart by. */
export const trendGroups = ['none', 'kind', 'source'] as const
export type TrendGroup = (typeof trendGroups)[number]

/** Millimetres of the GEM plane that one pixel sees in LIME; presets are written for it. */
const fakes = 'rmsCounts > 6 and 0.152*latGaussSigmaPx > 0.3'
const fiducial = 'hypot(xMeanPx-1152, yMeanPx-1152) < 800'

export const presets: readonly Preset[] = [
  { id: 'fiducial', title: 'Fiducial', meaning: 'within 800 px of the middle of the image', cuts: fiducial },
  {
    id: 'fakes',
    title: 'No fakes',
    meaning: 'removes clusters of noise: rms above 6 counts, transverse width above 0.3 mm',
    cuts: fakes,
  },
  {
    id: 'electrons',
    title: 'Electron recoils',
    meaning: 'no fakes, fiducial, density 11 to 40',
    cuts: `${fakes} and ${fiducial} and 11 < densityCountsPerPx < 40`,
    quantity: 'integralCounts',
  },
  {
    id: 'spots',
    title: 'Short spots',
    meaning: 'shorter than 50 mm, brighter than 1500 counts, round',
    cuts: '0.152*lengthPx < 50 and integralCounts > 1500 and 0.6 < latGaussSigmaPx/longGaussSigmaPx < 1.1',
    quantity: 'integralCounts',
  },
  {
    id: 'iron',
    title: '⁵⁵Fe monitor',
    meaning: 'integral 4000 to 18 000 counts in 60 bins, peak fitted',
    cuts: '4000 < integralCounts < 18000',
    quantity: 'integralCounts',
    low: 4000,
    high: 18_000,
    bins: 60,
    fit: 'iron',
    aggregate: 'ironPeak',
  },
  {
    id: 'alphas',
    title: 'Alphas',
    meaning: 'alpha counter: dense, long and wide',
    cuts: 'densityCountsPerPx > 25 and lengthPx > 100 and widthPx > 50 and hitsPx/sizePx > 0.1',
    aggregate: 'perSecond',
  },
  {
    id: 'muons',
    title: 'Muons',
    meaning: 'muon counter: thin, long, straight',
    cuts: 'densityCountsPerPx < 9 and lengthPx > 1000 and hitsPx/sizePx > 0.1 and latGaussSigmaPx < 7',
    aggregate: 'perSecond',
  },
  {
    id: 'light',
    title: 'Light yield',
    meaning: 'light yield without a source: 0.0751266 × mean integral of 30 000 to 300 000 counts − 1324.9',
    cuts: `30000 < integralCounts < 300000 and rmsCounts > 6 and 0.152*latGaussSigmaPx > 0.5 and ${fiducial}`,
    quantity: '0.0751266*integralCounts - 1324.9',
    aggregate: 'mean',
  },
  {
    id: 'lemon',
    title: 'LEMON nuclear recoils',
    meaning: 'shorter than 6.3 cm, slimness above 0.3, density above 10',
    cuts: '0.152*lengthPx < 63 and widthPx/lengthPx > 0.3 and densityCountsPerPx > 10',
    quantity: 'integralCounts',
  },
]
