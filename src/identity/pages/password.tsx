/** My password and its authenticator app: one without the other signs nobody in. */
import { Button, PasswordInput, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { generate } from 'lean-qr'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { CopyLine, Facts, Moment, Problem, apiOf, formatMoment, useMe, useZone } from '../../foundation/browser.tsx'
import { identityContract } from '../contract.ts'
import { passwordFault, shortestPassword } from '../factors/contract.ts'
import type { FactorsShown } from './factors.tsx'
import { t } from './factors-messages.ts'
import { TwoStep } from './two-step.tsx'

export function Password(props: { shown: FactorsShown }): ReactNode {
  const { password, authenticator } = props.shown
  const [open, setOpen] = useState<'password' | 'app' | undefined>(undefined)
  const queries = useQueryClient()
  const done = async (): Promise<void> => {
    setOpen(undefined)
    await queries.invalidateQueries({ queryKey: ['identity'] })
  }
  const remove = useMutation({ mutationFn: () => apiOf(identityContract).removePassword(), onSuccess: done })
  const start = useMutation({
    mutationFn: () => apiOf(identityContract).startAuthenticator(),
    onSuccess: () => setOpen('app'),
  })
  const zone = useZone()
  return (
    <section className="cy-factor">
      <h3>{t('factor.password')}</h3>
      <p className="cy-quiet">{t('factor.passwordHint')}</p>
      {password !== null && password.codesGuessedAtMs !== null && (
        <div className="cy-problem" role="alert">
          <strong>{t('factor.guessed')}</strong>
          <p>{t('factor.guessedHint', { when: formatMoment(password.codesGuessedAtMs, zone) })}</p>
        </div>
      )}
      {password !== null && (
        <Facts
          items={[
            [t('factor.since'), <Moment key="set" atMs={password.setAtMs} />],
            [
              t('factor.appSince'),
              authenticator === null ? undefined : <Moment key="app" atMs={authenticator.sinceMs} />,
            ],
            [
              t('factor.used'),
              password.lastUsedAtMs === null ? t('factor.never') : <Moment key="used" atMs={password.lastUsedAtMs} />,
            ],
          ]}
        />
      )}
      {password !== null && authenticator === null && open === undefined && <p>{t('factor.appMissing')}</p>}
      {open === 'password' && <NewPassword onDone={done} onCancel={() => setOpen(undefined)} />}
      {open === 'app' && start.data !== undefined && (
        <NewApp shown={start.data} onDone={done} onCancel={() => setOpen(undefined)} />
      )}
      {open === undefined && (
        <div className="cy-row">
          <Button
            size="compact-sm"
            variant={password === null ? 'filled' : 'default'}
            onClick={() => setOpen('password')}
          >
            {password === null ? t('factor.setPassword') : t('factor.changePassword')}
          </Button>
          {password !== null && (
            <Button
              size="compact-sm"
              variant={authenticator === null ? 'filled' : 'default'}
              loading={start.isPending}
              onClick={() => start.mutate()}
            >
              {authenticator === null ? t('factor.addApp') : t('factor.changeApp')}
            </Button>
          )}
          {password !== null && (
            <TwoStep
              label={t('factor.removePassword')}
              sure={t('factor.removePasswordSure')}
              busy={remove.isPending}
              onSure={() => remove.mutate()}
            />
          )}
        </div>
      )}
      {start.error !== null && <Problem error={start.error} />}
      {remove.error !== null && <Problem error={remove.error} />}
    </section>
  )
}

function NewPassword(props: { onDone: () => Promise<void>; onCancel: () => void }): ReactNode {
  const me = useMe()
  const [password, setPassword] = useState('')
  const save = useMutation({
    mutationFn: () => apiOf(identityContract).setPassword({ body: { password } }),
    onSuccess: props.onDone,
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save.mutate()
  }
  const fault = passwordFault(password, [me?.name ?? '', me?.displayName ?? '', window.location.hostname])
  return (
    <form onSubmit={submit} className="cy-stack cy-form">
      {/* So that a password manager knows for whom it keeps it. */}
      <input type="text" autoComplete="username" value={me?.name ?? ''} readOnly hidden />
      <PasswordInput
        label={t('factor.newPassword')}
        description={t('factor.newPasswordHint')}
        autoComplete="new-password"
        required
        autoFocus
        value={password}
        onChange={(event) => setPassword(event.currentTarget.value)}
      />
      <p className="cy-small" role="status">
        {password === ''
          ? ''
          : fault === undefined
            ? t('factor.goodPassword')
            : fault === 'short'
              ? t('factor.tooShort', { count: shortestPassword - [...password.normalize('NFKC')].length })
              : fault === 'long'
                ? t('factor.tooLong')
                : t('factor.foreseeable')}
      </p>
      <div className="cy-row">
        <Button size="compact-sm" type="submit" loading={save.isPending} disabled={fault !== undefined}>
          {t('factor.save')}
        </Button>
        <Button size="compact-sm" variant="subtle" onClick={props.onCancel}>
          {t('factor.cancel')}
        </Button>
      </div>
      {save.error !== null && <Problem error={save.error} />}
    </form>
  )
}

function NewApp(props: {
  shown: { secret: string; uri: string }
  onDone: () => Promise<void>
  onCancel: () => void
}): ReactNode {
  const [code, setCode] = useState('')
  const confirm = useMutation({
    mutationFn: () => apiOf(identityContract).confirmAuthenticator({ body: { code } }),
    onSuccess: props.onDone,
    onError: () => setCode(''),
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    confirm.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-stack cy-form">
      <p>{t('factor.scan')}</p>
      <QrCode text={props.shown.uri} />
      <span className="cy-small">{t('factor.secret')}</span>
      <CopyLine text={props.shown.secret} label={t('factor.copy')} />
      <TextInput
        label={t('factor.code')}
        autoComplete="one-time-code"
        inputMode="numeric"
        required
        value={code}
        onChange={(event) => setCode(event.currentTarget.value)}
      />
      <div className="cy-row">
        <Button size="compact-sm" type="submit" loading={confirm.isPending}>
          {t('factor.confirm')}
        </Button>
        <Button size="compact-sm" variant="subtle" onClick={props.onCancel}>
          {t('factor.cancel')}
        </Button>
      </div>
      {confirm.error !== null && <Problem error={confirm.error} />}
    </form>
  )
}

const quietZone = 4

/** Always dark on light, whatever the page's colours: cameras want it so. */
function QrCode(props: { text: string }): ReactNode {
  const code = generate(props.text)
  const size = code.size + 2 * quietZone
  const cells: string[] = []
  for (let y = 0; y < code.size; y += 1)
    for (let x = 0; x < code.size; x += 1) if (code.get(x, y)) cells.push(`M${x + quietZone} ${y + quietZone}h1v1h-1z`)
  return (
    <svg
      className="cy-qr"
      role="img"
      aria-label={t('factor.scanLabel')}
      viewBox={`0 0 ${size} ${size}`}
      shapeRendering="crispEdges"
    >
      <rect width={size} height={size} fill="#fff" />
      <path d={cells.join('')} fill="#000" />
    </svg>
  )
}
