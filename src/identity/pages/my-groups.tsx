/** Which groups am I in, until when, and what does that let me do? */
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Answer, Empty, Moment, Panel, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract, parseCapability } from '../contract.ts'
import type { groupRoutes } from '../groups/contract.ts'
import { t } from './membership-messages.ts'

type Mine = z.infer<(typeof groupRoutes)['myGroups']['answer']>['items'][number]

export function MyGroups(): ReactNode {
  const mine = useAnswer(['identity', 'my-groups'], (signal) => apiOf(identityContract).myGroups({}, { signal }))
  return (
    <Panel title={t('mine.title')}>
      <Answer to={mine}>
        {({ items }) =>
          items.length === 0 ? (
            <Empty title={t('mine.none')}>
              <p>{t('mine.noneHint')}</p>
            </Empty>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('mine.group')}</th>
                    <th scope="col">{t('mine.role')}</th>
                    <th scope="col">{t('mine.until')}</th>
                    <th scope="col">{t('mine.what')}</th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((one) => (
                    <Row key={`${one.group} ${one.role} ${one.source}`} one={one} />
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
    </Panel>
  )
}

function Row({ one }: { one: Mine }): ReactNode {
  return (
    <tr>
      <td>
        <span className="cy-key">{one.title === '' ? one.group : one.title}</span>
        {one.title !== '' && <div className="cy-quiet cy-small">{one.group}</div>}
        {one.optional && <div className="cy-quiet cy-small">{t('mine.optional')}</div>}
      </td>
      <td>{t(`mine.role.${one.role}`)}</td>
      <td>{one.untilMs === null ? t('mine.noEnd') : <Moment atMs={one.untilMs} />}</td>
      <td>
        <details>
          <summary>{t('mine.many', { count: one.capabilities.length })}</summary>
          <ul className="cy-plain-list">
            {one.capabilities.map((text) => (
              <li key={text} title={text}>
                {capabilityWords(text)}
              </li>
            ))}
          </ul>
        </details>
      </td>
    </tr>
  )
}

/** 'data.read:/cygno-work/a/**' -> 'read data in cygno-work/a'. */
function capabilityWords(text: string): string {
  const capability = parseCapability(text)
  if (capability === undefined) return text
  const what = t(`may.${capability.action.replace('.', '-')}` as Parameters<typeof t>[0])
  const place = capability.place?.replace(/\/\*\*$/, '')
  return place === undefined ? what : t('may.below', { what, place })
}
