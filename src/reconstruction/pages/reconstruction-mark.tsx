/** One mark about one run: is it reconstructed? All marks of a page share one question to the API. */
import type { ReactNode } from 'react'
import { StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import { automaticCampaign, reconstructionContract } from '../contract.ts'
import type { ReconstructionTask } from '../contract.ts'
import { t } from './messages.ts'

const tones: Record<ReconstructionTask['state'], Tone> = {
  waiting: 'quiet',
  submitted: 'info',
  done: 'verified',
  failed: 'alarm',
  cancelled: 'quiet',
}

export default function ReconstructionMark(props: {
  experiment: string
  series: string
  number: number
  state: string
}): ReactNode {
  const { experiment, series } = props
  const tasks = useAnswer(['reconstruction', 'tasks', experiment, series], (signal) =>
    apiOf(reconstructionContract).listTasks({ params: { experiment }, query: { series, limit: 1000 } }, { signal }),
  )
  // Newest first: a repeated reconstruction hides the one before. A pedestal run has a task of its own kind.
  const task = tasks.data?.items.find(
    (item) => item.number === props.number && (item.kind === 'pedestal' || item.campaign === automaticCampaign),
  )
  if (task !== undefined) {
    return (
      <StateMark tone={tones[task.state]} {...(task.reason === null ? {} : { title: task.reason })}>
        {task.kind === 'pedestal' && task.state === 'done' ? t('mark.pedestal') : t(`mark.${task.state}`)}
      </StateMark>
    )
  }
  if (tasks.data === undefined) return null
  return (
    <span className="cy-quiet">
      {props.state === 'recording' || props.state === 'closing' ? t('mark.recording') : t('mark.none')}
    </span>
  )
}
