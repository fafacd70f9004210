/** In: what to do next. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { apiOf, useAnswer, useMe } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { Join } from './join-page.tsx'
import { t } from './join-messages.ts'

export function JoinedPanel(props: { join: Join }): ReactNode {
  const { join } = props
  const me = useMe()
  if (me === undefined) {
    return (
      <>
        <h1>{t('join.in')}</h1>
        <p role="status">{t('join.inSignIn')}</p>
        <div>
          <Button component={Link} href="/sign-in">
            {t('join.signIn')}
          </Button>
        </div>
      </>
    )
  }
  const mayStart = (me.rights[join.experiment] ?? []).includes('sessions.start')
  const home = `/e/${join.experiment}`
  return (
    <>
      <h1>{t('join.in')}</h1>
      <div className="cy-stack">
        <p role="status">{t('join.inLead', { role: t(`role.of.${join.role}`), group: join.group })}</p>
        <div className="cy-row">
          {mayStart && (
            <Button component={Link} href={`${home}/sessions`}>
              {t('join.notebook')}
            </Button>
          )}
          <Button component={Link} href={home} variant={mayStart ? 'default' : 'filled'}>
            {t('join.look')}
          </Button>
        </div>
        <Secure />
      </div>
    </>
  )
}

/** Who came in by the link alone has nothing to come back with. */
function Secure(): ReactNode {
  const factors = useAnswer(['identity', 'factors'], (signal) => apiOf(identityContract).listFactors({}, { signal }))
  const identities = useAnswer(['identity', 'identities'], (signal) =>
    apiOf(identityContract).listIdentities({}, { signal }),
  )
  if (factors.data === undefined || identities.data === undefined) return null
  if (factors.data.secondFactor || identities.data.items.length > 0) return null
  return (
    <div className="cy-notice">
      <p>{t('join.secureHint')}</p>
      <div>
        <Button component={Link} href="/me" variant="default" size="compact-sm">
          {t('join.secure')}
        </Button>
      </div>
    </div>
  )
}
