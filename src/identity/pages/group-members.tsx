/** Who is in one group. */
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Answer, Empty, Panel, StateMark, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { groupSchema } from '../groups/contract.ts'
import { GiveRole } from './give-role.tsx'
import { t } from './groups-messages.ts'
import { MembershipCells, MembershipHeads } from './membership-row.tsx'
import { t as words } from './messages.ts'

export function GroupMembers({ group }: { group: z.infer<typeof groupSchema> }): ReactNode {
  const { may } = group
  return (
    <Panel title={t('groups.members', { group: group.group })} aside={group.title}>
      {may.give.length > 0 && !group.archived && <GiveRole groups={[{ group: group.group, give: may.give }]} />}
      {may.seeMembers ? <Members group={group} /> : <p className="cy-quiet">{t('groups.membersHidden')}</p>}
    </Panel>
  )
}

function Members({ group }: { group: z.infer<typeof groupSchema> }): ReactNode {
  const members = useAnswer(['identity', 'members', group.group], (signal) =>
    apiOf(identityContract).listMembers({ query: { group: group.group } }, { signal }),
  )
  return (
    <Answer to={members}>
      {({ items }) =>
        items.length === 0 ? (
          <Empty title={t('groups.noMembers')}>{group.may.give.length > 0 && <p>{t('groups.noMembersHint')}</p>}</Empty>
        ) : (
          <div
            className="cy-table-scroll"
            tabIndex={0}
            role="region"
            aria-label={t('groups.members', { group: group.group })}
          >
            <table className="cy-table">
              <thead>
                <tr>
                  <th scope="col">{t('groups.person')}</th>
                  <th scope="col">{t('groups.account')}</th>
                  <MembershipHeads />
                </tr>
              </thead>
              <tbody>
                {items.map((member) => (
                  <tr key={`${member.personId} ${member.role} ${member.source}`}>
                    <td className="cy-key">
                      {member.displayName}{' '}
                      {member.state !== 'active' && <StateMark tone="warning">{words('people.suspended')}</StateMark>}
                    </td>
                    <td>{member.name}</td>
                    <MembershipCells person={member.name} membership={member} give={group.may.give} />
                  </tr>
                ))}
              </tbody>
            </table>
          </div>
        )
      }
    </Answer>
  )
}
