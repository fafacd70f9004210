/** States of runs and files in words and shapes. */
import type { ReactNode } from 'react'
import { StateMark, formatMoment, useZone } from '../../foundation/browser.tsx'
import type { Tone } from '../../foundation/browser.tsx'
import type { Run, RunFile } from '../contract.ts'
import { t } from './messages.ts'

const runTones: Record<Run['state'], Tone> = { recording: 'info', closing: 'info', closed: 'quiet', crashed: 'warning' }

export function RunStateMark(props: { state: Run['state'] }): ReactNode {
  const hint =
    props.state === 'closing' ? t('state.closingHint') : props.state === 'crashed' ? t('state.crashedHint') : undefined
  return (
    <StateMark tone={runTones[props.state]} {...(hint === undefined ? {} : { title: hint })}>
      {t(`state.${props.state}`)}
    </StateMark>
  )
}

const qualityTones: Record<Run['quality'], Tone> = {
  unjudged: 'quiet',
  good: 'verified',
  bad: 'alarm',
  partial: 'warning',
}

export function QualityMark(props: { run: Pick<Run, 'quality' | 'qualityReason'> }): ReactNode {
  if (props.run.quality === 'unjudged') return <span className="cy-quiet cy-number">{t('quality.unjudged')}</span>
  return (
    <StateMark tone={qualityTones[props.run.quality]} title={props.run.qualityReason}>
      {t(`quality.${props.run.quality}`)}
    </StateMark>
  )
}

const fileTones: Record<RunFile['state'], Tone> = {
  arriving: 'info',
  safe: 'verified',
  damaged: 'alarm',
  lost: 'alarm',
}

export function FileMark(props: { file: RunFile | undefined }): ReactNode {
  const zone = useZone()
  if (props.file === undefined) return <StateMark tone="stale">{t('file.none')}</StateMark>
  const { state, reason, verifiedMs } = props.file
  const title =
    reason !== ''
      ? reason
      : verifiedMs === null
        ? undefined
        : t('file.verified', { when: formatMoment(verifiedMs, zone) })
  return (
    <StateMark tone={fileTones[state]} {...(title === undefined ? {} : { title })}>
      {t(`file.${state}`)}
    </StateMark>
  )
}

/** The address of a run's page. */
export function runAddress(experiment: string, reference: string): string {
  return `/e/${experiment}/runs/${reference.replace(':', '/')}`
}
