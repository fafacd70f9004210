/** Shown wherever somebody is, while the rules of the site wait for his agreement. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { Problem, apiOf, useAnswer, useLanguage } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './join-messages.ts'

export default function TermsDue(): ReactNode {
  const language = useLanguage()
  const queries = useQueryClient()
  const terms = useAnswer(
    ['identity', 'terms', language],
    (signal) => apiOf(identityContract).showTerms({ query: { language } }, { signal }),
    { everyMs: 300_000 },
  )
  const agree = useMutation({
    mutationFn: (version: number) => apiOf(identityContract).acceptTerms({ body: { version } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  if (terms.data?.due !== true) return null
  const { version, text } = terms.data
  return (
    <section className="cy-terms-due" aria-label={t('terms.due')}>
      <h2>{t('terms.due')}</h2>
      <p>{t('terms.dueHint')}</p>
      <div className="cy-rules" tabIndex={0} role="region" aria-label={t('join.rules', { version })}>
        {text}
      </div>
      {agree.error !== null && <Problem error={agree.error} />}
      <div>
        <Button loading={agree.isPending} onClick={() => agree.mutate(version)}>
          {t('terms.agree', { version })}
        </Button>
      </div>
    </section>
  )
}
