/** What the room says about the digitizers of a run over HTTP. Runs in browsers and in Node. */
import { z } from 'zod'
import { pageOf, pageQuery } from '../foundation/contract.ts'
import { runReferenceSchema } from '../logbook/contract.ts'
import { waveformSchema } from './waveform-columns.ts'

export type { Waveform } from './waveform-columns.ts'

const params = z.object({ experiment: z.string(), run: runReferenceSchema })
const eventParams = params.extend({ event: z.coerce.number<number | string>().int().min(0) })
const campaign = z.string().min(1).max(63).default('main')

/** How well triggers and clusters were brought together, against the simulator's truth. */
export const matchTruthSchema = z.object({
  /** Selected clusters whose main track made a trigger. */
  clusters: z.int(),
  /** Of those: with its own trigger, with another one, with none. */
  right: z.int(),
  wrong: z.int(),
  missed: z.int(),
  /** Clusters without a trigger of their own (fakes, tracks that made none) that were given one. */
  falselyMatched: z.int(),
  /** right / clusters. */
  efficiency: z.number().nullable(),
  /** (wrong + falsely matched) / all that were given a trigger. */
  wrongRate: z.number().nullable(),
})

/** What a run's digitizers gave; null in the summary of a run without digitizer banks. */
export const waveformSummarySchema = z.object({
  events: z.int(),
  triggers: z.int(),
  /** Rows of the table. */
  waveforms: z.int(),
  exposureMs: z.number().nullable(),
  /** What was done about the errors of the DRS4 chips of the fast digitizer. */
  drs4: z.object({
    state: z.enum(['corrected', 'by-frontend', 'uncorrected', 'not-needed']),
    correctedWaveforms: z.int(),
    uncorrectedWaveforms: z.int(),
    tablesSha256: z.string().nullable(),
    /** For people. */
    note: z.string(),
  }),
  /** Time of one waveform, all steps; null where there are none. */
  fastMsPerWaveform: z.number().nullable(),
  slowMsPerWaveform: z.number().nullable(),
  match: z.object({
    /** Triggers with a pulse on the photomultipliers. */
    triggers: z.int(),
    /** Selected clusters in pictures with such triggers. */
    clusters: z.int(),
    matched: z.int(),
    /** Charge (counts x samples) per count of camera light; null where nothing could be compared. */
    chargePerCount: z.number().nullable(),
    truth: matchTruthSchema.nullable(),
  }),
})
export type WaveformSummary = z.infer<typeof waveformSummarySchema>

export const triggerSchema = z.object({
  trigger: z.int(),
  /** After the start of the exposure. */
  timeMs: z.number(),
  /** Null where the run does not say how long it exposed. */
  insideGlobalExposure: z.boolean().nullable(),
  /** Ranks of the clusters of camera 0 matched to it in the campaign asked for; empty without a result. */
  clusters: z.array(z.int()),
})
export type EventTrigger = z.infer<typeof triggerSchema>

export const traceBoardSchema = z.object({
  name: z.enum(['fast', 'slow', 'other']),
  model: z.int(),
  samples: z.int(),
  nsPerSample: z.number(),
  /** Samples that one pair of `low` and `high` spans; 1 = not thinned out, low = high. */
  samplesPerPoint: z.int(),
  channels: z.array(
    z.object({
      channel: z.int(),
      /** 'trigger', 'PMT1', 'GEM1', ... */
      label: z.string(),
      kind: z.enum(['trigger', 'pmt', 'gem', 'unused']),
      /** Lowest and highest ADC count of each point, as recorded (pulses go down). */
      low: z.array(z.int()),
      high: z.array(z.int()),
    }),
  ),
})
export type TraceBoard = z.infer<typeof traceBoardSchema>

export const tracesAnswer = z.object({
  /** All triggers of the event, in order of time tag number. */
  triggers: z.array(triggerSchema),
  /** Which trigger `boards` shows; null when there is none. */
  trigger: z.int().nullable(),
  exposureMs: z.number().nullable(),
  boards: z.array(traceBoardSchema),
  /** Why there is nothing to draw, a sentence for people; null when there is. */
  note: z.string().nullable(),
})
export type Traces = z.infer<typeof tracesAnswer>

export const waveformRoutes = {
  readTraces: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/events/:event/traces',
    summary:
      'Digitizer triggers of one event and the recorded traces of one of them, thinned out to lowest and highest counts per point',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: eventParams,
    query: z.object({
      trigger: z.coerce.number<number | string | undefined>().int().min(0).default(0),
      points: z.coerce.number<number | string | undefined>().int().min(16).max(8192).default(1024),
      campaign,
    }),
    answer: tracesAnswer,
  },
  listEventWaveforms: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/events/:event/waveforms',
    summary: 'Rows of the waveform table of one event',
    permission: { action: 'data.read', of: 'params.experiment' },
    params: eventParams,
    query: z.object({ campaign }),
    answer: z.object({ items: z.array(waveformSchema), note: z.string().nullable() }),
  },
  listRunWaveforms: {
    method: 'GET',
    path: '/api/experiments/:experiment/runs/:run/waveforms',
    summary: 'Waveform table of a run, in order of event, trigger, digitizer and channel',
    permission: { action: 'data.read', of: 'params.experiment' },
    params,
    query: pageQuery.extend({ campaign }),
    answer: pageOf(waveformSchema).extend({ note: z.string().nullable() }),
  },
} as const
