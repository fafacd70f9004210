/** The parts every page is made of. */
import { Skeleton } from '@mantine/core'
import { Suspense, lazy, useEffect, useMemo, useState } from 'react'
import type { ComponentType, ReactNode } from 'react'
import { formatBytes, formatCount } from './format.ts'
import { Fence } from './problem.tsx'
import { t } from './words.ts'

/** Page title with its facts and actions on one line. */
export function PageHead(props: { title: ReactNode; aside?: ReactNode; children?: ReactNode }): ReactNode {
  return (
    <header className="cy-page-head">
      <h1>{props.title}</h1>
      {props.aside !== undefined && <div className="cy-page-aside">{props.aside}</div>}
      {props.children !== undefined && <div className="cy-page-actions">{props.children}</div>}
    </header>
  )
}

export function Panel(props: {
  title: ReactNode
  id?: string
  aside?: ReactNode
  className?: string
  children: ReactNode
}): ReactNode {
  return (
    <section
      className={`cy-panel ${props.className ?? ''}`}
      id={props.id}
      aria-label={typeof props.title === 'string' ? props.title : undefined}
    >
      <div className="cy-panel-head">
        <h2>{props.title}</h2>
        {props.aside !== undefined && <div className="cy-panel-aside">{props.aside}</div>}
      </div>
      <Fence>{props.children}</Fence>
    </section>
  )
}

/** Reserves the place of what is coming; after 10 s a sentence replaces the shimmer. */
export function Waiting(props: { rows?: number; height?: number }): ReactNode {
  const [late, setLate] = useState(false)
  useEffect(() => {
    const timer = setTimeout(() => setLate(true), 10_000)
    return () => clearTimeout(timer)
  }, [])
  if (late)
    return (
      <p className="cy-quiet" role="status">
        {t('waiting.long')}
      </p>
    )
  return (
    <div className="cy-waiting" role="status" aria-label={t('waiting.now')}>
      {Array.from({ length: props.rows ?? 3 }, (_, index) => (
        <Skeleton key={index} height={props.height ?? 18} radius="sm" />
      ))}
    </div>
  )
}

/** Nothing here: teaches one thing and offers one action. */
export function Empty(props: { title: string; children?: ReactNode }): ReactNode {
  return (
    <div className="cy-empty">
      <p className="cy-empty-title">{props.title}</p>
      {props.children}
    </div>
  )
}

/** Label and value pairs; values that are undefined are left out. */
export function Facts(props: { items: Array<[label: string, value: ReactNode]> }): ReactNode {
  return (
    <dl className="cy-facts">
      {props.items
        .filter(([, value]) => value !== undefined && value !== null)
        .map(([label, value]) => (
          <div key={label}>
            <dt>{label}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  )
}

export function Bytes(props: { sizeBytes: number | null | undefined }): ReactNode {
  if (props.sizeBytes === null || props.sizeBytes === undefined) return '–'
  return (
    <span className="cy-number" title={`${formatCount(props.sizeBytes)} B`}>
      {formatBytes(props.sizeBytes)}
    </span>
  )
}

export function Count(props: { of: number | null | undefined }): ReactNode {
  return <span className="cy-number">{props.of === null || props.of === undefined ? '–' : formatCount(props.of)}</span>
}

/** A large number with its name below. */
export function Figure(props: { value: ReactNode; label: string; title?: string }): ReactNode {
  return (
    <div className="cy-figure" title={props.title}>
      <div className="cy-figure-value">{props.value}</div>
      <div className="cy-figure-label">{props.label}</div>
    </div>
  )
}

const loaded = new Map<unknown, ComponentType<never>>()

/** A component of another chunk, behind its own fence and its own waiting place. */
export function Lazily<Props extends object>(props: {
  load: () => Promise<{ default: ComponentType<Props> }>
  with: Props
  waiting?: ReactNode
}): ReactNode {
  const Content = useMemo(() => {
    let component = loaded.get(props.load) as ComponentType<Props> | undefined
    if (component === undefined) {
      component = lazy(props.load) as unknown as ComponentType<Props>
      loaded.set(props.load, component as ComponentType<never>)
    }
    return component
  }, [props.load])
  return (
    <Fence>
      <Suspense fallback={props.waiting ?? <Waiting />}>
        <Content {...props.with} />
      </Suspense>
    </Fence>
  )
}
