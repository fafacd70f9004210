/** Faults of runs: what happened, what to do, where it was seen. */
import type { ReactNode } from 'react'
import { Link } from 'wouter'
import { Age, CopyButton, StateMark } from '../../foundation/browser.tsx'
import type { LogbookFault } from '../contract.ts'
import { runAddress } from './marks.tsx'
import { t } from './messages.ts'

export function FaultList(props: { experiment: string; faults: LogbookFault[] }): ReactNode {
  return (
    <ul className="cy-faults">
      {props.faults.map((fault) => (
        <li key={fault.id}>
          <StateMark tone={fault.severity === 'error' ? 'alarm' : 'warning'} className="cy-wrap">
            {fault.run !== null && <Link href={runAddress(props.experiment, fault.run)}>{fault.run}</Link>}{' '}
            {fault.detail}
          </StateMark>
          {fault.hint !== '' && <p>{fault.hint}</p>}
          <p className="cy-quiet cy-small">
            {t('fault.place')} <span className="cy-mono">{fault.place}</span> · {t('fault.first')}{' '}
            <Age atMs={fault.firstMs} />, {t('fault.last')} <Age atMs={fault.lastMs} />{' '}
            <CopyButton text={`${fault.code} ${fault.id}`} label={fault.code} variant="subtle" />
          </p>
        </li>
      ))}
    </ul>
  )
}
