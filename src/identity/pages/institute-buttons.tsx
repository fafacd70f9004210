/** One button for each institute; what it vouches for stands below. Nothing where there is none. */
import { Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './institute-messages.ts'

export function InstituteButtons(props: {
  purpose?: 'login' | 'link' | 'join'
  /** Where to go afterwards: a page of this app. */
  next?: string
  /** Only these issuers (an invitation may name them). */
  issuers?: readonly string[] | null
}): ReactNode {
  const { purpose = 'login', next } = props
  const institutes = useAnswer(
    ['identity', 'institutes'],
    (signal) => apiOf(identityContract).listInstitutes({}, { signal }),
    { everyMs: 0 },
  )
  const leave = useMutation({
    mutationFn: (institute: string) =>
      apiOf(identityContract).startInstituteLogin({
        body: { institute, purpose, ...(next !== undefined && { next }) },
      }),
    onSuccess: ({ location }) => window.location.assign(location),
  })
  const items = (institutes.data?.items ?? []).filter(({ issuer }) => props.issuers?.includes(issuer) ?? true)
  if (items.length === 0) return null
  const words = { login: 'institute.with', link: 'institute.linkWith', join: 'institute.joinWith' } as const
  return (
    <div className="cy-stack">
      {leave.error !== null && <Problem error={leave.error} title={t('institute.failed')} />}
      {items.map(({ id, label, vouches }) => (
        <div key={id}>
          <Button
            fullWidth={purpose !== 'link'}
            variant="default"
            loading={leave.isPending && leave.variables === id}
            onClick={() => leave.mutate(id)}
          >
            {t(words[purpose], { institute: label })}
          </Button>
          {vouches !== '' && <p className="cy-quiet cy-small">{vouches}</p>}
        </div>
      ))}
    </div>
  )
}
