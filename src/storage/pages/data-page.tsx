/** Where is the file, may I have it, is it safe? */
import { SegmentedControl, TextInput } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link, useLocation } from 'wouter'
import {
  Answer,
  Bytes,
  Empty,
  Moment,
  PageEnd,
  PageHead,
  Problem,
  Waiting,
  apiOf,
  useAnswer,
  useMay,
  usePages,
  useQueryState,
  useRowKeys,
  useTitle,
} from '../../foundation/browser.tsx'
import type { PageProps, QueryState } from '../../foundation/browser.tsx'
import { storageContract } from '../contract.ts'
import type { BucketAnswer, EntryAnswer } from '../contract.ts'
import { DeletionNotices, useDeletions } from './deletions.tsx'
import { t } from './messages.ts'
import { ObjectSheet } from './object-sheet.tsx'
import { crumbsOf, splitPrefix } from './object-path.ts'
import { UploadArea } from './uploads.tsx'

export default function DataPage(props: PageProps): ReactNode {
  const experiment = props.params['experiment'] ?? ''
  useTitle(t('data.title'))
  const [, navigate] = useLocation()
  const buckets = useAnswer(['storage', 'buckets', experiment], (signal) =>
    apiOf(storageContract).listBuckets({ params: { experiment } }, { signal }),
  )
  return (
    <>
      {buckets.data === undefined && <PageHead title={t('data.title')} />}
      <Answer to={buckets}>
        {({ items }) => {
          const bucket = items.find((item) => item.name === props.params['bucket']) ?? items[0]
          if (bucket === undefined) return <Empty title={t('data.noBuckets')} />
          return (
            <>
              <PageHead
                title={t('data.title')}
                aside={
                  <SegmentedControl
                    size="xs"
                    aria-label={t('data.areas')}
                    value={bucket.name}
                    onChange={(name) => navigate(`/e/${experiment}/data/${name}`)}
                    data={items.map((item) => ({ value: item.name, label: t(`purpose.${item.purpose}`) }))}
                  />
                }
              >
                <span className="cy-quiet">{t(`purpose.${bucket.purpose}Hint`)}</span>
              </PageHead>
              <BucketView key={bucket.name} experiment={experiment} bucket={bucket} />
            </>
          )
        }}
      </Answer>
    </>
  )
}

function BucketView(props: { experiment: string; bucket: BucketAnswer }): ReactNode {
  const { experiment, bucket } = props
  const state = useQueryState()
  const may = useMay()
  const prefix = state.get('prefix')
  const { folder } = splitPrefix(prefix)
  const chosen = state.get('key')
  const deletions = useDeletions(bucket.name)
  const entries = usePages(['storage', 'objects', bucket.name, prefix], (cursor, signal) =>
    apiOf(storageContract).listObjects(
      { params: { bucket: bucket.name }, query: { prefix, limit: 200, ...(cursor === undefined ? {} : { cursor }) } },
      { signal },
    ),
  )
  const rows = entries.items.filter((entry) => !deletions.gone.has(entry.key))
  const list = (
    <>
      <Crumbs bucket={bucket} prefix={prefix} state={state} />
      <DeletionNotices of={deletions} />
      {entries.waiting ? (
        <Waiting rows={10} height={24} />
      ) : entries.error !== null && entries.items.length === 0 ? (
        <Problem error={entries.error} onRetry={entries.retry} />
      ) : rows.length === 0 ? (
        <NothingHere bucket={bucket} prefix={prefix} />
      ) : (
        <>
          <EntryTable rows={rows} experiment={experiment} bucket={bucket.name} chosen={chosen} prefix={prefix} />
          <PageEnd of={entries} />
        </>
      )}
    </>
  )
  return (
    <div className={chosen === '' ? undefined : 'cy-columns'}>
      <div className="cy-stack">
        {may('data.create', experiment) ? (
          <UploadArea bucket={bucket} folder={folder}>
            {list}
          </UploadArea>
        ) : (
          <div>{list}</div>
        )}
      </div>
      {chosen !== '' && (
        <ObjectSheet
          key={chosen}
          bucket={bucket}
          objectKey={chosen}
          mayDelete={may('data.modify', experiment)}
          onClose={() => state.set({ key: undefined })}
          onDelete={() => {
            deletions.start(chosen)
            state.set({ key: undefined })
          }}
        />
      )}
    </div>
  )
}

function NothingHere(props: { bucket: BucketAnswer; prefix: string }): ReactNode {
  const { start } = splitPrefix(props.prefix)
  if (start !== '') return <Empty title={t('data.noneFiltered', { prefix: start })} />
  const hints = { raw: t('data.noneHintRaw'), reco: t('data.noneHintReco'), work: t('data.noneHintWork') }
  return (
    <Empty title={t('data.none')}>
      <p>{hints[props.bucket.purpose]}</p>
    </Empty>
  )
}

function Crumbs(props: { bucket: BucketAnswer; prefix: string; state: QueryState }): ReactNode {
  const { folder, start } = splitPrefix(props.prefix)
  const crumbs = crumbsOf(folder)
  return (
    <div className="cy-filters">
      <nav aria-label={t('data.path')} className="cy-crumbs">
        <Link
          href="?"
          onClick={(event) => {
            event.preventDefault()
            props.state.set({ prefix: undefined, key: undefined })
          }}
        >
          {props.bucket.name}
        </Link>
        {crumbs.map((crumb, index) => (
          <span key={crumb.prefix}>
            {' / '}
            <Link
              href={`?prefix=${encodeURIComponent(crumb.prefix)}`}
              aria-current={index === crumbs.length - 1 ? 'location' : undefined}
            >
              {crumb.name}
            </Link>
          </span>
        ))}
      </nav>
      <TextInput
        size="xs"
        className="cy-row-end"
        aria-label={t('data.filter')}
        placeholder={t('data.filter')}
        value={start}
        onChange={(event) => props.state.set({ prefix: `${folder}${event.currentTarget.value}` })}
        data-filter
      />
    </div>
  )
}

function EntryTable(props: {
  rows: EntryAnswer[]
  experiment: string
  bucket: string
  chosen: string
  prefix: string
}): ReactNode {
  const table = useRowKeys({ next: t('data.next'), previous: t('data.previous') })
  const base = `/e/${props.experiment}/data/${props.bucket}`
  return (
    <div className="cy-table-scroll">
      <table className="cy-table" ref={table}>
        <thead>
          <tr>
            <th scope="col">{t('data.name')}</th>
            <th scope="col" className="cy-right">
              {t('data.size')}
            </th>
            <th scope="col">{t('data.changed')}</th>
          </tr>
        </thead>
        <tbody>
          {props.rows.map((entry) => (
            <tr
              key={`${entry.kind} ${entry.key}`}
              data-row
              className={entry.key === props.chosen ? 'cy-chosen' : undefined}
            >
              <td className="cy-key">
                {entry.kind === 'folder' ? (
                  <Link href={`${base}?prefix=${encodeURIComponent(entry.key)}`}>{entry.name}/</Link>
                ) : (
                  <Link
                    href={`${base}?${new URLSearchParams({ ...(props.prefix === '' ? {} : { prefix: props.prefix }), key: entry.key }).toString()}`}
                  >
                    {entry.name}
                  </Link>
                )}
              </td>
              <td className="cy-right">
                {entry.kind === 'folder' ? (
                  <span className="cy-quiet">{t('data.folder')}</span>
                ) : (
                  <Bytes sizeBytes={entry.sizeBytes} />
                )}
              </td>
              <td>{entry.kind === 'object' && <Moment atMs={entry.modifiedMs} />}</td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}
