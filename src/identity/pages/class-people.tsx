/** Who came in by a class link, as it grows; and one click that ends it for all. */
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Answer, Empty, Panel, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { GuestTable } from './guest-table.tsx'
import { t } from './invitations-messages.ts'
import { TwoStep } from './two-step.tsx'

const liveMs = 3000

export function ClassPeople(props: { invitation: string }): ReactNode {
  const params = { invitation: props.invitation }
  const queries = useQueryClient()
  const people = useAnswer(
    ['identity', 'class', props.invitation],
    (signal) => apiOf(identityContract).showClass({ params }, { signal }),
    { everyMs: liveMs },
  )
  const end = useMutation({
    mutationFn: () => apiOf(identityContract).endClass({ params }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <Panel title={t('class.title')}>
      {end.error !== null && <Problem error={end.error} />}
      {end.data !== undefined && <p role="status">{t('class.ended', { count: end.data.ended })}</p>}
      <Answer to={people}>
        {({ invitation, people: items }) => {
          const active = items.filter(({ state }) => state === 'active').length
          return (
            <div className="cy-stack">
              <p aria-live="polite">{t('class.seats', { used: invitation.used, seats: invitation.maxUses })}</p>
              {items.length === 0 ? (
                <Empty title={t('class.none')} />
              ) : (
                <GuestTable guests={items} label={t('class.title')} decide={false} />
              )}
              {active > 0 && (
                <div>
                  <TwoStep
                    label={t('class.endAll')}
                    sure={t('class.endAllSure', { count: active })}
                    busy={end.isPending}
                    onSure={() => end.mutate()}
                  />
                </div>
              )}
            </div>
          )
        }}
      </Answer>
    </Panel>
  )
}
