/** By what I sign in: passkeys, password with its app, recovery codes; added, named and removed here. */
import { Button } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Answer, Moment, Panel, Problem, apiOf, useAnswer, useMe } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { adminProofMs, type factorsSchema } from '../factors/contract.ts'
import { answerWithPasskey } from './ask-passkey.ts'
import { t } from './factors-messages.ts'
import { Passkeys } from './passkeys.tsx'
import { Password } from './password.tsx'
import { ProofByPassword } from './proof-dialog.tsx'
import { RecoveryCodes } from './recovery-codes.tsx'

export type FactorsShown = z.infer<typeof factorsSchema>

export function Factors(): ReactNode {
  const me = useMe()
  const factors = useAnswer(['identity', 'factors'], (signal) => apiOf(identityContract).listFactors({}, { signal }))
  const recovering = me?.recovering === true
  const managesPeople =
    me?.siteAdmin === true || Object.values(me?.rights ?? {}).some((rights) => rights.includes('people.manage'))
  return (
    <Panel title={recovering ? t('factor.recovering') : t('factor.title')} id="factors">
      {recovering && <p className="cy-notice">{t('factor.recoveringHint')}</p>}
      <Answer to={factors}>
        {(shown) => (
          <div className="cy-stack">
            {me?.siteAdmin === true && !shown.secondFactor && (
              <div className="cy-notice" role="note">
                <strong>{t('factor.adminBare')}</strong>
                <p>{t('factor.adminBareHint')}</p>
              </div>
            )}
            <Passkeys shown={shown} />
            <Password shown={shown} />
            {!recovering && <RecoveryCodes shown={shown} />}
            {shown.aliases.length > 0 && (
              <section className="cy-factor">
                <h3>{t('factor.aliases')}</h3>
                <p>{shown.aliases.join(', ')}</p>
              </section>
            )}
            {managesPeople && shown.secondFactor && <ForCommandLine shown={shown} />}
          </div>
        )}
      </Answer>
    </Panel>
  )
}

/** The command line cannot ask for a finger: this browser does, and lends it for a quarter of an hour. */
function ForCommandLine(props: { shown: FactorsShown }): ReactNode {
  const prove = useMutation({
    mutationFn: async (typed: { password: string; code: string } | undefined) => {
      const api = apiOf(identityContract)
      if (typed !== undefined) return await api.prove({ body: { ...typed, forCommandLine: true } })
      const { options } = await api.startProof()
      return await api.prove({ body: { response: await answerWithPasskey(options), forCommandLine: true } })
    },
  })
  return (
    <section className="cy-factor">
      <h3>{t('factor.shell')}</h3>
      <p className="cy-quiet">{t('factor.shellHint')}</p>
      {props.shown.passkeys.length > 0 ? (
        <div>
          <Button size="compact-sm" variant="default" loading={prove.isPending} onClick={() => prove.mutate(undefined)}>
            {t('factor.shellProve')}
          </Button>
        </div>
      ) : (
        <ProofByPassword
          label={t('factor.shellProve')}
          busy={prove.isPending}
          onTyped={(typed) => prove.mutate(typed)}
        />
      )}
      {prove.error !== null && <Problem error={prove.error} />}
      {prove.data !== undefined && <Lent untilMs={prove.data.provedAtMs + adminProofMs} />}
    </section>
  )
}

function Lent(props: { untilMs: number }): ReactNode {
  const [before, after] = t('factor.shellDone', { until: '\n' }).split('\n')
  return (
    <p role="status">
      {before}
      <Moment atMs={props.untilMs} />
      {after}
    </p>
  )
}
