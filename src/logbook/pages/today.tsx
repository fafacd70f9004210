/** The last 24 hours in four numbers and one strip. */
import { useState } from 'react'
import type { ReactNode } from 'react'
import { useLocation } from 'wouter'
import {
  Answer,
  Count,
  Figure,
  apiOf,
  formatBytes,
  formatMoment,
  useAnswer,
  useZone,
} from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import type { Run } from '../contract.ts'
import { clipRun, sumRuns } from './day-strip.ts'
import { runAddress } from './marks.tsx'
import { t } from './messages.ts'

const spanMs = 24 * 3_600_000

export function Today(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const runs = useAnswer(['logbook', 'runs', experiment, 'day'], async (signal) => {
    const toMs = Date.now()
    const answer = await apiOf(logbookContract).listRuns(
      { params: { experiment }, query: { limit: 1000, startedFromMs: toMs - spanMs } },
      { signal },
    )
    return { items: answer.items, fromMs: toMs - spanMs, toMs }
  })
  return (
    <Answer to={runs}>
      {({ items, fromMs, toMs }) => {
        const sum = sumRuns(items, fromMs, toMs)
        return (
          <>
            <div className="cy-figures">
              <Figure value={<Count of={sum.runs} />} label={t('home.todayRuns')} />
              <Figure value={<Count of={sum.images} />} label={t('home.todayImages')} />
              <Figure value={formatBytes(sum.sizeBytes)} label={t('home.todaySize')} />
              <Figure
                value={
                  sum.liveShare > 0 && sum.liveShare < 0.01
                    ? t('home.lessThanOne')
                    : `${Math.round(sum.liveShare * 100)} %`
                }
                label={t('home.todayLive')}
              />
            </div>
            <Strip experiment={experiment} runs={items} fromMs={fromMs} toMs={toMs} />
          </>
        )
      }}
    </Answer>
  )
}

const tones: Record<Run['state'], string> = {
  recording: 'var(--cy-info)',
  closing: 'var(--cy-info)',
  closed: 'var(--cy-stale)',
  crashed: 'var(--cy-warning)',
}

function Strip(props: { experiment: string; runs: Run[]; fromMs: number; toMs: number }): ReactNode {
  const zone = useZone()
  const [, navigate] = useLocation()
  const [hover, setHover] = useState<Run | undefined>(undefined)
  const share = (atMs: number): number => ((atMs - props.fromMs) / (props.toMs - props.fromMs)) * 1000
  const hours = Array.from({ length: 9 }, (_, index) => props.fromMs + (index * spanMs) / 8)
  return (
    <div className="cy-day">
      <svg
        className="cy-strip"
        viewBox="0 0 1000 30"
        preserveAspectRatio="none"
        role="img"
        aria-label={t('home.strip')}
      >
        <rect x="0" y="6" width="1000" height="18" fill="var(--cy-row)" />
        {props.runs.map((run) => {
          const span = clipRun(run, props.fromMs, props.toMs)
          if (span === undefined) return null
          return (
            <rect
              key={run.id}
              className="cy-strip-run"
              x={share(span.fromMs)}
              y={run.kind === 'pedestal' ? 15 : 6}
              width={Math.max(share(span.toMs) - share(span.fromMs), 1.5)}
              height={run.kind === 'pedestal' ? 9 : 18}
              fill={run.faults > 0 ? 'var(--cy-warning)' : tones[run.state]}
              onMouseEnter={() => setHover(run)}
              onMouseLeave={() => setHover(undefined)}
              onClick={() => navigate(runAddress(props.experiment, run.reference))}
            />
          )
        })}
      </svg>
      <div className="cy-strip-hours cy-quiet cy-small" aria-hidden="true">
        {hours.map((atMs) => (
          <span key={atMs} className="cy-number">
            {formatMoment(atMs, zone, 'short').slice(0, 5)}
            {formatMoment(atMs, zone, 'short').slice(8)}
          </span>
        ))}
      </div>
      <p className="cy-quiet cy-small" aria-hidden="true">
        {hover === undefined
          ? ' '
          : `${hover.reference} · ${t(`kind.${hover.kind}`)} · ${hover.startedMs === null ? '' : formatMoment(hover.startedMs, zone)} · ${hover.description}`}
      </p>
    </div>
  )
}
