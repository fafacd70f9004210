/** Selections people of the experiment keep: open one, keep this one, delete one's own. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Age, Answer, Problem, apiOf, useAnswer, useMay, useMe } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { SavedSelection } from '../../contract.ts'
import { t } from '../messages.ts'

export function SavedSelections(props: { experiment: string; address: string; readable: boolean }): ReactNode {
  const { experiment, address } = props
  const me = useMe()
  const may = useMay()
  const queries = useQueryClient()
  const [name, setName] = useState('')
  const key = ['reconstruction', 'saved', experiment]
  const saved = useAnswer(key, (signal) =>
    apiOf(reconstructionContract).listSavedSelections({ params: { experiment } }, { signal }),
  )
  const onSuccess = () => queries.invalidateQueries({ queryKey: key })
  const save = useMutation({
    mutationFn: () =>
      apiOf(reconstructionContract).saveSelection({ params: { experiment }, body: { name: name.trim(), address } }),
    onSuccess: async () => {
      setName('')
      await onSuccess()
    },
  })
  const remove = useMutation({
    mutationFn: (selection: string) =>
      apiOf(reconstructionContract).deleteSavedSelection({ params: { experiment, selection } }),
    onSuccess,
  })
  const mayDelete = (one: SavedSelection): boolean => one.ownerId === me?.id || may('experiment.admin', experiment)
  return (
    <div className="cy-stack">
      <Answer to={saved}>
        {({ items }) =>
          items.length === 0 ? (
            <p className="cy-quiet cy-small">{t('results.savedNone')}</p>
          ) : (
            <ul className="cy-plain-list" aria-label={t('results.saved')}>
              {items.map((one) => (
                <li key={one.id}>
                  <Link href={`/e/${experiment}/results?${one.address}`}>{one.name}</Link>{' '}
                  <span className="cy-quiet cy-small">
                    {one.ownerName}, <Age atMs={one.createdAtMs} />
                  </span>{' '}
                  {mayDelete(one) && (
                    <button
                      type="button"
                      className="cy-link"
                      aria-label={t('results.deleteSaved', { name: one.name })}
                      title={t('results.deleteSaved', { name: one.name })}
                      disabled={remove.isPending}
                      onClick={() => remove.mutate(one.id)}
                    >
                      ✕
                    </button>
                  )}
                </li>
              ))}
            </ul>
          )
        }
      </Answer>
      {may('logbook.write', experiment) && (
        <form
          className="cy-filters"
          onSubmit={(event) => {
            event.preventDefault()
            save.mutate()
          }}
        >
          <TextInput
            size="xs"
            label={t('results.saveAs')}
            maxLength={80}
            value={name}
            onChange={(event) => setName(event.currentTarget.value)}
          />
          <Button
            type="submit"
            size="compact-sm"
            variant="default"
            disabled={name.trim() === '' || !props.readable}
            loading={save.isPending}
          >
            {t('results.save')}
          </Button>
        </form>
      )}
      {save.error !== null && <Problem error={save.error} title={t('results.notSaved')} />}
      {remove.error !== null && <Problem error={remove.error} title={t('results.notDeleted')} />}
    </div>
  )
}
