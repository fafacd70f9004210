/** A state as shape + word + colour, never colour alone. Normal is grey; green only for what was verified. */
import type { ReactNode } from 'react'

export type Tone = 'quiet' | 'info' | 'verified' | 'warning' | 'alarm' | 'stale'

const shapes: Record<Tone, ReactNode> = {
  quiet: <circle cx="6" cy="6" r="3.5" fill="none" stroke="currentColor" strokeWidth="1.5" />,
  info: <circle cx="6" cy="6" r="4.5" fill="currentColor" />,
  verified: <path d="M1.5 6.5 4.5 9.5 10.5 2.5" fill="none" stroke="currentColor" strokeWidth="2" />,
  warning: <path d="M6 1 11.5 10.5H.5Z" fill="currentColor" />,
  alarm: <path d="M4 .5h4L11.5 4v4L8 11.5H4L.5 8V4Z" fill="currentColor" />,
  stale: <path d="M1 4 4 1M1 8 8 1M2 11 11 2M6 11l5-5M10 11l1-1" stroke="currentColor" strokeWidth="1.3" fill="none" />,
}

export function StateMark(props: { tone: Tone; children: ReactNode; title?: string; className?: string }): ReactNode {
  return (
    <span className={`cy-state cy-tone-${props.tone} ${props.className ?? ''}`} title={props.title}>
      <svg viewBox="0 0 12 12" width="12" height="12" aria-hidden="true">
        {shapes[props.tone]}
      </svg>
      <span>{props.children}</span>
    </span>
  )
}
