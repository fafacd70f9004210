import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Empty, useTitle } from '../../foundation/browser.tsx'
import { t } from './messages.ts'

export function NotFound(): ReactNode {
  useTitle(t('app.notFound'))
  return (
    <div className="cy-page">
      <h1 className="cy-visually-hidden">{t('app.notFound')}</h1>
      <Empty title={t('app.notFound')}>
        <p>{t('app.notFoundHint')}</p>
        <Link href="/">{t('app.home')}</Link>
      </Empty>
    </div>
  )
}
