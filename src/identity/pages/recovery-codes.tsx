/** My recovery codes: made here, shown once. */
import { Button } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import { CopyButton, Problem, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { FactorsShown } from './factors.tsx'
import { t } from './factors-messages.ts'
import { TwoStep } from './two-step.tsx'

export function RecoveryCodes(props: { shown: FactorsShown }): ReactNode {
  const { recoveryCodes, secondFactor } = props.shown
  const queries = useQueryClient()
  const make = useMutation({
    mutationFn: () => apiOf(identityContract).createRecoveryCodes(),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity', 'factors'] }),
  })
  return (
    <section className="cy-factor">
      <h3>{t('factor.recovery')}</h3>
      <p className="cy-quiet">{t('factor.recoveryHint')}</p>
      {make.data !== undefined ? (
        <div className="cy-notice" role="status">
          <strong>{t('factor.recoveryShown')}</strong>
          <ol className="cy-codes">
            {make.data.codes.map((code) => (
              <li key={code}>
                <code>{code}</code>
              </li>
            ))}
          </ol>
          <div className="cy-row">
            <CopyButton text={make.data.codes.join('\n')} label={t('factor.copyAll')} />
            <Button size="compact-sm" onClick={() => make.reset()}>
              {t('factor.stored')}
            </Button>
          </div>
        </div>
      ) : (
        <>
          <p>
            {recoveryCodes !== null
              ? t('factor.recoveryLeft', { count: recoveryCodes.left })
              : secondFactor
                ? t('factor.noRecovery')
                : t('factor.noRecoveryYet')}
          </p>
          {secondFactor && recoveryCodes === null && (
            <div>
              <Button size="compact-sm" variant="default" loading={make.isPending} onClick={() => make.mutate()}>
                {t('factor.makeRecovery')}
              </Button>
            </div>
          )}
          {secondFactor && recoveryCodes !== null && (
            <div>
              <TwoStep
                label={t('factor.renewRecovery')}
                sure={t('factor.renewSure')}
                busy={make.isPending}
                onSure={() => make.mutate()}
              />
            </div>
          )}
        </>
      )}
      {make.error !== null && <Problem error={make.error} />}
    </section>
  )
}
