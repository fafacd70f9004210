/** The log of a job as it is printed; the end is followed until the person scrolls up. */
import { Checkbox } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useEffect, useLayoutEffect, useRef, useState } from 'react'
import type { ReactNode } from 'react'
import { addressOf, apiOf, formatCount } from '../../foundation/browser.tsx'
import { computeContract, logEvent } from '../contract.ts'
import type { Job } from '../contract.ts'
import { appendLog, emptyLog } from './log-text.ts'
import type { LogText } from './log-text.ts'
import { t } from './messages.ts'

const keepLines = 5000
/** As `keepFoldersMs` of the room. */
const logKeptMs = 30 * 24 * 3_600_000
const finalStates = new Set<Job['state']>(['done', 'failed', 'cancelled'])

export function LiveLog(props: { job: Job }): ReactNode {
  const { text, cut } = useLog(props.job)
  const [follow, setFollow] = useState(true)
  const box = useRef<HTMLPreElement>(null)
  useLayoutEffect(() => {
    if (follow && box.current !== null) box.current.scrollTop = box.current.scrollHeight
  }, [text, follow])
  const empty = text.lines.length === 1 && text.lines[0] === ''
  return (
    <>
      <div className="cy-row cy-log-head">
        <Checkbox
          size="xs"
          label={t('job.follow')}
          checked={follow}
          onChange={(event) => setFollow(event.currentTarget.checked)}
        />
        {cut && (
          <span className="cy-quiet cy-small" role="status">
            {t('job.logCut')}
          </span>
        )}
        {text.dropped > 0 && (
          <span className="cy-quiet cy-small">{t('job.logTrimmed', { count: formatCount(keepLines) })}</span>
        )}
        <a
          className="cy-row-end"
          href={addressOf(computeContract.routes.readLog, { params: { job: props.job.id } })}
          download={`${props.job.id}.log`}
        >
          {t('job.raw')}
        </a>
      </div>
      <pre
        ref={box}
        className="cy-log"
        tabIndex={0}
        role="log"
        aria-live="off"
        aria-label={t('job.log')}
        onWheel={(event) => {
          if (event.deltaY < 0) setFollow(false)
        }}
        onKeyDown={(event) => {
          if (event.key === 'PageUp' || event.key === 'ArrowUp' || event.key === 'Home') setFollow(false)
          if (event.key === 'End') setFollow(true)
        }}
      >
        {empty ? nothingYet(props.job) : text.lines.join('\n')}
      </pre>
    </>
  )
}

function nothingYet(job: Job): string {
  if (job.endedMs !== null && Date.now() - job.endedMs > logKeptMs) return t('job.logRemoved')
  if (finalStates.has(job.state)) return t('job.logNone')
  return job.startedMs === null ? t('job.logWaiting') : t('job.logEmpty')
}

function useLog(job: Job): { text: LogText; cut: boolean } {
  const queries = useQueryClient()
  const [text, setText] = useState<LogText>(emptyLog)
  const [cut, setCut] = useState(false)
  const id = job.id
  useEffect(() => {
    const stop = new AbortController()
    let from: string | undefined
    let attempt = 0
    let ended = false
    let pending = ''
    let frame = 0
    // Pieces that come within one frame are drawn together.
    const draw = (): void => {
      frame = 0
      const piece = pending
      pending = ''
      setText((before) => appendLog(before, piece, keepLines))
    }
    const take = (data: unknown): void => {
      const event = logEvent.safeParse(data)
      if (!event.success) return
      if (event.data.type === 'state') {
        ended = finalStates.has(event.data.job.state)
        queries.setQueryData(['compute', 'job', id], event.data.job)
        return
      }
      if (attempt !== 0 && event.data.attempt !== attempt)
        pending += `\n${t('job.attemptMark', { attempt: event.data.attempt })}\n`
      attempt = event.data.attempt
      from = `${event.data.attempt}:${event.data.nextOffset}`
      pending += event.data.text
      frame ||= requestAnimationFrame(draw)
    }
    const follow = async (): Promise<void> => {
      while (!stop.signal.aborted && !ended) {
        try {
          const stream = apiOf(computeContract).followLog(
            { params: { job: id }, query: from === undefined ? {} : { from } },
            { signal: stop.signal },
          )
          for await (const event of stream) {
            setCut(false)
            take(event.data)
          }
        } catch {
          if (!stop.signal.aborted) setCut(true)
        }
        if (!ended && !stop.signal.aborted) await new Promise((resolve) => setTimeout(resolve, 2000))
      }
    }
    setText(emptyLog)
    void follow()
    return () => {
      stop.abort()
      cancelAnimationFrame(frame)
    }
  }, [id, queries])
  return { text, cut }
}
