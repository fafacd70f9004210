/** The policy of a group: looked at, edited with what it would do beside it, applied, undone. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import type { z } from 'zod'
import { Answer, Moment, Panel, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { Policy, shownPolicySchema } from '../groups/contract.ts'
import { t } from './groups-messages.ts'
import { PolicyFields } from './policy-fields.tsx'
import { PolicyPreview } from './policy-preview.tsx'
import { PolicyHistory } from './policy-history.tsx'

type Shown = z.infer<typeof shownPolicySchema>

export function GroupPolicy({ group }: { group: string }): ReactNode {
  // Somebody else may edit it at the same time.
  const policy = useAnswer(
    ['identity', 'policy', group],
    (signal) => apiOf(identityContract).showPolicy({ query: { group } }, { signal }),
    { everyMs: lookEveryMs },
  )
  return (
    <Answer to={policy}>
      {(shown) => (
        <>
          <Panel title={t('policy.title', { group })} aside={<Version shown={shown} />}>
            <Editor shown={shown} />
          </Panel>
          <PolicyHistory group={group} version={shown.version} mayUndo={shown.may.editGrants} />
        </>
      )}
    </Answer>
  )
}

function Version({ shown }: { shown: Shown }): ReactNode {
  if (shown.version === 0) return t('policy.none')
  return (
    <>
      <span>{t('policy.version', { version: shown.version })}</span>
      <span>{t('policy.by', { name: shown.author.name })}</span>
      <Moment atMs={shown.atMs} />
    </>
  )
}

const settleMs = 350
const lookEveryMs = 5_000

/** What is typed stays while somebody else changes the policy; he is told, and chooses. */
function Editor({ shown }: { shown: Shown }): ReactNode {
  const queries = useQueryClient()
  const [base, setBase] = useState(shown)
  const [draft, setDraft] = useState<Policy>(shown.policy)
  const [note, setNote] = useState('')
  const [round, setRound] = useState(0)
  const edited = JSON.stringify(draft) !== JSON.stringify(base.policy)
  const begin = (from: Shown): void => {
    setBase(from)
    setDraft(from.policy)
    setRound((count) => count + 1)
  }
  useEffect(() => {
    // Nothing typed yet: what comes from elsewhere is simply shown.
    if (shown.version !== base.version && !edited) begin(shown)
  }, [shown, base, edited])
  const settled = useSettled(draft, settleMs)
  const apply = useMutation({
    mutationFn: () =>
      apiOf(identityContract).applyPolicy({
        body: { group: base.group, policy: draft, ifVersion: base.version, note },
      }),
    onSuccess: ({ applied }) => {
      setBase({ ...base, policy: draft, version: applied.version })
      setNote('')
      return queries.invalidateQueries({ queryKey: ['identity'] })
    },
  })
  const { may } = base
  const mayEdit = [
    ...(may.editGrants ? [t('policy.mayGrants')] : []),
    ...(may.editCeiling ? [t('policy.mayCeiling')] : []),
  ]
  const cut = cutBy(base)
  return (
    <div className="cy-policy">
      <div className="cy-stack">
        <p className="cy-quiet">
          {mayEdit.length === 0 ? t('policy.yoursNothing') : t('policy.yours', { what: mayEdit.join(', ') })}
        </p>
        {cut.length > 0 && <p className="cy-quiet">{t('policy.cut', { what: cut.join(', ') })}</p>}
        <PolicyFields
          key={round}
          policy={draft}
          may={may}
          isRoot={base.group.split('/').length === 2}
          onChange={setDraft}
        />
      </div>
      {may.editGrants && (
        <div className="cy-policy-side">
          <h3>{t('policy.preview')}</h3>
          {shown.version !== base.version && edited && (
            <div className="cy-notice" role="alert">
              <p>{t('policy.newer', { version: shown.version })}</p>
              <Button size="compact-sm" variant="default" onClick={() => begin(shown)}>
                {t('policy.load')}
              </Button>
            </div>
          )}
          {edited ? (
            <>
              <PolicyPreview group={base.group} policy={settled} />
              <TextInput
                size="xs"
                label={t('policy.note')}
                value={note}
                onChange={(event) => setNote(event.currentTarget.value)}
              />
              <div className="cy-row">
                <Button size="compact-sm" loading={apply.isPending} onClick={() => apply.mutate()}>
                  {t('policy.apply')}
                </Button>
                <Button size="compact-sm" variant="default" onClick={() => begin(shown)}>
                  {t('policy.reset')}
                </Button>
              </div>
            </>
          ) : (
            <p className="cy-quiet" role="status">
              {apply.data === undefined
                ? t('policy.nothing', { version: base.version })
                : t('policy.applied', { version: apply.data.applied.version })}
            </p>
          )}
          {apply.error !== null && edited && <Problem error={apply.error} />}
        </div>
      )}
    </div>
  )
}

/** Capabilities of the ceiling of which nothing, or less, is left below the ceilings above. */
function cutBy({ policy, effective, above }: Shown): string[] {
  if (above.capabilities === undefined) return []
  const left = new Set(effective.ceiling.capabilities)
  return (policy.ceiling.capabilities ?? []).filter((text) => !text.includes('${') && !left.has(text))
}

function useSettled<Value>(value: Value, afterMs: number): Value {
  const [settled, setSettled] = useState(value)
  useEffect(() => {
    const timer = setTimeout(() => setSettled(value), afterMs)
    return () => clearTimeout(timer)
  }, [value, afterMs])
  return settled
}
