/** Traces of the photomultipliers, linked with the image: a trigger shows its clusters, a cluster its trigger. */
import { Button } from '@mantine/core'
import { useMemo, useRef } from 'react'
import type { ReactNode } from 'react'
import { Problem, apiOf, formatCount, significant, useAnswer } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { TraceBoard, Traces, Waveform } from '../../contract.ts'
import { t } from '../messages.ts'
import type { EventName } from './event-data.ts'
import { aboveThreshold, envelopePath, peaksOf, shownChannels } from './traces.ts'
import type { ViewState, ViewStore } from './view-state.ts'

const points = 600
const height = 56

export interface TraceData {
  traces: Traces | undefined
  waveforms: Waveform[]
  error: unknown
}

/** Triggers of the event, and the traces of the chosen one. */
export function useTraces(name: EventName, view: ViewState): TraceData {
  const params = { experiment: name.experiment, run: `${name.series}:${name.number}`, event: name.event }
  const trigger = view.trigger ?? 0
  const { campaign } = view
  const traces = useAnswer(
    ['reconstruction', 'traces', params, trigger, campaign],
    (signal) => apiOf(reconstructionContract).readTraces({ params, query: { trigger, points, campaign } }, { signal }),
    { keepPrevious: true },
  )
  const waveforms = useAnswer(['reconstruction', 'event-waveforms', params, campaign], (signal) =>
    apiOf(reconstructionContract).listEventWaveforms({ params, query: { campaign } }, { signal }),
  )
  // While another trigger of the same event is fetched the traces before stay; those of another event would mislead.
  const event = JSON.stringify(params)
  const shown = useRef('')
  if (traces.data !== undefined && !traces.isPlaceholderData) shown.current = event
  const data = traces.isPlaceholderData && shown.current !== event ? undefined : traces.data
  return { traces: data, waveforms: waveforms.data?.items ?? [], error: traces.error }
}

export function TracePanel(props: { data: TraceData; store: ViewStore; view: ViewState }): ReactNode {
  const { data, store, view } = props
  const { traces } = data
  // Without anything to draw the panel says why, in one line.
  const empty = traces !== undefined && traces.boards.length === 0
  const open = view.traces && !empty
  return (
    <section className="cy-panel cy-traces" aria-label={t('traces.title')}>
      <div className="cy-panel-head">
        <h2>{t('traces.title')}</h2>
        {traces?.note !== null && traces !== undefined && <span className="cy-quiet">{traces.note}</span>}
        <div className="cy-panel-aside">
          {!empty && (
            <Button
              size="compact-xs"
              variant="default"
              aria-expanded={open}
              onClick={() => store.set({ traces: !view.traces })}
            >
              {t(open ? 'traces.hide' : 'traces.show')}
            </Button>
          )}
        </div>
      </div>
      {open && data.error !== null && traces === undefined && <Problem error={data.error} />}
      {open && traces !== undefined && (
        <>
          <TriggerButtons traces={traces} store={store} />
          <div className="cy-boards">
            {traces.boards.map((board) => (
              <Board
                key={board.model}
                board={board}
                rows={data.waveforms.filter(
                  (row) => row.trigger === traces.trigger && row.samplesPerWaveform === board.samples,
                )}
              />
            ))}
          </div>
        </>
      )}
    </section>
  )
}

function TriggerButtons(props: { traces: Traces; store: ViewStore }): ReactNode {
  const { traces, store } = props
  return (
    <div className="cy-row" role="group" aria-label={t('traces.triggers')}>
      {traces.triggers.map((trigger) => {
        const clusters = trigger.clusters.map((cluster) => `c${cluster}`).join(' ')
        const here = trigger.trigger === traces.trigger
        return (
          <Button
            key={trigger.trigger}
            size="compact-xs"
            variant={here ? 'filled' : 'default'}
            aria-pressed={here}
            title={t(trigger.insideGlobalExposure === false ? 'traces.outsideExposure' : 'traces.insideExposure')}
            onClick={() => store.set({ trigger: trigger.trigger, cluster: trigger.clusters[0] ?? store.get().cluster })}
          >
            {t('traces.trigger', { number: trigger.trigger + 1, ms: significant(trigger.timeMs, 4) })}
            {clusters !== '' && <span className="cy-trigger-clusters"> {clusters}</span>}
            {trigger.insideGlobalExposure === false && ' ◐'}
          </Button>
        )
      })}
    </div>
  )
}

function Board(props: { board: TraceBoard; rows: Waveform[] }): ReactNode {
  const { board, rows } = props
  const spanNs = board.samples * board.nsPerSample
  return (
    <figure className="cy-board">
      <figcaption>
        {t('traces.board', {
          name: t(`board.${board.name}`),
          samples: formatCount(board.samples),
          ns: significant(board.nsPerSample, 3),
          us: significant(spanNs / 1000, 3),
        })}
      </figcaption>
      {shownChannels(board).map((channel) => (
        <Channel
          key={channel.channel}
          board={board}
          channel={channel}
          row={rows.find((row) => row.channel === channel.channel)}
        />
      ))}
    </figure>
  )
}

function Channel(props: {
  board: TraceBoard
  channel: TraceBoard['channels'][number]
  row: Waveform | undefined
}): ReactNode {
  const { board, channel, row } = props
  const envelope = useMemo(() => envelopePath(channel.low, channel.high, 1000, height), [channel])
  const peaks = row === undefined ? [] : peaksOf(row)
  const at = (sample: number): number => (sample / board.samples) * 1000
  const words =
    row === undefined
      ? t('traces.notAnalysed')
      : t('traces.numbers', {
          baseline: significant(row.baselineCounts, 4),
          rms: significant(row.rmsCounts, 3),
          peaks: row.peaks,
          tot: significant(row.timeOverThresholdSamples * board.nsPerSample, 3),
          top: significant(row.maximumCounts, 4),
        })
  const over =
    row === undefined
      ? undefined
      : aboveThreshold(channel, row.baselineCounts, row.timeOverThresholdSamples, board.samplesPerPoint)
  const baselineY = row === undefined ? undefined : envelope.yOf(row.baselineCounts)
  return (
    <div className="cy-channel">
      <strong>{channel.label}</strong>
      <svg
        viewBox={`0 0 1000 ${height}`}
        preserveAspectRatio="none"
        role="img"
        aria-label={`${channel.label}: ${words}`}
      >
        {peaks.map((peak) => (
          <rect
            key={peak.position}
            className="cy-channel-peak"
            x={at(peak.position - peak.halfWidth / 2)}
            width={Math.max(at(peak.halfWidth), 2)}
            y={0}
            height={height}
          />
        ))}
        {baselineY !== undefined && (
          <line className="cy-channel-baseline" x1="0" x2="1000" y1={baselineY} y2={baselineY} />
        )}
        <path className="cy-channel-trace" d={envelope.path} />
        {over !== undefined && (
          <rect
            className="cy-channel-over"
            x={at(over.from)}
            width={Math.max(at(over.to - over.from), 2)}
            y={height - 3}
            height={3}
          />
        )}
        {peaks.map((peak) => (
          <line
            key={peak.position}
            className="cy-channel-mark"
            x1={at(peak.position)}
            x2={at(peak.position)}
            y1={0}
            y2={9}
          />
        ))}
      </svg>
      <small className="cy-quiet cy-number">{words}</small>
    </div>
  )
}
