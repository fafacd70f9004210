/** The cluster table, once: schema of the Parquet file, rows of the API, documentation. Runs in browsers and in Node. */
import { z } from 'zod'
import { clusterDetailColumns } from './cluster-detail-columns.ts'

/** One column of the cluster table: the same list makes the Parquet schema, the API rows and the documentation. */
export interface ClusterColumn {
  /** camelCase name in the JSON of the API. */
  name: string
  /** snake_case name in `clusters.parquet`. */
  column: string
  /** Branch name in the reference's output tree, or null where it has none. */
  branch: string | null
  unit: string
  meaning: string
  storage: 'INT32' | 'FLOAT' | 'BOOLEAN'
}

export const clusterColumns = [
  {
    name: 'event',
    column: 'event',
    branch: 'event',
    unit: '',
    meaning: 'event number within the run',
    storage: 'INT32',
  },
  { name: 'camera', column: 'camera', branch: null, unit: '', meaning: 'camera index, 0 = first', storage: 'INT32' },
  {
    name: 'cluster',
    column: 'cluster',
    branch: null,
    unit: '',
    meaning: 'rank in the image by integral, 0 = brightest',
    storage: 'INT32',
  },
  {
    name: 'sizePx',
    column: 'size_px',
    branch: 'sc_size',
    unit: 'px',
    meaning: 'full-resolution pixels of all macro-pixels',
    storage: 'INT32',
  },
  {
    name: 'hitsPx',
    column: 'hits_px',
    branch: 'sc_nhits',
    unit: 'px',
    meaning: 'of those, pixels above zero suppression',
    storage: 'INT32',
  },
  {
    name: 'macroPixels',
    column: 'macro_pixels',
    branch: null,
    unit: 'cells',
    meaning: 'macro-pixels (4x4 pixels) given to the clustering',
    storage: 'INT32',
  },
  {
    name: 'integralCounts',
    column: 'integral_counts',
    branch: 'sc_integral',
    unit: 'counts',
    meaning: 'sum of pedestal-subtracted, vignetting-corrected pixels, negatives included',
    storage: 'FLOAT',
  },
  {
    name: 'rmsCounts',
    column: 'rms_counts',
    branch: 'sc_rms',
    unit: 'counts',
    meaning: 'population standard deviation of those pixels',
    storage: 'FLOAT',
  },
  {
    name: 'xMeanPx',
    column: 'x_mean_px',
    branch: null,
    unit: 'px',
    meaning: 'barycentre, column of the stored frame, weights max(0, counts)',
    storage: 'FLOAT',
  },
  {
    name: 'yMeanPx',
    column: 'y_mean_px',
    branch: null,
    unit: 'px',
    meaning: 'barycentre, row of the stored frame, weights max(0, counts)',
    storage: 'FLOAT',
  },
  { name: 'xMinPx', column: 'x_min_px', branch: null, unit: 'px', meaning: 'first column', storage: 'INT32' },
  { name: 'xMaxPx', column: 'x_max_px', branch: null, unit: 'px', meaning: 'last column (included)', storage: 'INT32' },
  { name: 'yMinPx', column: 'y_min_px', branch: null, unit: 'px', meaning: 'first row', storage: 'INT32' },
  { name: 'yMaxPx', column: 'y_max_px', branch: null, unit: 'px', meaning: 'last row (included)', storage: 'INT32' },
  {
    name: 'lengthPx',
    column: 'length_px',
    branch: 'sc_length',
    unit: 'px',
    meaning: 'extent along the major axis',
    storage: 'FLOAT',
  },
  {
    name: 'widthPx',
    column: 'width_px',
    branch: 'sc_width',
    unit: 'px',
    meaning: 'extent along the minor axis',
    storage: 'FLOAT',
  },
  {
    name: 'longRmsPx',
    column: 'long_rms_px',
    branch: 'sc_longrms',
    unit: 'px',
    meaning: 'light-weighted rms along the major axis',
    storage: 'FLOAT',
  },
  {
    name: 'latRmsPx',
    column: 'lat_rms_px',
    branch: 'sc_latrms',
    unit: 'px',
    meaning: 'light-weighted rms along the minor axis',
    storage: 'FLOAT',
  },
  {
    name: 'thetaDeg',
    column: 'theta_deg',
    branch: 'sc_theta',
    unit: 'deg',
    meaning: 'direction of the major axis, (-90, 90], from +x towards +y',
    storage: 'FLOAT',
  },
  {
    name: 'densityCountsPerPx',
    column: 'density_counts_per_px',
    branch: null,
    unit: 'counts/px',
    meaning: 'integral / hits',
    storage: 'FLOAT',
  },
  {
    name: 'selected',
    column: 'selected',
    branch: null,
    unit: '',
    meaning: 'passes the standard quality cut (rms and integral)',
    storage: 'BOOLEAN',
  },
  ...clusterDetailColumns,
  {
    name: 'truthTrack',
    column: 'truth_track',
    branch: null,
    unit: '',
    meaning: 'simulated track with most of the true light in it, -1 none',
    storage: 'INT32',
  },
  {
    name: 'truthPurity',
    column: 'truth_purity',
    branch: null,
    unit: '',
    meaning: 'share of the true light in it that is that track, -1 unknown',
    storage: 'FLOAT',
  },
] as const satisfies readonly ClusterColumn[]

type Column = (typeof clusterColumns)[number]
type ClusterShape = { [One in Column as One['name']]: One['storage'] extends 'BOOLEAN' ? z.ZodBoolean : z.ZodNumber }

const valueOf = { INT32: z.int(), FLOAT: z.number(), BOOLEAN: z.boolean() }
export const clusterSchema = z.object(
  Object.fromEntries(clusterColumns.map(({ name, storage }) => [name, valueOf[storage]])) as ClusterShape,
)
export type Cluster = z.infer<typeof clusterSchema>
