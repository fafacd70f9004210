/** The ways in: a passkey first where there can be one, name with password and code, and what to do without either. */
import { Button, PasswordInput, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { CopyLine, Panel, Problem, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { addressHasPasskeys, answerWithPasskey, knowsPasskeys } from './ask-passkey.ts'
import { t } from './entry-messages.ts'

export function PasskeyWay(props: { onDone: () => void }): ReactNode {
  const signIn = useMutation({
    mutationFn: async () => {
      const { options } = await apiOf(identityContract).startPasskeySignIn()
      const response = await answerWithPasskey(options)
      return await apiOf(identityContract).signInWithPasskey({ body: { response } })
    },
    onSuccess: props.onDone,
  })
  if (!knowsPasskeys()) return undefined
  if (!addressHasPasskeys())
    return <p className="cy-quiet cy-small">{t('signIn.noPasskeys', { host: window.location.hostname })}</p>
  return (
    <div className="cy-stack">
      <Button size="md" fullWidth loading={signIn.isPending} onClick={() => signIn.mutate()}>
        {t('signIn.passkey')}
      </Button>
      <p className="cy-quiet cy-small">{t('signIn.passkeyHint')}</p>
      {signIn.error !== null && <Problem error={signIn.error} />}
    </div>
  )
}

export function PasswordWay(props: { onDone: () => void }): ReactNode {
  const [name, setName] = useState('')
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const signIn = useMutation({
    mutationFn: () => apiOf(identityContract).signInWithPassword({ body: { name, password, code } }),
    // Who used a recovery code first reads how many are left.
    onSuccess: ({ recoveryCodesLeft }) => {
      if (recoveryCodesLeft === undefined) props.onDone()
    },
    // What was typed for a code that is over is of no use to anybody.
    onError: () => setCode(''),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    signIn.mutate()
  }
  const left = signIn.data?.recoveryCodesLeft
  if (left !== undefined)
    return (
      <div className="cy-notice" role="status">
        <p>{t('signIn.codesLeft', { count: left })}</p>
        <div>
          <Button autoFocus onClick={props.onDone}>
            {t('signIn.home')}
          </Button>
        </div>
      </div>
    )
  return (
    <Panel title={t('signIn.password')}>
      <form onSubmit={submit} className="cy-stack">
        <TextInput
          label={t('signIn.name')}
          autoComplete="username"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
        />
        <PasswordInput
          label={t('signIn.secret')}
          autoComplete="current-password"
          value={password}
          onChange={(event) => setPassword(event.currentTarget.value)}
        />
        <TextInput
          label={t('signIn.code')}
          description={t('signIn.codeHint')}
          autoComplete="one-time-code"
          autoCapitalize="none"
          spellCheck={false}
          required
          value={code}
          onChange={(event) => setCode(event.currentTarget.value)}
        />
        <div>
          <Button type="submit" loading={signIn.isPending}>
            {t('signIn.submit')}
          </Button>
        </div>
        {signIn.error !== null && <Problem error={signIn.error} />}
      </form>
      <details className="cy-more">
        <summary>{t('signIn.lost')}</summary>
        <p>{t('signIn.lostHow')}</p>
      </details>
    </Panel>
  )
}

export function LinkWay(props: { open: boolean }): ReactNode {
  return (
    <details className="cy-more" open={props.open}>
      <summary>{t('signIn.link')}</summary>
      <div className="cy-stack">
        <p>{t('signIn.how')}</p>
        <CopyLine text={t('signIn.command')} label={t('signIn.copy')} />
        <p className="cy-quiet cy-small">{t('signIn.fresh')}</p>
      </div>
    </details>
  )
}
