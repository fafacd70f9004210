/** The answer to "are data being saved?" in the header of every page. */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { logbookContract } from '../../logbook/contract.ts'
import { t } from './messages.ts'

export function RecordingChip(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const recording = useAnswer(['logbook', 'recording', experiment], (signal) =>
    apiOf(logbookContract).recordingStatus({ params: { experiment } }, { signal }),
  )
  const items = recording.data?.items ?? []
  const shown = items.find((item) => item.status === 'recording') ?? items[0]
  if (shown === undefined) return null
  return (
    <Link
      href={shown.run === null ? `/e/${experiment}` : `/e/${experiment}/runs/${shown.run.replace(':', '/')}`}
      className="cy-chip"
      title={shown.sentence}
    >
      <StateMark tone={shown.status === 'recording' ? 'info' : 'stale'}>
        {shown.status === 'recording'
          ? t('chip.recording', { setup: shown.setup, run: shown.run ?? '' })
          : t('chip.notRecording', { setup: shown.setup })}
      </StateMark>
    </Link>
  )
}
