/** Opens when a request is refused for want of a fresh proof; asks for it, and the request is sent again. */
import { Button, Modal, PasswordInput, TextInput } from '@mantine/core'
import { useMutation } from '@tanstack/react-query'
import { useEffect, useRef, useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Answer, Problem, apiOf, liftRefusals, useAnswer, useMe } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { addressHasPasskeys, answerWithPasskey, knowsPasskeys } from './ask-passkey.ts'
import { t } from './factors-messages.ts'

export default function ProofDialog(): ReactNode {
  const [asked, setAsked] = useState(false)
  // Several requests may be refused at once: one answer is for all of them.
  const waiting = useRef<((proved: boolean) => void)[]>([])
  useEffect(
    () =>
      liftRefusals(
        'identity.fresh_proof_needed',
        () =>
          new Promise<boolean>((resolve) => {
            waiting.current.push(resolve)
            setAsked(true)
          }),
      ),
    [],
  )
  const close = (proved: boolean): void => {
    setAsked(false)
    for (const resolve of waiting.current.splice(0)) resolve(proved)
  }
  return (
    <Modal
      transitionProps={{ duration: 0 }}
      opened={asked}
      onClose={() => close(false)}
      title={t('proof.title')}
      closeButtonProps={{ 'aria-label': t('proof.close') }}
    >
      {asked && <Proof onProved={() => close(true)} onCancel={() => close(false)} />}
    </Modal>
  )
}

function Proof(props: { onProved: () => void; onCancel: () => void }): ReactNode {
  const factors = useAnswer(['identity', 'factors'], (signal) => apiOf(identityContract).listFactors({}, { signal }))
  const prove = useMutation({
    mutationFn: async (typed: { password: string; code: string } | undefined) => {
      const api = apiOf(identityContract)
      if (typed !== undefined) return await api.prove({ body: typed })
      const { options } = await api.startProof()
      return await api.prove({ body: { response: await answerWithPasskey(options) } })
    },
    onSuccess: props.onProved,
  })
  return (
    <div className="cy-stack">
      <p>{t('proof.why')}</p>
      <Answer to={factors}>
        {({ passkeys, passkeysPossible, authenticator }) => (
          <>
            {passkeys.length > 0 && passkeysPossible && knowsPasskeys() && addressHasPasskeys() && (
              <Button
                fullWidth
                data-autofocus
                loading={prove.isPending && prove.variables === undefined}
                onClick={() => prove.mutate(undefined)}
              >
                {t('proof.passkey')}
              </Button>
            )}
            {authenticator !== null && (
              <ProofByPassword
                label={t('proof.confirm')}
                busy={prove.isPending && prove.variables !== undefined}
                onTyped={(typed) => prove.mutate(typed)}
              />
            )}
          </>
        )}
      </Answer>
      {prove.error !== null && <Problem error={prove.error} />}
      <div>
        <Button size="compact-sm" variant="subtle" onClick={props.onCancel}>
          {t('proof.cancel')}
        </Button>
      </div>
    </div>
  )
}

export function ProofByPassword(props: {
  label: string
  busy: boolean
  onTyped: (typed: { password: string; code: string }) => void
}): ReactNode {
  const me = useMe()
  const [password, setPassword] = useState('')
  const [code, setCode] = useState('')
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    props.onTyped({ password, code })
    setCode('')
  }
  return (
    <form onSubmit={submit} className="cy-stack cy-form">
      <input type="text" autoComplete="username" value={me?.name ?? ''} readOnly hidden />
      <PasswordInput
        label={t('proof.password')}
        autoComplete="current-password"
        required
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <TextInput
        label={t('proof.code')}
        autoComplete="one-time-code"
        required
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <div>
        <Button type="submit" loading={props.busy}>
          {props.label}
        </Button>
      </div>
    </form>
  )
}
