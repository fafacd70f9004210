/** Deleting with a way back: the request is sent after some seconds, and never if the person undoes it or leaves. */
import { Button } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { Problem, apiOf, useNow } from '../../foundation/browser.tsx'
import { storageContract } from '../contract.ts'
import { t } from './messages.ts'

const undoMs = 8000

interface Deletion {
  key: string
  atMs: number
  error?: unknown
}

export interface Deletions {
  pending: Deletion[]
  /** Keys that are hidden from the list already. */
  gone: Set<string>
  start: (key: string) => void
  undo: (key: string) => void
}

export function useDeletions(bucket: string): Deletions {
  const queries = useQueryClient()
  const [pending, setPending] = useState<Deletion[]>([])
  const timers = useRef(new Map<string, ReturnType<typeof setTimeout>>())
  useEffect(() => {
    const running = timers.current
    return () => {
      for (const timer of running.values()) clearTimeout(timer)
    }
  }, [])
  const drop = (key: string): void => setPending((before) => before.filter((deletion) => deletion.key !== key))
  const send = (key: string): void => {
    apiOf(storageContract)
      .deleteObject({ params: { bucket }, query: { key } })
      .then(async () => {
        await queries.invalidateQueries({ queryKey: ['storage'] })
        drop(key)
      })
      .catch((error: unknown) =>
        setPending((before) => before.map((deletion) => (deletion.key === key ? { ...deletion, error } : deletion))),
      )
  }
  return {
    pending,
    gone: new Set(pending.filter((deletion) => deletion.error === undefined).map((deletion) => deletion.key)),
    start: (key) => {
      setPending((before) => [...before.filter((deletion) => deletion.key !== key), { key, atMs: Date.now() + undoMs }])
      timers.current.set(
        key,
        setTimeout(() => send(key), undoMs),
      )
    },
    undo: (key) => {
      clearTimeout(timers.current.get(key))
      drop(key)
    },
  }
}

export function DeletionNotices(props: { of: Deletions }): ReactNode {
  if (props.of.pending.length === 0) return null
  return (
    <div role="status">
      {props.of.pending.map((deletion) => (
        <Notice key={deletion.key} deletion={deletion} onUndo={() => props.of.undo(deletion.key)} />
      ))}
    </div>
  )
}

function Notice(props: { deletion: Deletion; onUndo: () => void }): ReactNode {
  const nowMs = useNow()
  const { key, atMs, error } = props.deletion
  const name = key.split('/').at(-1) ?? key
  if (error !== undefined) return <Problem error={error} title={t('delete.failed', { name })} onRetry={props.onUndo} />
  return (
    <div className="cy-notice cy-row">
      <span>{t('delete.soon', { name, seconds: Math.max(0, Math.ceil((atMs - nowMs) / 1000)) })}</span>
      <Button size="compact-sm" onClick={props.onUndo}>
        {t('delete.undo')}
      </Button>
    </div>
  )
}
