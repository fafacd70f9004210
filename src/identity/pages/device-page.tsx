/** /device?user_code=…: the command line asks to be signed in; ?machine=…: a machine asks to be registered. */
import { Button, TextInput } from '@mantine/core'
import type { FormEvent, ReactNode } from 'react'
import { PageHead, Panel, apiOf, useAnswer, useQueryState, useTitle } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { Grant } from './grant.tsx'
import { MachineRequest } from './machine-request.tsx'
import { t } from './entry-messages.ts'

export default function DevicePage(): ReactNode {
  useTitle(t('device.title'))
  const state = useQueryState()
  const userCode = state.get('user_code').trim().toUpperCase()
  const machine = state.get('machine').trim().toUpperCase()
  const look = (event: FormEvent<HTMLFormElement>): void => {
    event.preventDefault()
    const given = new FormData(event.currentTarget).get('user_code')
    state.set({ user_code: typeof given === 'string' ? given.trim().toUpperCase() : '' })
  }
  return (
    <>
      <PageHead title={t('device.title')} />
      <div className="cy-narrow cy-stack">
        {machine !== '' ? (
          <MachineRequest userCode={machine} />
        ) : userCode === '' ? (
          <Panel title={t('device.enter')}>
            <form onSubmit={look} className="cy-filters">
              <TextInput name="user_code" label={t('device.code')} autoComplete="off" required />
              <Button type="submit">{t('device.look')}</Button>
            </form>
          </Panel>
        ) : (
          <DeviceRequest userCode={userCode} />
        )}
      </div>
    </>
  )
}

function DeviceRequest(props: { userCode: string }): ReactNode {
  const params = { userCode: props.userCode }
  const request = useAnswer(
    ['identity', 'device', props.userCode],
    (signal) => apiOf(identityContract).showDevice({ params }, { signal }),
    { everyMs: 0 },
  )
  return (
    <Grant
      title={t('device.title')}
      request={request}
      note={
        <>
          <p className="cy-user-code">{request.data?.userCode}</p>
          <p>{t('device.match')}</p>
        </>
      }
      decide={async (decision) => {
        await apiOf(identityContract).decideDevice({ params, body: { decision } })
      }}
    />
  )
}
