/** Taking text along. Where the browser blocks the clipboard the text is shown and selected instead. */
import { Button } from '@mantine/core'
import { useEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { t } from './words.ts'

export function CopyButton(props: { text: string | (() => string); label: string; variant?: string }): ReactNode {
  const [state, setState] = useState<'idle' | 'done' | 'blocked'>('idle')
  const field = useRef<HTMLTextAreaElement>(null)
  useEffect(() => {
    if (state === 'blocked') field.current?.select()
    if (state !== 'done') return
    const timer = setTimeout(() => setState('idle'), 2000)
    return () => clearTimeout(timer)
  }, [state])
  const [blocked, setBlocked] = useState('')
  const copy = (): void => {
    // A text that depends on what is on screen is made when it is wanted.
    const text = typeof props.text === 'function' ? props.text() : props.text
    setBlocked(text)
    // No clipboard at all on plain http names other than localhost.
    const written = navigator.clipboard?.writeText(text) ?? Promise.reject(new Error('no clipboard'))
    written.then(
      () => setState('done'),
      () => setState('blocked'),
    )
  }
  return (
    <>
      <Button size="compact-sm" variant={props.variant ?? 'default'} onClick={copy}>
        <span aria-live="polite">{state === 'done' ? t('copy.done') : props.label}</span>
      </Button>
      {state === 'blocked' && (
        <span className="cy-copy-blocked" role="status">
          {t('copy.blocked')}
          <textarea ref={field} readOnly rows={blocked.split('\n').length} value={blocked} aria-label={props.label} />
        </span>
      )}
    </>
  )
}

/** A command or a path in a box with its copy button. */
export function CopyLine(props: { text: string; label: string }): ReactNode {
  return (
    <div className="cy-copy-line">
      <code tabIndex={0}>{props.text}</code>
      <CopyButton text={props.text} label={props.label} variant="subtle" />
    </div>
  )
}
