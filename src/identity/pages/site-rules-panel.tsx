/** The rules everybody agrees to: read them, write a new version. */
import { Button, Textarea } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Answer, Panel, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { t } from './invitations-messages.ts'
import { TwoStep } from './two-step.tsx'

export function SiteRules(): ReactNode {
  const queries = useQueryClient()
  const terms = useAnswer(['identity', 'terms', 'en'], (signal) => apiOf(identityContract).showTerms({}, { signal }))
  const [text, setText] = useState<string | undefined>(undefined)
  const publish = useMutation({
    mutationFn: (next: string) => apiOf(identityContract).publishTerms({ body: { text: next } }),
    onSuccess: async () => {
      setText(undefined)
      await queries.invalidateQueries({ queryKey: ['identity'] })
    },
  })
  return (
    <Panel title={t('rules.title')}>
      <Answer to={terms}>
        {(shown) => (
          <div className="cy-stack">
            <p>{t('rules.version', { version: shown.version })}</p>
            {text === undefined ? (
              <>
                <div className="cy-rules" tabIndex={0} role="region" aria-label={t('rules.title')}>
                  {shown.text}
                </div>
                <div>
                  <Button size="compact-sm" variant="default" onClick={() => setText(shown.text)}>
                    {t('rules.edit')}
                  </Button>
                </div>
              </>
            ) : (
              <>
                <Textarea
                  label={t('rules.text')}
                  autosize
                  minRows={8}
                  maxLength={20_000}
                  value={text}
                  onChange={(event) => setText(event.currentTarget.value)}
                />
                <div>
                  <TwoStep
                    label={t('rules.publish')}
                    sure={t('rules.publishSure')}
                    busy={publish.isPending}
                    onSure={() => publish.mutate(text)}
                  />
                </div>
              </>
            )}
            {publish.error !== null && <Problem error={publish.error} />}
          </div>
        )}
      </Answer>
    </Panel>
  )
}
