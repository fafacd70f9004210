/** Rights to read that site admins took in an experiment: to see, to end, and for site admins to take. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import {
  Answer,
  Moment,
  Panel,
  Problem,
  StateMark,
  apiOf,
  useAnswer,
  useMay,
  useMe,
} from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './access-messages.ts'

const key = ['identity', 'broken-glass']

export function BrokenGlass(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const me = useMe()
  const mayEnd = useMay()('experiment.admin', experiment)
  const list = useAnswer([...key, experiment], (signal) =>
    apiOf(identityContract).listBrokenGlass({ query: { experiment } }, { signal }),
  )
  return (
    <Panel title={t('glass.title')}>
      <p className="cy-quiet">{t('glass.hint')}</p>
      <Answer to={list}>
        {({ items }) =>
          items.length === 0 ? (
            <p>{t('glass.none')}</p>
          ) : (
            <>
              {items
                .filter(({ isOpen }) => isOpen)
                .map(({ id, personName }) => (
                  <p key={id} className="cy-banner" role="alert">
                    {t('glass.now', { name: personName })}
                  </p>
                ))}
              <div className="cy-table-scroll">
                <table className="cy-table">
                  <thead>
                    <tr>
                      <th scope="col">{t('glass.who')}</th>
                      <th scope="col">{t('glass.reason')}</th>
                      <th scope="col">{t('glass.from')}</th>
                      <th scope="col">{t('glass.until')}</th>
                      <th scope="col" />
                    </tr>
                  </thead>
                  <tbody>
                    {items.map((one) => (
                      <tr key={one.id} data-row>
                        <td className="cy-key">{one.personName}</td>
                        <td className="cy-text">{one.reason}</td>
                        <td>
                          <Moment atMs={one.takenAtMs} />
                        </td>
                        <td>
                          <Moment atMs={one.endsAtMs} />{' '}
                          <StateMark tone={one.isOpen ? 'alarm' : 'quiet'}>
                            {one.isOpen
                              ? t('glass.open')
                              : one.endedBy === null
                                ? t('glass.over')
                                : t('glass.endedBy', { name: one.endedBy })}
                          </StateMark>
                        </td>
                        <td>{one.isOpen && mayEnd && <End id={one.id} />}</td>
                      </tr>
                    ))}
                  </tbody>
                </table>
              </div>
            </>
          )
        }
      </Answer>
      {me?.siteAdmin === true && <Take experiment={experiment} />}
    </Panel>
  )
}

function End(props: { id: string }): ReactNode {
  const queries = useQueryClient()
  const end = useMutation({
    mutationFn: () => apiOf(identityContract).mendGlass({ params: { glass: props.id } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: key }),
  })
  return (
    <>
      <Button size="compact-xs" color="red" loading={end.isPending} onClick={() => end.mutate()}>
        {t('glass.end')}
      </Button>
      {end.error !== null && <Problem error={end.error} />}
    </>
  )
}

function Take(props: { experiment: string }): ReactNode {
  const { experiment } = props
  const queries = useQueryClient()
  const [reason, setReason] = useState('')
  const take = useMutation({
    mutationFn: () => apiOf(identityContract).breakGlass({ body: { experiment, reason } }),
    onSuccess: () => {
      setReason('')
      return queries.invalidateQueries({ queryKey: key })
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    take.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      <TextInput
        size="xs"
        label={t('glass.takeReason')}
        placeholder={t('glass.takeHint', { experiment })}
        required
        minLength={10}
        maxLength={500}
        value={reason}
        onChange={(event) => setReason(event.currentTarget.value)}
      />
      <Button size="xs" type="submit" color="red" variant="light" loading={take.isPending}>
        {t('glass.take')}
      </Button>
      {take.error !== null && <Problem error={take.error} />}
    </form>
  )
}
