/** My passkeys: made by the browser, named by me. */
import { Button, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Moment, Problem, StateMark, apiOf } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { addressHasPasskeys, createPasskey, knowsPasskeys } from './ask-passkey.ts'
import { browserName } from './browser-name.ts'
import type { FactorsShown } from './factors.tsx'
import { t } from './factors-messages.ts'
import { TwoStep } from './two-step.tsx'

type Passkey = FactorsShown['passkeys'][number]

export function Passkeys(props: { shown: FactorsShown }): ReactNode {
  const { passkeys, passkeysPossible } = props.shown
  const queries = useQueryClient()
  const refresh = (): Promise<void> => queries.invalidateQueries({ queryKey: ['identity'] })
  const remove = useMutation({
    mutationFn: (passkey: string) => apiOf(identityContract).removePasskey({ params: { passkey } }),
    onSuccess: refresh,
  })
  const possible = passkeysPossible && addressHasPasskeys()
  return (
    <section className="cy-factor">
      <h3>{t('factor.passkeys')}</h3>
      <p className="cy-quiet">
        {possible ? (knowsPasskeys() ? t('factor.passkeysHint') : t('factor.noWebAuthn')) : t('factor.noHost')}
      </p>
      {passkeys.length > 0 && (
        <div className="cy-table-scroll">
          <table className="cy-table">
            <thead>
              <tr>
                <th scope="col">{t('factor.name')}</th>
                <th scope="col">{t('factor.kept')}</th>
                <th scope="col">{t('factor.added')}</th>
                <th scope="col">{t('factor.used')}</th>
                <th scope="col">
                  <span className="cy-visually-hidden">{t('factor.remove')}</span>
                </th>
              </tr>
            </thead>
            <tbody>
              {passkeys.map((passkey) => (
                <tr key={passkey.id}>
                  <td>
                    <PasskeyName passkey={passkey} onDone={refresh} />
                  </td>
                  <td>
                    {passkey.suspectAtMs === null ? (
                      passkey.backedUp ? (
                        t('factor.synced')
                      ) : (
                        t('factor.bound')
                      )
                    ) : (
                      <StateMark tone="alarm">{t('factor.suspect')}</StateMark>
                    )}
                  </td>
                  <td>
                    <Moment atMs={passkey.createdAtMs} />
                  </td>
                  <td>{passkey.lastUsedAtMs === null ? t('factor.never') : <Moment atMs={passkey.lastUsedAtMs} />}</td>
                  <td className="cy-right">
                    <TwoStep
                      label={t('factor.remove')}
                      sure={t('factor.removeSure')}
                      busy={remove.isPending}
                      onSure={() => remove.mutate(passkey.id)}
                    />
                  </td>
                </tr>
              ))}
            </tbody>
          </table>
        </div>
      )}
      {passkeys.length === 0 && possible && <p>{t('factor.noPasskeys')}</p>}
      {passkeys.some(({ suspectAtMs }) => suspectAtMs !== null) && <p role="alert">{t('factor.suspectHint')}</p>}
      {remove.error !== null && <Problem error={remove.error} />}
      {possible && knowsPasskeys() && <AddPasskey onDone={refresh} />}
    </section>
  )
}

function AddPasskey(props: { onDone: () => Promise<void> }): ReactNode {
  const [label, setLabel] = useState(() => browserName(navigator.userAgent))
  const add = useMutation({
    mutationFn: async () => {
      const { options } = await apiOf(identityContract).startPasskey()
      const response = await createPasskey(options)
      return await apiOf(identityContract).addPasskey({ body: { label, response } })
    },
    onSuccess: async () => {
      setLabel(browserName(navigator.userAgent))
      await props.onDone()
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    add.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-filters">
      <TextInput
        size="xs"
        label={t('factor.name')}
        placeholder={t('factor.nameHint')}
        required
        maxLength={60}
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
      />
      <Button size="xs" type="submit" loading={add.isPending}>
        {t('factor.add')}
      </Button>
      {add.error !== null && <Problem error={add.error} />}
    </form>
  )
}

function PasskeyName(props: { passkey: Passkey; onDone: () => Promise<void> }): ReactNode {
  const [label, setLabel] = useState<string | undefined>(undefined)
  const rename = useMutation({
    mutationFn: (next: string) =>
      apiOf(identityContract).renamePasskey({ params: { passkey: props.passkey.id }, body: { label: next } }),
    onSuccess: async () => {
      setLabel(undefined)
      await props.onDone()
    },
  })
  if (label === undefined)
    return (
      <span className="cy-row">
        <strong>{props.passkey.label}</strong>
        <Button size="compact-xs" variant="subtle" onClick={() => setLabel(props.passkey.label)}>
          {t('factor.rename')}
        </Button>
      </span>
    )
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    rename.mutate(label)
  }
  return (
    <form onSubmit={submit} className="cy-row">
      <TextInput
        size="xs"
        aria-label={t('factor.name')}
        required
        autoFocus
        maxLength={60}
        value={label}
        onChange={(event) => setLabel(event.currentTarget.value)}
      />
      <Button size="compact-sm" type="submit" loading={rename.isPending}>
        {t('factor.save')}
      </Button>
      <Button size="compact-sm" variant="subtle" onClick={() => setLabel(undefined)}>
        {t('factor.cancel')}
      </Button>
      {rename.error !== null && <Problem error={rename.error} />}
    </form>
  )
}
