/** Notes of a run or of the experiment; run references in the text become links. */
import { Button, Textarea } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Answer, Moment, Problem, apiOf, useAnswer, useMay } from '../../foundation/browser.tsx'
import type { RunPanelProps } from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import { runAddress } from './marks.tsx'
import { t } from './messages.ts'
import { splitReferences } from './references.ts'

export default function RunNotes(props: RunPanelProps): ReactNode {
  return <NotesPanel experiment={props.experiment} run={`${props.series}:${props.number}`} limit={100} />
}

export function NotesPanel(props: { experiment: string; run?: string; limit: number }): ReactNode {
  const { experiment, run } = props
  const may = useMay()
  const notes = useAnswer(['logbook', 'notes', experiment, run ?? '', props.limit], (signal) =>
    apiOf(logbookContract).listNotes(
      { params: { experiment }, query: { limit: props.limit, ...(run === undefined ? {} : { run }) } },
      { signal },
    ),
  )
  return (
    <div className="cy-stack">
      {may('logbook.write', experiment) && <WriteNote experiment={experiment} run={run} />}
      <Answer to={notes}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet">{run === undefined ? t('home.noNotes') : t('notes.none')}</p>
          ) : (
            <ul className="cy-notes">
              {items.map((note) => (
                <li key={note.id}>
                  <p className="cy-quiet cy-small">
                    <strong>{note.author}</strong> <Moment atMs={note.atMs} />
                    {run === undefined && note.run !== null && (
                      <>
                        {' '}
                        · <Link href={runAddress(experiment, note.run)}>{note.run}</Link>
                      </>
                    )}
                  </p>
                  <p className="cy-note-text">
                    {splitReferences(note.text).map((part, index) =>
                      part.reference === undefined ? (
                        part.text
                      ) : (
                        <Link key={index} href={runAddress(experiment, part.reference)}>
                          {part.text}
                        </Link>
                      ),
                    )}
                  </p>
                </li>
              ))}
            </ul>
          )
        }
      </Answer>
    </div>
  )
}

function WriteNote(props: { experiment: string; run: string | undefined }): ReactNode {
  const queries = useQueryClient()
  const [text, setText] = useState('')
  const add = useMutation({
    mutationFn: () =>
      apiOf(logbookContract).addNote({
        params: { experiment: props.experiment },
        body: { text: text.trim(), ...(props.run === undefined ? {} : { run: props.run }) },
      }),
    onSuccess: async () => {
      setText('')
      await queries.invalidateQueries({ queryKey: ['logbook', 'notes'] })
    },
  })
  const label = props.run === undefined ? t('home.writeNote') : t('notes.write')
  const ready = text.trim() !== ''
  return (
    <div>
      <Textarea
        size="xs"
        autosize
        minRows={1}
        maxRows={10}
        aria-label={label}
        placeholder={label}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key === 'Enter' && (event.ctrlKey || event.metaKey) && ready) add.mutate()
        }}
      />
      {ready && (
        <div className="cy-row cy-note-foot">
          <Button size="compact-sm" loading={add.isPending} onClick={() => add.mutate()}>
            {t('notes.add')}
          </Button>
          <span className="cy-quiet cy-small">{t('notes.hint')}</span>
        </div>
      )}
      {add.error !== null && <Problem error={add.error} />}
    </div>
  )
}
