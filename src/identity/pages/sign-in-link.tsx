/** A one-time link for somebody, to be handed over. */
import type { ReactNode } from 'react'
import { CopyLine, formatMoment, useZone } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export function SignInLink(props: { name: string; link: { url: string; expiresAtMs: number } }): ReactNode {
  const zone = useZone()
  return (
    <div className="cy-notice" role="status">
      <strong>{t('people.link', { name: props.name, until: formatMoment(props.link.expiresAtMs, zone) })}</strong>
      <CopyLine text={props.link.url} label={t('me.copy')} />
    </div>
  )
}
