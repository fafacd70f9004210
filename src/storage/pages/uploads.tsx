/** Uploading by button or by drop, with progress, speed and a way to try again. */
import { Button, Progress } from '@mantine/core'
import { useQueryClient } from '@tanstack/react-query'
import { useRef, useState, useSyncExternalStore } from 'react'
import type { DragEvent, ReactNode } from 'react'
import { Fault, Problem, StateMark, addressOf, formatBytes } from '../../foundation/browser.tsx'
import { storageContract } from '../contract.ts'
import type { BucketAnswer } from '../contract.ts'
import { t } from './messages.ts'
import { createUploadQueue } from './upload-queue.ts'
import type { Send, Upload, UploadQueue } from './upload-queue.ts'

/** fetch cannot tell upload progress, XMLHttpRequest can. */
function sendTo(bucket: string): Send {
  return (key, file, onProgress, signal) =>
    new Promise((resolve, reject) => {
      const request = new XMLHttpRequest()
      request.open('PUT', addressOf(storageContract.routes.writeObject, { params: { bucket }, query: { key } }))
      request.setRequestHeader('content-type', file.type === '' ? 'application/octet-stream' : file.type)
      request.upload.onprogress = (event) => onProgress(event.loaded)
      request.onload = () => (request.status < 300 ? resolve() : reject(refusalOf(request)))
      request.onerror = () => reject(new TypeError('network'))
      request.onabort = () => reject(new Error('aborted'))
      signal.addEventListener('abort', () => request.abort())
      request.send(file)
    })
}

function refusalOf(request: XMLHttpRequest): Error {
  try {
    const problem = JSON.parse(request.responseText) as { code: string; title: string; detail: string; hint?: string }
    return new Fault({
      status: request.status,
      code: problem.code,
      title: problem.title,
      detail: problem.detail,
      ...(problem.hint === undefined ? {} : { hint: problem.hint }),
    })
  } catch {
    return new Error(`${request.status} ${request.statusText}`)
  }
}

export function UploadArea(props: { bucket: BucketAnswer; folder: string; children: ReactNode }): ReactNode {
  const queries = useQueryClient()
  const bucket = props.bucket.name
  const [queue] = useState(() =>
    createUploadQueue(
      sendTo(bucket),
      () => void queries.invalidateQueries({ queryKey: ['storage', 'objects', bucket] }),
      () => Date.now(),
    ),
  )
  const uploads = useSyncExternalStore(queue.subscribe, queue.uploads)
  const [over, setOver] = useState(false)
  const picker = useRef<HTMLInputElement>(null)
  const drop = (event: DragEvent): void => {
    event.preventDefault()
    setOver(false)
    queue.add(props.folder, [...event.dataTransfer.files])
  }
  return (
    <div
      className={over ? 'cy-drop cy-drop-over' : 'cy-drop'}
      onDragOver={(event) => {
        event.preventDefault()
        setOver(true)
      }}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
    >
      <div className="cy-row cy-upload-head">
        <Button size="compact-sm" variant="default" onClick={() => picker.current?.click()}>
          {t('upload.button')}
        </Button>
        <input
          ref={picker}
          type="file"
          multiple
          hidden
          aria-label={t('upload.button')}
          onChange={(event) => {
            queue.add(props.folder, [...(event.currentTarget.files ?? [])])
            event.currentTarget.value = ''
          }}
        />
        <span className="cy-quiet cy-small">
          {over
            ? t('upload.drop', { folder: `${bucket}/${props.folder}` })
            : props.bucket.purpose === 'raw'
              ? t('upload.exists')
              : ''}
        </span>
      </div>
      {uploads.length > 0 && <UploadList queue={queue} uploads={uploads} />}
      {props.children}
    </div>
  )
}

function UploadList(props: { queue: UploadQueue; uploads: Upload[] }): ReactNode {
  const { queue, uploads } = props
  return (
    <section className="cy-notice" aria-label={t('upload.active')}>
      {uploads.map((upload) => (
        <div key={upload.id} className="cy-upload">
          <span className="cy-mono">{upload.name}</span>
          <UploadState upload={upload} />
          {upload.state === 'failed' && (
            <Button size="compact-xs" variant="default" onClick={() => queue.retry(upload.id)}>
              {t('upload.again')}
            </Button>
          )}
          {upload.state !== 'done' && (
            <Button size="compact-xs" variant="subtle" onClick={() => queue.cancel(upload.id)}>
              {t('upload.cancel')}
            </Button>
          )}
          {upload.state === 'failed' && <Problem error={upload.error} title={t('upload.failed')} />}
        </div>
      ))}
      {uploads.some((upload) => upload.state === 'done') && (
        <div>
          <Button size="compact-xs" variant="subtle" onClick={() => queue.clear()}>
            {t('upload.clear')}
          </Button>
        </div>
      )}
    </section>
  )
}

function UploadState(props: { upload: Upload }): ReactNode {
  const { state, sentBytes, sizeBytes, startedMs, name } = props.upload
  if (state === 'done') return <StateMark tone="verified">{t('upload.done')}</StateMark>
  if (state === 'failed') return <StateMark tone="alarm">{t('upload.failed')}</StateMark>
  if (state === 'waiting') return <StateMark tone="quiet">{t('upload.waiting')}</StateMark>
  const seconds = Math.max((Date.now() - startedMs) / 1000, 0.1)
  return (
    <>
      <Progress
        className="cy-grow"
        value={sizeBytes === 0 ? 0 : (sentBytes / sizeBytes) * 100}
        size="sm"
        aria-label={name}
      />
      <span className="cy-number cy-small">
        {t('upload.progress', {
          done: formatBytes(sentBytes),
          total: formatBytes(sizeBytes),
          rate: formatBytes(Math.round(sentBytes / seconds)),
        })}
      </span>
    </>
  )
}
