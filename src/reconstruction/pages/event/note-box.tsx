/** A note about the event: it goes to the logbook of the run and begins with the event's reference. */
import { Button, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Problem, apiOf } from '../../../foundation/browser.tsx'
import { logbookContract } from '../../../logbook/contract.ts'
import { t } from '../messages.ts'

export function NoteBox(props: {
  experiment: string
  run: string
  /** `sim:2/7`, or with a cluster `sim:2/7/c3`. */
  reference: string
  onDone: () => void
}): ReactNode {
  const [text, setText] = useState('')
  const [state, setState] = useState<{ busy: boolean; error: unknown }>({ busy: false, error: undefined })
  const save = async (): Promise<void> => {
    setState({ busy: true, error: undefined })
    try {
      const body = { run: props.run, text: `${props.reference}: ${text.trim()}` }
      await apiOf(logbookContract).addNote({ params: { experiment: props.experiment }, body })
      props.onDone()
    } catch (error) {
      setState({ busy: false, error })
    }
  }
  return (
    <form
      className="cy-panel cy-event-note"
      aria-label={t('note.title', { reference: props.reference })}
      onSubmit={(event) => {
        event.preventDefault()
        void save()
      }}
    >
      <Textarea
        autosize
        data-autofocus
        autoFocus
        minRows={2}
        label={t('note.title', { reference: props.reference })}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') props.onDone()
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && text.trim() !== '') void save()
        }}
      />
      {state.error !== undefined && <Problem error={state.error} />}
      <div className="cy-row">
        <Button size="compact-sm" type="submit" loading={state.busy} disabled={text.trim() === ''}>
          {t('note.save')}
        </Button>
        <Button size="compact-sm" variant="default" onClick={props.onDone}>
          {t('note.cancel')}
        </Button>
      </div>
    </form>
  )
}
