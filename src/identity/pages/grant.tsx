/** Somebody asks to act for the person: who, for what, from where; approve or deny. */
import { Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import type { UseQueryResult } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Answer, Facts, Moment, Panel, Problem, useMe } from '../../foundation/browser.tsx'
import { t } from './entry-messages.ts'

interface Request {
  clientName: string
  scopes: string[]
  address: string | null
  expiresAtMs: number
}

export function Grant(props: {
  title: string
  request: UseQueryResult<Request>
  note?: ReactNode
  decide: (decision: 'approve' | 'deny') => Promise<void>
}): ReactNode {
  const me = useMe()
  const answer = useMutation({ mutationFn: props.decide })
  return (
    <Panel title={props.title}>
      <Answer to={props.request}>
        {(request) =>
          answer.isSuccess ? (
            <p role="status">{answer.variables === 'approve' ? t('grant.approved') : t('grant.denied')}</p>
          ) : (
            <div className="cy-stack">
              <p>{t('grant.asks', { client: request.clientName, name: me?.name ?? '' })}</p>
              {props.note}
              <Facts
                items={[
                  [t('grant.scopes'), request.scopes.length === 0 ? undefined : request.scopes.join(', ')],
                  [t('grant.from'), request.address ?? t('grant.unknown')],
                  [t('grant.until'), <Moment key="until" atMs={request.expiresAtMs} />],
                ]}
              />
              <div className="cy-row">
                <Button
                  loading={answer.isPending && answer.variables === 'approve'}
                  onClick={() => answer.mutate('approve')}
                >
                  {t('grant.approve')}
                </Button>
                <Button
                  variant="default"
                  loading={answer.isPending && answer.variables === 'deny'}
                  onClick={() => answer.mutate('deny')}
                >
                  {t('grant.deny')}
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
