/** The runs of a campaign: dead letters first, with their reasons, then all of them. */
import { Button, NativeSelect } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import {
  Age,
  Empty,
  PageEnd,
  Panel,
  Problem,
  StateMark,
  Waiting,
  apiOf,
  useMay,
  usePages,
  useQueryState,
} from '../../../foundation/browser.tsx'
import type { Tone } from '../../../foundation/browser.tsx'
import { automaticCampaign, reconstructionContract, taskState } from '../../contract.ts'
import type { Campaign, ReconstructionTask } from '../../contract.ts'
import { t } from '../messages.ts'

const tones: Record<ReconstructionTask['state'], Tone> = {
  waiting: 'quiet',
  submitted: 'info',
  done: 'verified',
  failed: 'alarm',
  cancelled: 'stale',
}

export function CampaignRuns(props: { experiment: string; campaign: Campaign; failed: number }): ReactNode {
  const { experiment, campaign, failed } = props
  const state = useQueryState()
  const wanted = taskState.safeParse(state.get('state'))
  return (
    <>
      {failed > 0 && (
        <Panel title={t('campaigns.deadLetters')}>
          <Tasks experiment={experiment} campaign={campaign} state="failed" />
        </Panel>
      )}
      <Panel
        title={t('campaigns.runs')}
        aside={
          <NativeSelect
            size="xs"
            aria-label={t('campaigns.state')}
            value={wanted.success ? wanted.data : ''}
            onChange={(event) => state.set({ state: event.currentTarget.value })}
            data={[
              { value: '', label: t('campaigns.anyState') },
              ...taskState.options.map((value) => ({ value, label: t(`mark.${value}`) })),
            ]}
          />
        }
      >
        <Tasks experiment={experiment} campaign={campaign} state={wanted.success ? wanted.data : undefined} />
      </Panel>
    </>
  )
}

function Tasks(props: {
  experiment: string
  campaign: Campaign
  state: ReconstructionTask['state'] | undefined
}): ReactNode {
  const { experiment, campaign, state } = props
  const tasks = usePages(['reconstruction', 'tasks', experiment, campaign.name, state ?? 'any'], (cursor, signal) =>
    apiOf(reconstructionContract).listTasks(
      {
        params: { experiment },
        query: {
          campaign: campaign.name,
          limit: 50,
          ...(state === undefined ? {} : { state }),
          ...(cursor === undefined ? {} : { cursor }),
        },
      },
      { signal },
    ),
  )
  if (tasks.waiting) return <Waiting rows={4} height={22} />
  if (tasks.error !== null && tasks.items.length === 0) return <Problem error={tasks.error} onRetry={tasks.retry} />
  if (tasks.items.length === 0) {
    return (
      <Empty title={state === undefined ? t('campaigns.noRuns') : t('campaigns.noneInState')}>
        {state === undefined && campaign.name !== automaticCampaign && <p>{t('campaigns.noRunsHint')}</p>}
      </Empty>
    )
  }
  return (
    <>
      <div className="cy-table-scroll">
        <table className="cy-table">
          <thead>
            <tr>
              <th scope="col">{t('campaigns.run')}</th>
              <th scope="col">{t('campaigns.state')}</th>
              <th scope="col">{t('campaigns.reason')}</th>
              <th scope="col">{t('campaigns.since')}</th>
              <th scope="col" className="cy-right">
                {t('campaigns.version')}
              </th>
              <th scope="col">{t('tracks.job')}</th>
              <th scope="col">
                <span className="cy-visually-hidden">{t('campaigns.actions')}</span>
              </th>
            </tr>
          </thead>
          <tbody>
            {tasks.items.map((task) => (
              <TaskRow key={task.id} experiment={experiment} campaign={campaign} task={task} />
            ))}
          </tbody>
        </table>
      </div>
      <PageEnd of={tasks} />
    </>
  )
}

function TaskRow(props: { experiment: string; campaign: Campaign; task: ReconstructionTask }): ReactNode {
  const { experiment, campaign, task } = props
  const run = `${task.series}:${task.number}`
  const jobId = task.jobId
  return (
    <tr>
      <td className="cy-key">
        <Link href={`/e/${experiment}/runs/${task.series}/${task.number}`}>{run}</Link>
      </td>
      <td>
        <StateMark tone={tones[task.state]}>{t(`mark.${task.state}`)}</StateMark>
      </td>
      <td className="cy-note-text">{task.reason}</td>
      <td>
        <Age atMs={task.updatedAtMs} />
      </td>
      <td className="cy-right">{task.campaignVersion}</td>
      <td>{jobId !== null && <Link href={`/e/${experiment}/jobs/${jobId}`}>{t('tracks.job')}</Link>}</td>
      <td>
        {(task.state === 'failed' || task.state === 'cancelled') && (
          <TryAgain experiment={experiment} campaign={campaign} task={task} run={run} />
        )}
      </td>
    </tr>
  )
}

function TryAgain(props: { experiment: string; campaign: Campaign; task: ReconstructionTask; run: string }): ReactNode {
  const { experiment, campaign, task, run } = props
  const may = useMay()
  const queries = useQueryClient()
  const retry = useMutation({
    mutationFn: () =>
      apiOf(reconstructionContract).retryCampaign({
        params: { experiment, campaign: campaign.name },
        body: { series: task.series, numbers: [task.number] },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['reconstruction'] }),
  })
  if (!may('reconstruction.run', experiment)) return null
  if (campaign.kind === 'script' && !may('jobs.submit', experiment)) return null
  return (
    <>
      <Button
        size="compact-xs"
        variant="default"
        loading={retry.isPending}
        onClick={() => retry.mutate()}
        aria-label={t('campaigns.tryAgainRun', { run })}
      >
        {t('campaigns.tryAgain')}
      </Button>
      {retry.error !== null && <Problem error={retry.error} />}
    </>
  )
}
