/** What is this run, can I trust it, where is everything that came from it? */
import { ActionIcon, Button } from '@mantine/core'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import {
  Age,
  Answer,
  Bytes,
  CopyButton,
  Count,
  Facts,
  Lazily,
  Moment,
  PageHead,
  Panel,
  StateMark,
  apiOf,
  significant,
  useAnswer,
  useMay,
  useShortcuts,
  useSlots,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps, RunPanelProps } from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import type { Run, RunDetail } from '../contract.ts'
import { FaultList } from './fault-list.tsx'
import { FilesPanel } from './files-panel.tsx'
import { FileMark, QualityMark, RunStateMark, runAddress } from './marks.tsx'
import { t } from './messages.ts'
import { Duration } from './run-table.tsx'
import { RunJudgement } from './run-judgement.tsx'

export default function RunPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  const reference = `${props.params['series'] ?? ''}:${props.params['number'] ?? ''}`
  useTitle(t('run.title', { run: reference }))
  const detail = useAnswer(['logbook', 'run', experiment, reference], (signal) =>
    apiOf(logbookContract).showRun({ params: { experiment, run: reference } }, { signal }),
  )
  return (
    <>
      {detail.data === undefined && <PageHead title={t('run.title', { run: reference })} />}
      <Answer to={detail}>{(answer) => <RunSheet key={reference} experiment={experiment} detail={answer} />}</Answer>
    </>
  )
}

function RunSheet(props: { experiment: string; detail: RunDetail }): ReactNode {
  const { experiment } = props
  const { run, files, faults, previous, next } = props.detail
  const panels = useSlots('runPanels')
  const actions = useSlots('runActions')
  const told: RunPanelProps = {
    experiment,
    setup: run.setup,
    series: run.series,
    number: run.number,
    state: run.state,
    images: run.images ?? 0,
  }
  return (
    <>
      <PageHead
        title={t('run.title', { run: run.reference })}
        aside={
          <>
            <Steps experiment={experiment} previous={previous} next={next} />
            <span>{t(`kind.${run.kind}`)}</span>
            <QualityMark run={run} />
          </>
        }
      >
        {actions.map((action) => (
          <Lazily key={action.id} load={action.load} with={told} waiting="" />
        ))}
        <CopyButton text={pythonOf(experiment, run)} label={t('runs.copyPython')} />
        <CopyButton
          text={`cygnet runs show ${run.reference} --experiment ${experiment}`}
          label={t('runs.copyCommand')}
        />
        <CopyButton text={run.reference} label={t('run.copyReference', { run: run.reference })} />
      </PageHead>
      <div className="cy-stack">
        <Panel title={t('run.chain')} className="cy-run-head">
          <Chain detail={props.detail} told={told} />
          <RunFacts run={run} />
          <Description experiment={experiment} run={run} />
          {faults.length > 0 && <FaultList experiment={experiment} faults={faults} />}
        </Panel>
        <Filmstrip experiment={experiment} run={run} />
        {panels
          .filter((panel) => panel.order < 50)
          .map((panel) => (
            <Panel key={panel.id} id={panel.id} title={panel.title}>
              <Lazily load={panel.load} with={told} />
            </Panel>
          ))}
        <Panel title={t('files.title')} id="files">
          <FilesPanel experiment={experiment} files={files} recording={run.state === 'recording'} />
        </Panel>
        {panels
          .filter((panel) => panel.order >= 50)
          .map((panel) => (
            <Panel key={panel.id} id={panel.id} title={panel.title}>
              <Lazily load={panel.load} with={told} />
            </Panel>
          ))}
      </div>
    </>
  )
}

function Steps(props: { experiment: string; previous: string | null; next: string | null }): ReactNode {
  const [, navigate] = useLocation()
  const go = (reference: string | null): void => {
    if (reference !== null) navigate(runAddress(props.experiment, reference))
  }
  useShortcuts([
    { keys: '[', label: t('run.previous'), run: () => go(props.previous) },
    { keys: ']', label: t('run.next'), run: () => go(props.next) },
  ])
  return (
    <ActionIcon.Group>
      <ActionIcon
        variant="default"
        disabled={props.previous === null}
        aria-label={t('run.previous')}
        title={props.previous ?? ''}
        onClick={() => go(props.previous)}
      >
        ◂
      </ActionIcon>
      <ActionIcon
        variant="default"
        disabled={props.next === null}
        aria-label={t('run.next')}
        title={props.next ?? ''}
        onClick={() => go(props.next)}
      >
        ▸
      </ActionIcon>
    </ActionIcon.Group>
  )
}

/** recorded → arrived safe → what upper rooms make of it. */
function Chain(props: { detail: RunDetail; told: RunPanelProps }): ReactNode {
  const columns = useSlots('runColumns')
  const raw = props.detail.files.find((file) => file.role === 'raw')
  return (
    <ol className="cy-chain">
      <li>
        <RunStateMark state={props.detail.run.state} />
      </li>
      <li>
        <FileMark file={raw} />
      </li>
      {columns.map((column) => (
        <li key={column.id}>
          <Lazily
            load={column.load}
            waiting=""
            with={{
              experiment: props.told.experiment,
              series: props.told.series,
              number: props.told.number,
              state: props.told.state,
            }}
          />
        </li>
      ))}
    </ol>
  )
}

function RunFacts(props: { run: Run }): ReactNode {
  const { run } = props
  const seconds = run.startedMs !== null && run.endedMs !== null ? (run.endedMs - run.startedMs) / 1000 : 0
  return (
    <Facts
      items={[
        [t('run.setup'), run.setup],
        [t('run.started'), <Moment key="started" atMs={run.startedMs} />],
        [t('run.ended'), run.endedMs === null ? undefined : <Moment key="ended" atMs={run.endedMs} />],
        [run.endedMs === null ? t('run.running') : t('run.duration'), <Duration key="duration" run={run} />],
        [t('run.images'), <Count key="images" of={run.images} />],
        [t('run.triggers'), run.triggers === null ? undefined : <Count key="triggers" of={run.triggers} />],
        [t('run.size'), <Bytes key="size" sizeBytes={run.sizeBytes} />],
        [t('run.rate'), seconds > 0 && run.images !== null ? `${significant(run.images / seconds, 3)} Hz` : undefined],
        [t('run.heard'), run.endedMs === null ? <Age key="heard" atMs={run.lastSeenMs} /> : undefined],
      ]}
    />
  )
}

function Description(props: { experiment: string; run: Run }): ReactNode {
  const may = useMay()
  const [editing, setEditing] = useState(false)
  if (editing) return <RunJudgement experiment={props.experiment} run={props.run} onClose={() => setEditing(false)} />
  return (
    <div className="cy-row">
      <span className={props.run.description === '' ? 'cy-quiet' : undefined}>
        {props.run.description || t('run.noDescription')}
      </span>
      {props.run.qualityReason !== '' && <StateMark tone="quiet">{props.run.qualityReason}</StateMark>}
      {may('logbook.write', props.experiment) && (
        <Button size="compact-xs" variant="subtle" onClick={() => setEditing(true)}>
          {t('run.edit')}
        </Button>
      )}
    </div>
  )
}

const stripLimit = 120

/** One cell per image, each a link into the event display. */
function Filmstrip(props: { experiment: string; run: Run }): ReactNode {
  const { run } = props
  const [, navigate] = useLocation()
  const base = `${runAddress(props.experiment, run.reference)}/events`
  const images = run.images ?? 0
  const open = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const number = new FormData(event.currentTarget).get('event')
    if (typeof number === 'string' && number !== '') navigate(`${base}/${Number(number)}`)
  }
  return (
    <Panel
      title={t('run.filmstrip')}
      aside={
        images > 0 && (
          <form onSubmit={open} className="cy-row">
            <label htmlFor="cy-go-event">{t('run.goEvent')}</label>
            <input
              id="cy-go-event"
              name="event"
              type="number"
              min={0}
              max={Math.max(images - 1, 0)}
              defaultValue={0}
              className="cy-tiny-input"
            />
            <Button type="submit" size="compact-xs" variant="default">
              {t('run.go')}
            </Button>
          </form>
        )
      }
    >
      {images === 0 ? (
        <p className="cy-quiet">{t('run.noImages')}</p>
      ) : (
        <nav className="cy-filmstrip" aria-label={t('run.filmstrip')}>
          {Array.from({ length: Math.min(images, stripLimit) }, (_, event) => (
            <Link key={event} href={`${base}/${event}`}>
              {event}
            </Link>
          ))}
          {run.state === 'recording' && <span className="cy-quiet cy-small">{t('run.filmstripLive')}</span>}
        </nav>
      )}
    </Panel>
  )
}

/** Three lines that run as they are in a notebook of the platform. */
export function pythonOf(experiment: string, run: Pick<Run, 'reference'>): string {
  return `import cygnet\nrun = cygnet.open("${experiment}").run("${run.reference}")\nimage = run.image(0)\nclusters = run.clusters()`
}
