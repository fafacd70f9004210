/** /device?machine=…: a machine asks to be registered with the key it made. */
import { Button, NativeSelect } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Answer, Facts, Panel, Problem, apiOf, useAnswer, useMe } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './machines-messages.ts'

export function MachineRequest(props: { userCode: string }): ReactNode {
  const params = { userCode: props.userCode }
  const me = useMe()
  const [second, setSecond] = useState('')
  const request = useAnswer(
    ['identity', 'enrolment', props.userCode],
    (signal) => apiOf(identityContract).showEnrolment({ params }, { signal }),
    { everyMs: 0 },
  )
  const answer = useMutation({
    mutationFn: (decision: 'approve' | 'deny') => {
      const isCandidate = request.data?.candidates.some(({ id }) => id === me?.id) === true
      const owners = [...(isCandidate && me !== undefined ? [me.id] : []), ...(second === '' ? [] : [second])]
      const body = { decision, ...(decision === 'approve' && owners.length > 0 ? { owners } : {}) }
      return apiOf(identityContract).decideEnrolment({ params, body })
    },
  })
  return (
    <Panel title={t('machines.asks')}>
      <Answer to={request}>
        {({ userCode, experiment, name, fingerprint, address, isKnown, candidates }) =>
          answer.isSuccess ? (
            <p role="status">{answer.variables === 'approve' ? t('machines.approved') : t('machines.denied')}</p>
          ) : (
            <div className="cy-stack">
              <p className="cy-user-code">{userCode}</p>
              <p>{t('machines.compare')}</p>
              {isKnown && <p>{t('machines.known')}</p>}
              <Facts
                items={[
                  [t('machines.name'), name],
                  [t('machines.experiment'), experiment],
                  [
                    t('machines.fingerprint'),
                    <span key="key" className="cy-mono">
                      {fingerprint}
                    </span>,
                  ],
                  [t('machines.from'), address],
                ]}
              />
              <NativeSelect
                size="xs"
                label={t('machines.second')}
                value={second}
                data={[
                  { value: '', label: t('machines.nobody') },
                  ...candidates.flatMap(({ id, displayName }) =>
                    id === me?.id ? [] : [{ value: id, label: displayName }],
                  ),
                ]}
                onChange={(event) => setSecond(event.currentTarget.value)}
              />
              <div className="cy-row">
                <Button loading={answer.isPending} onClick={() => answer.mutate('approve')}>
                  {t('machines.approve')}
                </Button>
                <Button variant="default" disabled={answer.isPending} onClick={() => answer.mutate('deny')}>
                  {t('machines.deny')}
                </Button>
              </div>
              {answer.error !== null && <Problem error={answer.error} />}
            </div>
          )
        }
      </Answer>
    </Panel>
  )
}
