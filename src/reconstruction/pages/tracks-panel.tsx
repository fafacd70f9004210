/** On the run page: what the reconstruction says about this run, drawn rather than listed. */
import { Button, NativeSelect } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import {
  Answer,
  Count,
  Empty,
  Facts,
  Figure,
  Moment,
  Problem,
  StateMark,
  apiOf,
  significant,
  useAnswer,
  useMay,
} from '../../foundation/browser.tsx'
import type { RunPanelProps } from '../../foundation/browser.tsx'
import { HistogramPlot, LinePlot } from '../../foundation/browser-plot.tsx'
import { addressOfResults, automaticCampaign, reconstructionContract } from '../contract.ts'
import type { ReconstructionSummary, ReconstructionTask, TruthSummary } from '../contract.ts'
import { t } from './messages.ts'

export default function TracksPanel(props: RunPanelProps): ReactNode {
  const { experiment, series, number } = props
  const run = useAnswer(['reconstruction', 'run', experiment, series, number], (signal) =>
    apiOf(reconstructionContract).showRun({ params: { experiment, run: `${series}:${number}` } }, { signal }),
  )
  const [campaign, setCampaign] = useState(automaticCampaign)
  return (
    <Answer to={run}>
      {({ tasks, summaries }) => {
        const names = [...new Set(summaries.map((summary) => summary.campaign))]
        const summary = summaries.find((item) => item.campaign === campaign) ?? summaries[0]
        const task = tasks.find((item) => item.campaign === campaign) ?? tasks[0]
        if (task?.kind === 'pedestal' && task.state === 'done') {
          return (
            <p className="cy-row">
              <StateMark tone="verified">{t('tracks.pedestal')}</StateMark>{' '}
              <JobLink experiment={experiment} task={task} />
            </p>
          )
        }
        return (
          <div className="cy-stack">
            {(task === undefined || task.state !== 'done' || summary === undefined) && (
              <NotYet {...props} task={task} />
            )}
            {names.length > 1 && (
              <NativeSelect
                size="xs"
                label={t('tracks.campaign')}
                value={campaign}
                onChange={(event) => setCampaign(event.currentTarget.value)}
                data={names}
              />
            )}
            {summary !== undefined && <Summary run={props} summary={summary} task={task} />}
          </div>
        )
      }}
    </Answer>
  )
}

function NotYet(props: RunPanelProps & { task: ReconstructionTask | undefined }): ReactNode {
  const { task } = props
  const recording = props.state === 'recording' || props.state === 'closing'
  if (task?.state === 'failed') {
    return (
      <div className="cy-problem" role="alert">
        <strong>{t('tracks.failed', { reason: task.reason ?? '' })}</strong>
        <p>{t('tracks.failedMeans')}</p>
        <div className="cy-row">
          <Again {...props} label={t('tracks.again')} />
          <JobLink experiment={props.experiment} task={task} />
        </div>
      </div>
    )
  }
  if (task?.state === 'submitted') {
    return (
      <p className="cy-row">
        <StateMark tone="info">{t('tracks.working')}</StateMark> <JobLink experiment={props.experiment} task={task} />
      </p>
    )
  }
  if (task?.state === 'waiting')
    return (
      <p>
        <StateMark tone="quiet">{t('tracks.waiting', { reason: task.reason ?? '' })}</StateMark>
      </p>
    )
  return (
    <Empty title={t('tracks.notYet')}>
      <p>{recording ? t('tracks.notYetRecording') : t('tracks.notYetClosed')}</p>
      {!recording && <Again {...props} label={t('tracks.start')} />}
    </Empty>
  )
}

function JobLink(props: { experiment: string; task: ReconstructionTask }): ReactNode {
  if (props.task.jobId === null) return null
  return <Link href={`/e/${props.experiment}/jobs/${props.task.jobId}`}>{t('tracks.job')}</Link>
}

function Again(props: RunPanelProps & { label: string }): ReactNode {
  const may = useMay()
  const queries = useQueryClient()
  const start = useMutation({
    mutationFn: () =>
      apiOf(reconstructionContract).startReconstruction({
        params: { experiment: props.experiment },
        body: { series: props.series, numbers: [props.number], force: true },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['reconstruction'] }),
  })
  if (!may('reconstruction.run', props.experiment)) return null
  return (
    <span className="cy-row">
      <Button size="compact-sm" variant="default" loading={start.isPending} onClick={() => start.mutate()}>
        {props.label}
      </Button>
      {start.isSuccess && <span role="status">{t('tracks.started')}</span>}
      {start.error !== null && <Problem error={start.error} />}
    </span>
  )
}

function Summary(props: {
  run: RunPanelProps
  summary: ReconstructionSummary
  task: ReconstructionTask | undefined
}): ReactNode {
  const { summary, run } = props
  const { details } = summary
  const share = (value: number | null): string | undefined =>
    value === null ? undefined : `${(value * 100).toFixed(1)} %`
  const efficiency = share(summary.efficiency)
  const purity = share(summary.purity)
  return (
    <>
      <div className="cy-figures">
        <Figure
          value={t('tracks.imagesOf', { done: details.imagesReconstructed, all: summary.images })}
          label={t('tracks.images')}
        />
        <Figure value={<Count of={summary.clusters} />} label={t('tracks.clusters')} />
        <Figure value={<Count of={summary.selectedClusters} />} label={t('tracks.selected')} />
        <Figure
          value={
            details.imagesReconstructed > 0
              ? significant(summary.selectedClusters / details.imagesReconstructed, 3)
              : '–'
          }
          label={t('tracks.perImage')}
        />
        {efficiency !== undefined && <Figure value={efficiency} label={t('tracks.efficiency')} />}
        {purity !== undefined && <Figure value={purity} label={t('tracks.purity')} />}
      </div>
      {!summary.complete && (
        <StateMark tone="warning" className="cy-wrap">
          {t('tracks.incomplete', { problems: details.problems.join('; ') })}
        </StateMark>
      )}
      <div className="cy-plots">
        <PerImage run={run} />
        {details.histograms.map((histogram) => (
          <div key={histogram.quantity}>
            <HistogramPlot
              title={t('tracks.histogram', { quantity: wordsOf(histogram.quantity) })}
              of={histogram}
              xLabel={
                histogram.unit === ''
                  ? wordsOf(histogram.quantity)
                  : `${wordsOf(histogram.quantity)} [${histogram.unit}]`
              }
            />
            <Link
              className="cy-plot-link"
              href={addressOfResults(run.experiment, {
                sel: `${run.series}:${run.number}`,
                campaign: summary.campaign,
                x: histogram.quantity,
                cuts: 'selected',
              })}
            >
              {t('results.panelOpen')}
              <span className="cy-visually-hidden">
                {t('results.panelLink', { quantity: wordsOf(histogram.quantity) })}
              </span>
            </Link>
          </div>
        ))}
      </div>
      {details.truth !== null && <TruthTable truth={details.truth} />}
      <Facts
        items={[
          [t('tracks.campaign'), summary.campaign],
          [t('tracks.code'), <code key="code">{summary.codeVersion.slice(0, 16)}</code>],
          [
            t('tracks.calibration'),
            summary.calibrationId === null ? undefined : (
              <code key="calibration">{summary.calibrationId.slice(-12)}</code>
            ),
          ],
          [t('tracks.made'), <Moment key="made" atMs={summary.madeAtMs} />],
          [
            t('tracks.took'),
            t('tracks.tookWith', { seconds: significant(details.wallMs / 1000, 3), workers: details.workers }),
          ],
          [
            t('tracks.files'),
            <Link
              key="files"
              href={`/e/${run.experiment}/data/${summary.bucket}?prefix=${encodeURIComponent(summary.prefix.endsWith('/') ? summary.prefix : `${summary.prefix}/`)}`}
            >
              {summary.prefix}
            </Link>,
          ],
          [
            t('tracks.job'),
            props.task?.jobId ? <JobLink key="job" experiment={run.experiment} task={props.task} /> : undefined,
          ],
        ]}
      />
      <div>
        <Again {...run} label={t('tracks.again')} />
      </div>
    </>
  )
}

/** `integralCounts` reads better as `integral`: the unit stands in brackets beside it. */
export function wordsOf(quantity: string): string {
  const name = quantity.replace(/(?:CountsPerPx|Counts|Px|Deg)$/, '')
  return name
    .replaceAll(/([a-z])([A-Z])/g, '$1 $2')
    .replaceAll('_', ' ')
    .toLowerCase()
}

function PerImage(props: { run: RunPanelProps }): ReactNode {
  const { experiment, series, number } = props.run
  const [, navigate] = useLocation()
  const params = { experiment, run: `${series}:${number}` }
  const events = useAnswer(['reconstruction', 'events', params], (signal) =>
    apiOf(reconstructionContract).listRunEvents({ params, query: { limit: 1000 } }, { signal }),
  )
  const items = events.data?.items ?? []
  if (items.length === 0) return null
  return (
    <LinePlot
      title={t('tracks.perImagePlot')}
      x={items.map((event) => event.event)}
      lines={[{ label: t('tracks.selected'), values: items.map((event) => event.selectedClusters) }]}
      xLabel={t('tracks.image')}
      pointsOnly={items.length > 100}
      yFromZero
      heightPx={150}
      onPick={(index) => {
        const event = items[index]
        if (event !== undefined) navigate(`/e/${experiment}/runs/${series}/${number}/events/${event.event}`)
      }}
    />
  )
}

function TruthTable(props: { truth: TruthSummary }): ReactNode {
  const kinds = Object.entries(props.truth.perKind)
  if (kinds.length === 0) return null
  return (
    <details>
      <summary>{t('tracks.truthKinds')}</summary>
      <table className="cy-table cy-narrow">
        <thead>
          <tr>
            <th scope="col">{t('tracks.kind')}</th>
            <th scope="col" className="cy-right">
              {t('tracks.findable')}
            </th>
            <th scope="col" className="cy-right">
              {t('tracks.found')}
            </th>
            <th scope="col" className="cy-right">
              {t('tracks.share')}
            </th>
          </tr>
        </thead>
        <tbody>
          {kinds.map(([kind, { findable, found, efficiency }]) => (
            <tr key={kind}>
              <td>{kind}</td>
              <td className="cy-right">{findable}</td>
              <td className="cy-right">{found}</td>
              <td className="cy-right">{efficiency === null ? '–' : `${(efficiency * 100).toFixed(1)} %`}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </details>
  )
}
