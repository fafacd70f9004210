/**
 * `reco_run00012_3D.root`: the result of a run under the branch names of the reference (study 1.9 and 2.2), for those who
 * open it with ROOT or uproot. Trees: `Events` (one entry per image, arrays `sc_*[nSc]`), `PMT_Events`,
 * `PMT_Avg_Events`, `GEM_Events`, `Reco_params` (one entry), and the code version as a text.
 *
 * Axes are the reference's: x is the row of the stored frame and y its column counted from the right. Columns of ours
 * that it has no branch for stand beside under their own names (`recoil_score`, `truth_track`, ...). Times of the steps are
 * left out: the same run, code, parameters and calibration give the same bytes.
 */
import { createRootFile } from '../detector/index.ts'
import type { RootColumn, RootRows } from '../detector/index.ts'
import { clusterColumns } from './cluster-columns.ts'
import type { Cluster } from './contract.ts'
import { createProductReader } from './product-reader.ts'
import { eventColumns } from './products.ts'
import type { ImageRows, Lineage } from './products.ts'
import { averageChannel } from './waveform-columns.ts'
import type { Waveform } from './waveform-columns.ts'

export interface RootSources {
  images: readonly ImageRows[]
  lineage: Lineage
  /** Number of the pedestal run, -1 unknown. */
  pedestalRun: number
  /** The run's waveforms.parquet and pixels.parquet, where there are some and they shall be in. */
  waveformPath?: string | undefined
  pixelPath?: string | undefined
}

const waveformPage = 2000

/** Branches whose meaning depends on the axes: ours to the reference's. */
const turned: { branch: string; kind: RootColumn['kind']; of(cluster: Cluster, widthPx: number): number }[] = [
  { branch: 'sc_xmean', kind: 'float', of: ({ yMeanPx }) => yMeanPx },
  {
    branch: 'sc_ymean',
    kind: 'float',
    of: ({ xMeanPx, integralCounts }, width) => (xMeanPx === 0 && integralCounts < 10 ? 0 : width - 1 - xMeanPx),
  },
  { branch: 'sc_xmin', kind: 'float', of: ({ yMinPx }) => yMinPx },
  { branch: 'sc_xmax', kind: 'float', of: ({ yMaxPx }) => yMaxPx },
  { branch: 'sc_ymin', kind: 'float', of: ({ xMaxPx }, width) => width - 1 - xMaxPx },
  { branch: 'sc_ymax', kind: 'float', of: ({ xMinPx }, width) => width - 1 - xMinPx },
  { branch: 'sc_theta', kind: 'float', of: ({ thetaDeg }) => turnedAngle(thetaDeg) },
]
const kinds = { INT32: 'int', FLOAT: 'float', BOOLEAN: 'boolean' } as const
const perImage = new Set(['event', 'camera'])
const straight = clusterColumns
  .filter(
    ({ name, branch }) =>
      !perImage.has(name) && !turned.some((one) => one.branch === branch) && !/^[xy](Mean|Min|Max)Px$/.test(name),
  )
  .map(({ name, column, branch, storage }) => ({ name, branch: branch ?? column, kind: kinds[storage] }))

/** Throws `badTable` and errors of the disk. `atMs` stands as the time in the file: that of the run. */
export async function writeRootProducts(
  path: string,
  runNumber: number,
  sources: RootSources,
  atMs: number,
): Promise<void> {
  const file = await createRootFile(path, { atMs })
  await writeEvents(file, runNumber, sources)
  if (sources.waveformPath !== undefined) await writeWaveforms(file, runNumber, sources.waveformPath)
  await writeParameters(file, sources.lineage)
  await file.text('reco_git_hash', sources.lineage.codeVersion)
  await file.close()
}

type RootFile = Awaited<ReturnType<typeof createRootFile>>

async function writeEvents(
  file: RootFile,
  runNumber: number,
  { images, pedestalRun, pixelPath }: RootSources,
): Promise<void> {
  const surroundings = eventColumns.flatMap((one) => ('branch' in one ? [{ name: one.name, branch: one.branch }] : []))
  const list = (name: string, kind: RootColumn['kind'], counter: string): RootColumn => ({ name, kind, counter })
  const tree = file.tree('Events', 'reconstructed images', [
    ...['run', 'event', 'camera', 'pedestal_run'].map((name): RootColumn => ({ name, kind: 'int' })),
    { name: 'cmos_integral', kind: 'double' },
    { name: 'cmos_mean', kind: 'double' },
    { name: 'lp_len', kind: 'int' },
    ...surroundings.map(({ branch }): RootColumn => ({ name: branch, kind: 'double' })),
    { name: 'nSc', kind: 'int' },
    ...straight.map(({ branch, kind }) => list(branch, kind, 'nSc')),
    ...turned.map(({ branch, kind }) => list(branch, kind, 'nSc')),
    list('sc_pearson', 'float', 'nSc'),
    list('sc_redpixIdx', 'int', 'nSc'),
    { name: 'nRedpix', kind: 'int' },
    list('redpix_ix', 'int', 'nRedpix'),
    list('redpix_iy', 'int', 'nRedpix'),
    list('redpix_iz', 'float', 'nRedpix'),
  ])
  const reader = createProductReader()
  for (const { row, clusters } of images) {
    const pixels = pixelPath === undefined ? [] : await reader.pixelsOfEvent(pixelPath, row.event)
    const own = pixels.filter(({ camera }) => camera === row.camera)
    const firstPixel = new Map<number, number>()
    own.forEach(({ cluster }, index) => firstPixel.has(cluster) || firstPixel.set(cluster, index))
    const rows: Record<string, ArrayLike<number>> = {
      run: [runNumber],
      event: [row.event],
      camera: [row.camera],
      pedestal_run: [pedestalRun],
      cmos_integral: [row.zeroSuppressedSumCounts],
      cmos_mean: [row.zeroSuppressedSumCounts / (row.widthPx * row.heightPx)],
      lp_len: [row.macroHits],
      nSc: [clusters.length],
      nRedpix: [own.length],
      redpix_ix: own.map(({ yPx }) => yPx),
      redpix_iy: own.map(({ xPx }) => row.widthPx - 1 - xPx),
      redpix_iz: own.map(({ counts }) => counts),
      sc_pearson: clusters.map(() => 999),
      sc_redpixIdx: clusters.map(({ cluster }) => firstPixel.get(cluster) ?? -1),
    }
    for (const { name, branch } of surroundings) rows[branch] = [Number(row[name] ?? Number.NaN)]
    for (const { name, branch } of straight) rows[branch] = clusters.map((cluster) => Number(cluster[name]))
    for (const { branch, of } of turned) rows[branch] = clusters.map((cluster) => of(cluster, row.widthPx))
    await tree.fill(1, rows)
  }
}

/** The reference keeps tubes, their mean and GEM signals in trees of their own. */
async function writeWaveforms(file: RootFile, runNumber: number, path: string): Promise<void> {
  const trees = {
    tubes: file.tree('PMT_Events', 'photomultipliers', waveformBranches),
    mean: file.tree('PMT_Avg_Events', 'weighted mean of the photomultipliers', waveformBranches),
    gems: file.tree('GEM_Events', 'GEM signals', waveformBranches),
  }
  const reader = createProductReader()
  for (let fromRow: number | null = 0; fromRow !== null;) {
    const page: { items: Waveform[]; nextRow: number | null } = await reader.waveforms(path, {
      fromRow,
      limit: waveformPage,
    })
    for (const waveform of page.items) {
      const tree = waveform.gem ? trees.gems : waveform.channel === averageChannel ? trees.mean : trees.tubes
      await tree.fill(1, waveformRows(runNumber, waveform))
    }
    fromRow = page.nextRow
  }
}

const peakBranches = ['pmt_peak_Position', 'pmt_peak_Height', 'pmt_peak_HalfWidth', 'pmt_peak_FullWidth']
const waveformBranches: RootColumn[] = [
  { name: 'pmt_wf_ID', kind: 'long' },
  ...['run', 'event', 'trigger', 'channel', 'insideGE', 'sampling'].map((name): RootColumn => ({
    name: `pmt_wf_${name}`,
    kind: 'int',
  })),
  ...['TTT', 'baseline', 'RMS', 'tot_integral', 'tot_charge', 'max_ampl'].map((name): RootColumn => ({
    name: `pmt_wf_${name}`,
    kind: 'double',
  })),
  { name: 'pmt_TOT_time', kind: 'int' },
  { name: 'pmt_TOT_area', kind: 'double' },
  { name: 'pmt_wf_nPeaks', kind: 'int' },
  { name: 'pmt_peak_Number', kind: 'int', counter: 'pmt_wf_nPeaks' },
  ...peakBranches.map((name): RootColumn => ({ name, kind: 'double', counter: 'pmt_wf_nPeaks' })),
]

function waveformRows(runNumber: number, one: Waveform): RootRows {
  const peaks = JSON.parse(one.peakList) as number[][]
  return {
    pmt_wf_ID: [Number(`${one.event}${one.trigger}${one.channel}`)],
    pmt_wf_run: [runNumber],
    pmt_wf_event: [one.event],
    pmt_wf_trigger: [one.trigger],
    pmt_wf_channel: [one.channel],
    pmt_wf_insideGE: [one.insideGlobalExposure ? 1 : 0],
    pmt_wf_sampling: [one.samplesPerWaveform],
    pmt_wf_TTT: [one.triggerTimeMs],
    pmt_wf_baseline: [one.baselineCounts],
    pmt_wf_RMS: [one.rmsCounts],
    pmt_wf_tot_integral: [one.totalIntegralCounts],
    pmt_wf_tot_charge: [one.totalCharge],
    pmt_wf_max_ampl: [one.maximumCounts],
    pmt_TOT_time: [one.timeOverThresholdSamples],
    pmt_TOT_area: [one.timeOverThresholdArea],
    pmt_wf_nPeaks: [peaks.length],
    pmt_peak_Number: peaks.map((_, number) => number),
    ...Object.fromEntries(peakBranches.map((name, column) => [name, peaks.map((peak) => peak[column]!)])),
  }
}

/** One entry; parameters that are words are left to the Parquet metadata. */
async function writeParameters(file: RootFile, { parameters }: Lineage): Promise<void> {
  const numbers = Object.entries(parameters).filter((one): one is [string, number] => typeof one[1] === 'number')
  const tree = file.tree(
    'Reco_params',
    'parameters of the reconstruction',
    numbers.map(([name]) => ({ name, kind: 'double' })),
  )
  await tree.fill(1, Object.fromEntries(numbers.map(([name, value]) => [name, [value]])))
}

/** The major axis (column, row) seen with x = row and y = -column; (-90, 90] degrees. */
function turnedAngle(thetaDeg: number): number {
  const angle = thetaDeg - 90
  return angle <= -90 ? angle + 180 : angle
}
