/** On home: how busy the machine is and how long the line. */
import { Progress } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Answer, Figure, apiOf, formatBytes, significant, useAnswer } from '../../foundation/browser.tsx'
import { computeContract } from '../contract.ts'
import { t } from './messages.ts'

export default function QueuePanel(props: { experiment: string }): ReactNode {
  const machine = useAnswer(['compute', 'machine'], (signal) => apiOf(computeContract).showMachine({}, { signal }), {
    everyMs: 10_000,
  })
  return (
    <Answer to={machine}>
      {({ cpuMilli, memoryMiB, jobs }) => (
        <div className="cy-stack">
          <div className="cy-figures">
            <Link href={`/e/${props.experiment}/jobs?state=running`} className="cy-plain">
              <Figure value={jobs.running} label={t('queue.running')} />
            </Link>
            <Link href={`/e/${props.experiment}/jobs?state=waiting`} className="cy-plain">
              <Figure value={jobs.waiting} label={t('queue.waiting')} />
            </Link>
          </div>
          <Meter
            label={t('queue.cpu')}
            used={cpuMilli.used}
            total={cpuMilli.total}
            words={(value) => significant(value / 1000, 2)}
          />
          <Meter
            label={t('queue.memory')}
            used={memoryMiB.used}
            total={memoryMiB.total}
            words={(value) => formatBytes(value * 1_048_576)}
          />
        </div>
      )}
    </Answer>
  )
}

function Meter(props: { label: string; used: number; total: number; words: (value: number) => string }): ReactNode {
  const share = props.total > 0 ? (props.used / props.total) * 100 : 0
  return (
    <div>
      <div className="cy-row cy-small">
        <span className="cy-quiet">{props.label}</span>
        <span className="cy-number cy-row-end">
          {t('queue.of', { used: props.words(props.used), total: props.words(props.total) })}
        </span>
      </div>
      <Progress value={share} size="sm" aria-label={props.label} color="water" />
    </div>
  )
}
