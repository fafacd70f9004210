/** On the run page: a notebook that already knows the run, in a new tab. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { useMay } from '../../foundation/browser.tsx'
import type { RunPanelProps } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export default function OpenAction(props: RunPanelProps): ReactNode {
  const may = useMay()
  if (!may('sessions.start', props.experiment)) return null
  const address = `/e/${props.experiment}/sessions/open?run=${props.series}:${props.number}`
  return (
    <Button component="a" href={address} target="_blank" rel="noopener" size="compact-sm">
      {t('action.open')}
    </Button>
  )
}
