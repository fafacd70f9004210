/** Trouble in words: what happened, what it means for the data, what to do, a reference to copy. */
import { Button, Group } from '@mantine/core'
import { Component } from 'react'
import type { ReactNode } from 'react'
import { Fault } from '../errors.ts'
import { CopyButton } from './copy.tsx'
import { formatAge } from './format.ts'
import { useNow } from './time.tsx'
import { t } from './words.ts'

interface Told {
  what: string
  hint: string | undefined
  reference: string
}

/** The words for any thrown value; a network failure is told as such. */
export function tellProblem(error: unknown): Told {
  if (error instanceof Fault) {
    const reference = [error.code, error.requestId].filter((part) => part !== undefined && part !== '').join(' ')
    return { what: error.detail, hint: error.hint, reference }
  }
  if (error instanceof TypeError) {
    return { what: t('problem.unreachable'), hint: t('problem.unreachableHint'), reference: 'network' }
  }
  const message = error instanceof Error ? error.message : String(error)
  return { what: t('problem.unexpected'), hint: undefined, reference: message }
}

export function Problem(props: {
  error: unknown
  keptFromMs?: number
  onRetry?: () => void
  title?: string
}): ReactNode {
  const told = tellProblem(props.error)
  return (
    <div className="cy-problem" role="alert">
      <strong>{props.title ?? t('problem.title')}</strong>
      <p>{told.what}</p>
      {props.keptFromMs !== undefined && <Kept sinceMs={props.keptFromMs} />}
      {told.hint !== undefined && <p>{told.hint}</p>}
      <Group gap="xs">
        {props.onRetry !== undefined && (
          <Button size="compact-sm" variant="default" onClick={props.onRetry}>
            {t('problem.retry')}
          </Button>
        )}
        <CopyButton text={told.reference} label={t('problem.copy')} />
        <code className="cy-quiet">{told.reference}</code>
      </Group>
    </div>
  )
}

function Kept(props: { sinceMs: number }): ReactNode {
  const nowMs = useNow()
  return <p>{t('problem.kept', { age: formatAge(nowMs - props.sinceMs) })}</p>
}

/** A panel that breaks says so and leaves its neighbours alone. */
export class Fence extends Component<{ children: ReactNode }, { error: unknown }> {
  override state: { error: unknown } = { error: undefined }
  static getDerivedStateFromError(error: unknown): { error: unknown } {
    return { error }
  }
  override render(): ReactNode {
    if (this.state.error === undefined) return this.props.children
    return (
      <Problem error={this.state.error} title={t('panel.failed')} onRetry={() => this.setState({ error: undefined })} />
    )
  }
}
