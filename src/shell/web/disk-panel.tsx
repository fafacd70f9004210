/** On home, for those who run the platform: how much room is left. */
import { Progress } from '@mantine/core'
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Answer, StateMark, apiOf, formatBytes, useAnswer, useMay } from '../../foundation/browser.tsx'
import { shellContract } from '../contract.ts'
import { t } from './messages.ts'

export default function DiskPanel(): ReactNode {
  const may = useMay()
  const allowed = may('ops.read')
  const status = useAnswer(['shell', 'status'], (signal) => apiOf(shellContract).status({}, { signal }), {
    everyMs: 10_000,
    enabled: allowed,
  })
  if (!allowed) return <Link href="/status">{t('me.status')}</Link>
  return (
    <Answer to={status}>
      {({ disk, storageLagChanges }) => {
        const used = disk.totalBytes > 0 ? (1 - disk.freeBytes / disk.totalBytes) * 100 : 0
        return (
          <div className="cy-stack">
            <div>
              <div className="cy-row cy-small">
                <span className="cy-quiet">{t('disk.used')}</span>
                <span className="cy-number cy-row-end">
                  {t('disk.free', { free: formatBytes(disk.freeBytes), total: formatBytes(disk.totalBytes) })}
                </span>
              </div>
              <Progress value={used} size="sm" color={used > 90 ? 'red' : 'water'} aria-label={t('disk.used')} />
            </div>
            {used > 90 && <StateMark tone="warning">{t('disk.low')}</StateMark>}
            <div className="cy-row cy-small">
              <span className="cy-quiet">{t('status.lag')}</span>
              <span className="cy-number cy-row-end">{storageLagChanges}</span>
            </div>
            <Link href="/status">{t('me.status')}</Link>
          </div>
        )
      }}
    </Answer>
  )
}
