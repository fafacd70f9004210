/**
 * The waveform table, once: schema of `waveforms.parquet`, rows of the API, documentation. One row per trigger and
 * channel of each digitizer. Runs in browsers and in Node.
 *
 * The reference calls sums of ADC counts "charge" and the channel that is the mean of all tubes 9; the names of its
 * branches are kept, units here are what the numbers are.
 */
import { z } from 'zod'

export interface WaveformColumn {
  name: string
  column: string
  /** Branch in the reference's trees PMT_Events, PMT_Avg_Events and GEM_Events. */
  branch: string | null
  unit: string
  meaning: string
  storage: 'INT32' | 'FLOAT' | 'DOUBLE' | 'BOOLEAN' | 'STRING'
}

export { averageChannel } from './waveform-parameters.ts'

export const waveformColumns = [
  {
    name: 'event',
    column: 'event',
    branch: 'pmt_wf_event',
    unit: '',
    meaning: 'event number within the run',
    storage: 'INT32',
  },
  {
    name: 'trigger',
    column: 'trigger',
    branch: 'pmt_wf_trigger',
    unit: '',
    meaning: 'trigger number within the event, from 0',
    storage: 'INT32',
  },
  {
    name: 'channel',
    column: 'channel',
    branch: 'pmt_wf_channel',
    unit: '',
    meaning: '1 to 4 photomultipliers, 5 to 7 GEMs, 9 the weighted mean of the photomultipliers',
    storage: 'INT32',
  },
  {
    name: 'gem',
    column: 'gem',
    branch: null,
    unit: '',
    meaning: 'a GEM signal (tree GEM_Events)',
    storage: 'BOOLEAN',
  },
  {
    name: 'samplesPerWaveform',
    column: 'samples_per_waveform',
    branch: 'pmt_wf_sampling',
    unit: 'samples',
    meaning: '1024 of 4/3 ns: fast digitizer; 4000 of 4 ns: slow digitizer',
    storage: 'INT32',
  },
  {
    name: 'insideGlobalExposure',
    column: 'inside_global_exposure',
    branch: 'pmt_wf_insideGE',
    unit: '',
    meaning: 'every row of the rolling shutter was exposed when it triggered',
    storage: 'BOOLEAN',
  },
  {
    name: 'triggerTimeMs',
    column: 'trigger_time_ms',
    branch: 'pmt_wf_TTT',
    unit: 'ms',
    meaning: 'trigger time tag after the start of the exposure',
    storage: 'DOUBLE',
  },
  {
    name: 'baselineCounts',
    column: 'baseline_counts',
    branch: 'pmt_wf_baseline',
    unit: 'counts',
    meaning: 'mean of the first samples; taken off and the pulse turned upwards for all that follows',
    storage: 'FLOAT',
  },
  {
    name: 'rmsCounts',
    column: 'rms_counts',
    branch: 'pmt_wf_RMS',
    unit: 'counts',
    meaning: 'standard deviation of the first samples after smoothing',
    storage: 'FLOAT',
  },
  {
    name: 'totalIntegralCounts',
    column: 'total_integral_counts',
    branch: 'pmt_wf_tot_integral',
    unit: 'counts',
    meaning: 'sum of all smoothed samples',
    storage: 'FLOAT',
  },
  {
    name: 'totalCharge',
    column: 'total_charge',
    branch: 'pmt_wf_tot_charge',
    unit: 'counts ns/ohm',
    meaning: 'integral x (4/3 ns)/(50 ohm), also for the slow digitizer, as the reference has it: not a charge',
    storage: 'FLOAT',
  },
  {
    name: 'maximumCounts',
    column: 'maximum_counts',
    branch: 'pmt_wf_max_ampl',
    unit: 'counts',
    meaning: 'highest smoothed sample',
    storage: 'FLOAT',
  },
  {
    name: 'peaks',
    column: 'peaks',
    branch: 'pmt_wf_nPeaks',
    unit: '',
    meaning: 'number of peaks',
    storage: 'INT32',
  },
  {
    name: 'timeOverThresholdSamples',
    column: 'time_over_threshold_samples',
    branch: 'pmt_TOT_time',
    unit: 'samples',
    meaning: 'length of the interval above threshold with the largest area, 0 none',
    storage: 'INT32',
  },
  {
    name: 'timeOverThresholdArea',
    column: 'time_over_threshold_area',
    branch: 'pmt_TOT_area',
    unit: 'counts',
    meaning: 'sum of the samples of that interval',
    storage: 'FLOAT',
  },
  {
    name: 'peakList',
    column: 'peak_list',
    branch: 'pmt_peak_Position, pmt_peak_Height, pmt_peak_HalfWidth, pmt_peak_FullWidth',
    unit: 'samples, counts, samples, samples',
    meaning: 'JSON [[position, height, width at 50 % of the prominence, width at 95 %], ...]',
    storage: 'STRING',
  },
] as const satisfies readonly WaveformColumn[]

export const waveformSchema = z.object({
  event: z.int(),
  trigger: z.int(),
  channel: z.int(),
  gem: z.boolean(),
  samplesPerWaveform: z.int(),
  insideGlobalExposure: z.boolean(),
  triggerTimeMs: z.number(),
  baselineCounts: z.number(),
  rmsCounts: z.number(),
  totalIntegralCounts: z.number(),
  totalCharge: z.number(),
  maximumCounts: z.number(),
  peaks: z.int(),
  timeOverThresholdSamples: z.int(),
  timeOverThresholdArea: z.number(),
  peakList: z.string(),
})
export type Waveform = z.infer<typeof waveformSchema>
