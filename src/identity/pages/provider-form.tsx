/** Adding an institute: checked first, with what is wrong in words. */
import { Button, NumberInput, PasswordInput, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import type { z } from 'zod'
import { Problem, StateMark, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import type { issuerCheckSchema } from '../federation/contract.ts'
import { t } from './providers-messages.ts'

type Check = z.infer<typeof issuerCheckSchema>

const blank = {
  issuer: '',
  label: '',
  vouches: '',
  clientId: '',
  clientSecret: '',
  scopes: 'openid profile email offline_access',
  groupsClaim: 'wlcg.groups',
  recheckMinutes: 60,
}

export function AddProvider(): ReactNode {
  const queries = useQueryClient()
  const [form, setForm] = useState(blank)
  const check = useMutation({
    mutationFn: () => apiOf(identityContract).checkIssuer({ body: { issuer: form.issuer, scopes: form.scopes } }),
  })
  const add = useMutation({
    mutationFn: () => {
      const { clientSecret, ...rest } = form
      return apiOf(identityContract).addIssuer({ body: { ...rest, ...(clientSecret !== '' && { clientSecret }) } })
    },
    onSuccess: async () => {
      setForm(blank)
      check.reset()
      await queries.invalidateQueries({ queryKey: ['identity'] })
    },
  })
  const field = (name: Exclude<keyof typeof blank, 'recheckMinutes'>) => ({
    value: form[name],
    onChange: (event: { currentTarget: { value: string } }) => {
      const { value } = event.currentTarget
      setForm((before) => ({ ...before, [name]: value }))
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    if (check.data?.ok === true) add.mutate()
    else check.mutate()
  }
  return (
    <form className="cy-stack" onSubmit={submit}>
      {add.data !== undefined && <p role="status">{t('providers.added', { label: add.data.label })}</p>}
      <TextInput
        label={t('providers.issuer')}
        description={t('providers.issuerHint')}
        type="url"
        required
        {...field('issuer')}
      />
      <TextInput label={t('providers.scopes')} required {...field('scopes')} />
      {check.error !== null && <Problem error={check.error} />}
      {check.data !== undefined && <Findings check={check.data} />}
      <div className="cy-row">
        <Button type="button" variant="default" loading={check.isPending} onClick={() => check.mutate()}>
          {t('providers.check')}
        </Button>
      </div>
      {check.data?.ok === true && (
        <>
          <TextInput label={t('providers.label')} required maxLength={60} {...field('label')} />
          <TextInput label={t('providers.vouches')} description={t('providers.vouchesHint')} {...field('vouches')} />
          <TextInput label={t('providers.clientId')} required autoComplete="off" {...field('clientId')} />
          <PasswordInput
            label={t('providers.clientSecret')}
            description={t('providers.clientSecretHint')}
            autoComplete="new-password"
            {...field('clientSecret')}
          />
          <TextInput label={t('providers.groupsClaim')} required {...field('groupsClaim')} />
          <NumberInput
            label={t('providers.recheck')}
            min={5}
            max={1440}
            allowDecimal={false}
            value={form.recheckMinutes}
            onChange={(value) => setForm((before) => ({ ...before, recheckMinutes: Number(value) }))}
          />
          {add.error !== null && <Problem error={add.error} />}
          <div className="cy-row">
            <Button type="submit" loading={add.isPending}>
              {t('providers.addIt')}
            </Button>
          </div>
        </>
      )}
    </form>
  )
}

const tones = { good: 'verified', note: 'info', bad: 'alarm' } as const
const words = { good: 'providers.good', note: 'providers.note', bad: 'providers.wrong' } as const

function Findings(props: { check: Check }): ReactNode {
  const { ok, findings } = props.check
  return (
    <div role="status">
      <p>
        <strong>{ok ? t('providers.ok') : t('providers.bad')}</strong>
      </p>
      <ul className="cy-plain-list">
        {findings.map(({ level, text, hint }) => (
          <li key={text}>
            <StateMark tone={tones[level]}>{t(words[level])}</StateMark> {text}
            {hint !== undefined && <span className="cy-quiet"> {hint}</span>}
          </li>
        ))}
      </ul>
    </div>
  )
}
