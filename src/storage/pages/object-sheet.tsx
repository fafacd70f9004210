/** One object: its facts, its names in every tool, its bytes. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import {
  Answer,
  Bytes,
  CopyButton,
  CopyLine,
  Facts,
  Moment,
  Panel,
  addressOf,
  apiOf,
  useAnswer,
} from '../../foundation/browser.tsx'
import { storageContract } from '../contract.ts'
import type { BucketAnswer, ObjectAnswer } from '../contract.ts'
import { t } from './messages.ts'
import { s3AddressOf, shellQuoted } from './object-path.ts'

export function ObjectSheet(props: {
  bucket: BucketAnswer
  objectKey: string
  mayDelete: boolean
  onClose: () => void
  onDelete: () => void
}): ReactNode {
  const { objectKey: key } = props
  const bucket = props.bucket.name
  const object = useAnswer(['storage', 'object', bucket, key], (signal) =>
    apiOf(storageContract).showObject({ params: { bucket }, query: { key } }, { signal }),
  )
  const name = key.split('/').at(-1) ?? key
  const s3 = s3AddressOf(bucket, key)
  return (
    <Panel
      title={name}
      aside={
        <Button size="compact-sm" variant="subtle" onClick={props.onClose}>
          {t('data.close')}
        </Button>
      }
    >
      <Answer to={object}>
        {(facts) => (
          <div className="cy-stack">
            <div className="cy-row">
              <Button
                component="a"
                size="compact-sm"
                href={addressOf(storageContract.routes.readObject, { params: { bucket }, query: { key } })}
                download={name}
              >
                {t('data.download')}
              </Button>
              <CopyButton label={t('data.copyCommand')} text={`cygnet data get ${shellQuoted(`${bucket}/${key}`)} .`} />
              {facts.posixPath !== null && (
                <CopyButton
                  label={t('data.copyPython')}
                  text={`data = open(${JSON.stringify(facts.posixPath)}, "rb").read()`}
                />
              )}
            </div>
            <Facts
              items={[
                [t('data.size'), <Bytes key="size" sizeBytes={facts.sizeBytes} />],
                [t('data.changed'), <Moment key="changed" atMs={facts.modifiedMs} />],
                [t('data.type'), facts.contentType],
                [
                  t('data.etag'),
                  <span key="etag" className="cy-mono">
                    {facts.etag}
                  </span>,
                ],
              ]}
            />
            <Checksum bucket={bucket} facts={facts} />
            <span className="cy-small cy-quiet">{t('data.s3')}</span>
            <CopyLine text={s3} label={t('data.copyS3')} />
            <span className="cy-small cy-quiet">{t('data.posix')}</span>
            {facts.posixPath === null ? (
              <p>{t('data.posixNone')}</p>
            ) : (
              <CopyLine text={facts.posixPath} label={t('data.copyPosix')} />
            )}
            {props.mayDelete && (
              <Delete name={name} shared={props.bucket.purpose !== 'work'} onDelete={props.onDelete} />
            )}
          </div>
        )}
      </Answer>
    </Panel>
  )
}

function Checksum(props: { bucket: string; facts: ObjectAnswer }): ReactNode {
  const queries = useQueryClient()
  const { bucket, facts } = props
  const compute = useMutation({
    mutationFn: () =>
      apiOf(storageContract).showObject({ params: { bucket }, query: { key: facts.key, hash: 'true' } }),
    onSuccess: (answer) => queries.setQueryData(['storage', 'object', bucket, facts.key], answer),
  })
  if (facts.sha256 !== null)
    return (
      <div>
        <span className="cy-small cy-quiet">{t('data.sha')}</span>
        <p className="cy-mono">{facts.sha256}</p>
      </div>
    )
  return (
    <div className="cy-row">
      <span className="cy-quiet">
        {t('data.sha')}: {t('data.shaUnknown')}
      </span>
      <Button size="compact-sm" variant="default" loading={compute.isPending} onClick={() => compute.mutate()}>
        {t('data.shaCompute')}
      </Button>
    </div>
  )
}

/** Raw and reconstructed data belong to everybody: their deletion asks for the name. One's own can be undone. */
function Delete(props: { name: string; shared: boolean; onDelete: () => void }): ReactNode {
  const [asked, setAsked] = useState(false)
  const [typed, setTyped] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (typed === props.name) props.onDelete()
  }
  if (!asked) {
    return (
      <div>
        <Button size="compact-sm" variant="default" onClick={() => (props.shared ? setAsked(true) : props.onDelete())}>
          {t('delete.button')}
        </Button>
      </div>
    )
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      <TextInput
        size="xs"
        label={t('delete.type')}
        value={typed}
        onChange={(event) => setTyped(event.currentTarget.value)}
        placeholder={props.name}
      />
      <Button size="xs" type="submit" color="red" disabled={typed !== props.name}>
        {t('delete.sure')}
      </Button>
      <Button size="xs" variant="subtle" onClick={() => setAsked(false)}>
        {t('delete.keep')}
      </Button>
    </form>
  )
}
