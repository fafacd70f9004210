/** Import rules: listed, tried out against those who are known, made, removed. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import type { z } from 'zod'
import { Answer, Problem, apiOf, useAnswer } from '../../foundation/browser.tsx'
import { identityContract, personRoles } from '../contract.ts'
import type { PersonRole } from '../contract.ts'
import type { issuerSchema, rulePreviewSchema } from '../federation/contract.ts'
import { t } from './providers-messages.ts'
import { TwoStep } from './two-step.tsx'

type Issuer = z.infer<typeof issuerSchema>
type Preview = z.infer<typeof rulePreviewSchema>

const dayMs = 86_400_000

export function ImportRules(props: { issuers: Issuer[] }): ReactNode {
  const queries = useQueryClient()
  const rules = useAnswer(['identity', 'import-rules'], (signal) =>
    apiOf(identityContract).listImportRules({}, { signal }),
  )
  const remove = useMutation({
    mutationFn: (rule: string) => apiOf(identityContract).removeImportRule({ params: { rule } }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['identity'] }),
  })
  return (
    <div className="cy-stack">
      <p className="cy-quiet">{t('rules.what')}</p>
      {remove.error !== null && <Problem error={remove.error} />}
      <Answer to={rules}>
        {({ items }) =>
          items.length === 0 ? (
            <p>{t('rules.none')}</p>
          ) : (
            <div className="cy-table-scroll">
              <table className="cy-table">
                <thead>
                  <tr>
                    <th scope="col">{t('rules.institute')}</th>
                    <th scope="col">{t('rules.claim')}</th>
                    <th scope="col">{t('rules.value')}</th>
                    <th scope="col">{t('rules.group')}</th>
                    <th scope="col">{t('rules.role')}</th>
                    <th scope="col">{t('rules.end')}</th>
                    <th scope="col">{t('rules.holders')}</th>
                    <th scope="col">
                      <span className="cy-visually-hidden">{t('rules.remove')}</span>
                    </th>
                  </tr>
                </thead>
                <tbody>
                  {items.map((rule) => (
                    <tr key={rule.id}>
                      <td>{rule.issuerLabel}</td>
                      <td className="cy-mono">{rule.claim}</td>
                      <td className="cy-mono">{rule.value}</td>
                      <td className="cy-key">{rule.group}</td>
                      <td>{rule.role}</td>
                      <td>
                        {rule.lifetimeMs === null
                          ? t('rules.whenGone')
                          : t('rules.days', { count: Math.round(rule.lifetimeMs / dayMs) })}
                      </td>
                      <td className="cy-number">{rule.holders}</td>
                      <td className="cy-right">
                        <TwoStep
                          label={t('rules.remove')}
                          sure={t('rules.removeSure', { count: rule.holders })}
                          busy={remove.isPending}
                          onSure={() => remove.mutate(rule.id)}
                        />
                      </td>
                    </tr>
                  ))}
                </tbody>
              </table>
            </div>
          )
        }
      </Answer>
      {props.issuers.length > 0 && <NewRule issuers={props.issuers} />}
    </div>
  )
}

const lifetimes = [null, 30, 90, 180, 365]

function NewRule(props: { issuers: Issuer[] }): ReactNode {
  const queries = useQueryClient()
  const [first] = props.issuers
  const [rule, setRule] = useState({
    issuer: first!.id,
    claim: first!.groupsClaim,
    value: '',
    group: '',
    role: 'member' as PersonRole,
    lifetimeMs: null as number | null,
  })
  const preview = useMutation({
    mutationFn: () => apiOf(identityContract).previewImportRule({ body: rule }),
  })
  const add = useMutation({
    mutationFn: () => apiOf(identityContract).addImportRule({ body: rule }),
    onSuccess: async () => {
      preview.reset()
      setRule((before) => ({ ...before, value: '', group: '' }))
      await queries.invalidateQueries({ queryKey: ['identity'] })
    },
  })
  /** What was previewed is what is made: a change asks for a new preview. */
  const change = (part: Partial<typeof rule>): void => {
    preview.reset()
    setRule((before) => ({ ...before, ...part }))
  }
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    preview.mutate()
  }
  return (
    <form className="cy-stack" onSubmit={submit} aria-label={t('rules.new')}>
      <h3>{t('rules.new')}</h3>
      <div className="cy-row cy-row-fields">
        <NativeSelect
          label={t('rules.institute')}
          data={props.issuers.map(({ id, label }) => ({ value: id, label }))}
          value={rule.issuer}
          onChange={(event) => change({ issuer: event.currentTarget.value })}
        />
        <TextInput
          label={t('rules.claim')}
          required
          value={rule.claim}
          onChange={(event) => change({ claim: event.currentTarget.value })}
        />
        <TextInput
          label={t('rules.value')}
          required
          value={rule.value}
          onChange={(event) => change({ value: event.currentTarget.value })}
        />
        <TextInput
          label={t('rules.group')}
          placeholder={t('rules.groupHint')}
          required
          value={rule.group}
          onChange={(event) => change({ group: event.currentTarget.value })}
        />
        <NativeSelect
          label={t('rules.role')}
          data={[...personRoles]}
          value={rule.role}
          onChange={(event) => change({ role: event.currentTarget.value as PersonRole })}
        />
        <NativeSelect
          label={t('rules.lifetime')}
          data={lifetimes.map((days) => ({
            value: days === null ? '' : String(days),
            label: days === null ? t('rules.whenGone') : t('rules.days', { count: days }),
          }))}
          value={rule.lifetimeMs === null ? '' : String(rule.lifetimeMs / dayMs)}
          onChange={(event) => {
            const days = event.currentTarget.value
            change({ lifetimeMs: days === '' ? null : Number(days) * dayMs })
          }}
        />
      </div>
      {preview.error !== null && <Problem error={preview.error} />}
      {add.error !== null && <Problem error={add.error} />}
      {preview.data !== undefined && <Effect preview={preview.data} />}
      <div className="cy-row">
        <Button type="submit" variant="default" loading={preview.isPending}>
          {t('rules.preview')}
        </Button>
        {preview.data !== undefined && (
          <Button loading={add.isPending} onClick={() => add.mutate()}>
            {t('rules.save')}
          </Button>
        )}
      </div>
    </form>
  )
}

function Effect(props: { preview: Preview }): ReactNode {
  const { gain, keep, known, unseen, seenValues } = props.preview
  return (
    <div role="status" className="cy-stack">
      <div>
        <p>
          <strong>{t('rules.gain', { count: gain.length })}</strong> {namesOf(gain)}
        </p>
        {keep.length > 0 && (
          <p>
            {t('rules.keep', { count: keep.length })} {namesOf(keep)}
          </p>
        )}
        <p className="cy-quiet">
          {t('rules.known', { known })} {unseen > 0 && t('rules.unseen', { count: unseen })}
        </p>
      </div>
      {seenValues.length === 0 ? (
        <p className="cy-tone-warning">{t('rules.seenNone')}</p>
      ) : (
        <div>
          <p className="cy-small cy-quiet">{t('rules.seen')}</p>
          <ul className="cy-row cy-plain-list">
            {seenValues.map(({ value, people }) => (
              <li key={value}>
                <code>{value}</code> <span className="cy-quiet">{people}</span>
              </li>
            ))}
          </ul>
        </div>
      )}
    </div>
  )
}

function namesOf(people: Preview['gain']): string {
  return people.map(({ displayName, name }) => `${displayName} (${name})`).join(', ')
}
