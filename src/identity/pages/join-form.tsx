/** Coming in without an institute: a name, then a passkey or just in. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Problem, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { addressHasPasskeys, createPasskey, knowsPasskeys } from './ask-passkey.ts'
import { browserName } from './browser-name.ts'
import { t } from './join-messages.ts'

export function JoinForm(props: { termsVersion: number; language: 'en' | 'it' }): ReactNode {
  const queries = useQueryClient()
  const [displayName, setDisplayName] = useState('')
  const [chosen, setChosen] = useState<string | undefined>(undefined)
  const { termsVersion, language } = props
  const who = { displayName: displayName.trim(), ...(chosen !== undefined && chosen !== '' && { name: chosen }) }
  const api = apiOf(identityContract)
  const join = useMutation({
    mutationFn: async (way: 'passkey' | 'code') => {
      if (way === 'code') return await api.joinByCode({ body: { ...who, termsVersion, language } })
      const { options } = await api.joinPasskeyOptions({ body: who })
      const passkey = await createPasskey(options)
      const label = browserName(navigator.userAgent)
      return await api.joinByPasskey({ body: { ...who, termsVersion, language, label, passkey } })
    },
    // Everything is asked again, as the person who is in now.
    onSuccess: () => queries.resetQueries(),
  })
  const withPasskey = addressHasPasskeys() && knowsPasskeys()
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    join.mutate(withPasskey ? 'passkey' : 'code')
  }
  return (
    <form onSubmit={submit} className="cy-stack">
      <TextInput
        label={t('join.fullName')}
        autoComplete="name"
        required
        maxLength={100}
        value={displayName}
        onChange={(event) => setDisplayName(event.currentTarget.value)}
      />
      {chosen === undefined ? (
        <div>
          <Button type="button" size="compact-xs" variant="subtle" onClick={() => setChosen('')}>
            {t('join.choose')}
          </Button>
        </div>
      ) : (
        <TextInput
          label={t('join.accountName')}
          description={t('join.accountHint')}
          autoComplete="username"
          pattern="[a-z][a-z0-9]{1,19}"
          value={chosen}
          onChange={(event) => setChosen(event.currentTarget.value.trim())}
        />
      )}
      {join.error !== null && <Problem error={join.error} />}
      {withPasskey && (
        <div>
          <Button type="submit" loading={join.isPending && join.variables === 'passkey'}>
            {t('join.passkey')}
          </Button>
          <p className="cy-quiet cy-small">{t('join.passkeyHint')}</p>
        </div>
      )}
      <div>
        <Button
          type={withPasskey ? 'button' : 'submit'}
          variant={withPasskey ? 'default' : 'filled'}
          disabled={withPasskey && who.displayName === ''}
          loading={join.isPending && join.variables === 'code'}
          {...(withPasskey && { onClick: () => join.mutate('code') })}
        >
          {t('join.now')}
        </Button>
        <p className="cy-quiet cy-small">{t('join.nowHint')}</p>
      </div>
    </form>
  )
}
