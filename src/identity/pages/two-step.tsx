/** A button that says what will happen before it happens, instead of a dialog. */
import { Button } from '@mantine/core'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { t } from './me-messages.ts'

export function TwoStep(props: { label: string; sure: string; busy: boolean; onSure: () => void }): ReactNode {
  const [asked, setAsked] = useState(false)
  if (!asked)
    return (
      <Button size="compact-sm" variant="default" onClick={() => setAsked(true)}>
        {props.label}
      </Button>
    )
  return (
    <span className="cy-row">
      <Button size="compact-sm" color="red" loading={props.busy} onClick={props.onSure}>
        {props.sure}
      </Button>
      <Button size="compact-sm" variant="subtle" onClick={() => setAsked(false)}>
        {t('me.keep')}
      </Button>
    </span>
  )
}
