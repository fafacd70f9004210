/** The fields of a policy. What the person may not edit is shown and cannot be changed. */
import { Checkbox, NativeSelect, TextInput, Textarea } from '@mantine/core'
import { useState } from 'react'
import type { ReactNode } from 'react'
import type { PersonRole } from '../contract.ts'
import { groupRoles, rootRoles, type Policy } from '../groups/contract.ts'
import { dayOf, endOfDay } from './give-role.tsx'
import { t } from './groups-messages.ts'
import { t as words } from './messages.ts'

interface May {
  editGrants: boolean
  editCeiling: boolean
  administer: boolean
}

type Limits = Policy['ceiling']['limits']

/** Figures as people say them: GB and hours. */
const figures: { name: keyof Limits; label: Parameters<typeof t>[0]; unit: number }[] = [
  { name: 'cores', label: 'policy.cores', unit: 1 },
  { name: 'memoryBytes', label: 'policy.memory', unit: 1e9 },
  { name: 'walltimeMs', label: 'policy.walltime', unit: 3_600_000 },
  { name: 'sessions', label: 'policy.sessions', unit: 1 },
  { name: 'gpus', label: 'policy.gpus', unit: 1 },
  { name: 'storageBytes', label: 'policy.storage', unit: 1e9 },
]

/** Roles whose grants a manager edits; the experiment's admin edits all. */
const managersEdit: readonly PersonRole[] = ['operator', 'member', 'guest']

const knownActions = [
  'logbook.read',
  'logbook.write',
  'data.read',
  'data.create',
  'data.modify',
  'data.archive',
  'tape.recall',
  'share.create',
  'runs.control',
  'daq.write',
  'reconstruction.run',
  'jobs.submit',
  'jobs.read',
  'sessions.start',
] as const

export function PolicyFields(props: {
  policy: Policy
  may: May
  isRoot: boolean
  onChange: (policy: Policy) => void
}): ReactNode {
  const { policy, may, onChange } = props
  const { ceiling, grants } = policy
  const setCeiling = (parts: Partial<Policy['ceiling']>): void =>
    onChange({ ...policy, ceiling: withoutUndefined({ ...ceiling, ...parts }) })
  const roles = (props.isRoot ? rootRoles : groupRoles).filter((role) => role !== 'exp-admin' && role !== 'auditor')
  return (
    <>
      <fieldset className="cy-fieldset">
        <legend>{t('policy.ceiling')}</legend>
        <p className="cy-quiet cy-small">{t('policy.ceilingHint')}</p>
        <CapabilityList
          label={t('policy.ceiling')}
          heading={t('policy.capabilitiesOf')}
          whole={t('policy.ceilingOpen')}
          texts={ceiling.capabilities}
          disabled={!may.editCeiling}
          onChange={(capabilities) => setCeiling({ capabilities })}
        />
        <h3>{t('policy.limits')}</h3>
        <div className="cy-filters">
          {figures.map(({ name, label, unit }) => (
            <TextInput
              key={name}
              size="xs"
              type="number"
              min={0}
              step="any"
              className="cy-figure-input"
              label={t(label)}
              {...only(may.editCeiling)}
              defaultValue={ceiling.limits[name] === undefined ? '' : String(ceiling.limits[name] / unit)}
              onChange={(event) => {
                const figure = figureOf(event.currentTarget.value, unit)
                setCeiling({ limits: withoutUndefined({ ...ceiling.limits, [name]: figure }) })
              }}
            />
          ))}
          <TextInput
            size="xs"
            type="number"
            min={1}
            className="cy-figure-input"
            label={t('policy.days')}
            {...only(may.editCeiling)}
            defaultValue={ceiling.membershipMaxDays === undefined ? '' : String(ceiling.membershipMaxDays)}
            onChange={(event) => setCeiling({ membershipMaxDays: figureOf(event.currentTarget.value, 1) })}
          />
          <TextInput
            size="xs"
            type="date"
            label={t('policy.ends')}
            {...only(may.editCeiling)}
            defaultValue={dayOf(ceiling.endsAtMs ?? null)}
            onChange={(event) => setCeiling({ endsAtMs: endOfDay(event.currentTarget.value) ?? undefined })}
          />
        </div>
        <Checkbox
          size="xs"
          label={t('policy.guests')}
          disabled={!may.editCeiling}
          checked={ceiling.guestAllowed}
          onChange={(event) => setCeiling({ guestAllowed: event.currentTarget.checked })}
        />
        <Lines
          label={t('policy.environments')}
          lines={ceiling.environments ?? []}
          disabled={!may.editCeiling}
          onChange={(lines) => setCeiling({ environments: lines.length === 0 ? undefined : lines })}
        />
      </fieldset>
      <fieldset className="cy-fieldset">
        <legend>{t('policy.grants')}</legend>
        <p className="cy-quiet cy-small">{t('policy.grantsHint')}</p>
        {roles.map((role) => (
          <CapabilityList
            key={role}
            label={words(`role.${role}`)}
            whole={t('policy.whole')}
            texts={grants[role]}
            disabled={!(may.administer || (may.editGrants && managersEdit.includes(role)))}
            onChange={(texts) => onChange({ ...policy, grants: withoutUndefined({ ...grants, [role]: texts }) })}
          />
        ))}
        <details className="cy-small">
          <summary>{t('policy.which')}</summary>
          <ul className="cy-plain-list">
            {knownActions.map((action) => (
              <li key={action}>
                <code>{action}</code> {t(`action.${action.replace('.', '-')}` as Parameters<typeof t>[0])}
              </li>
            ))}
          </ul>
        </details>
      </fieldset>
      <fieldset className="cy-fieldset">
        <legend>{t('policy.rules')}</legend>
        <Lines
          label={t('policy.sponsors')}
          lines={policy.sponsors}
          disabled={!may.administer}
          onChange={(sponsors) => onChange({ ...policy, sponsors })}
        />
        <div className="cy-filters">
          <TextInput
            size="xs"
            type="number"
            min={0}
            label={t('policy.sponsorLimit')}
            {...only(may.administer)}
            defaultValue={String(policy.sponsorLimit)}
            onChange={(event) => onChange({ ...policy, sponsorLimit: figureOf(event.currentTarget.value, 1) ?? 0 })}
          />
          <NativeSelect
            size="xs"
            label={t('policy.approval')}
            disabled={!may.administer}
            value={policy.approval}
            onChange={(event) => onChange({ ...policy, approval: event.currentTarget.value as Policy['approval'] })}
            data={(['none', 'manager', 'exp-admin'] as const).map((value) => ({
              value,
              label: t(`policy.approval.${value}`),
            }))}
          />
        </div>
      </fieldset>
    </>
  )
}

/** A list of capabilities, or none: then everything counts that is above. */
function CapabilityList(props: {
  label: string
  /** Where the label stands above already. */
  heading?: string
  whole: string
  texts: string[] | undefined
  disabled: boolean
  onChange: (texts: string[] | undefined) => void
}): ReactNode {
  const { label, texts, disabled, onChange } = props
  const [kept, setKept] = useState(texts ?? [])
  return (
    <div className="cy-capabilities">
      <div className="cy-row">
        <strong>{props.heading ?? label}</strong>
        <Checkbox
          size="xs"
          label={props.whole}
          aria-label={`${label}: ${props.whole}`}
          disabled={disabled}
          checked={texts === undefined}
          onChange={(event) => onChange(event.currentTarget.checked ? undefined : kept)}
        />
      </div>
      {texts !== undefined && (
        <Lines
          label={t('policy.capabilities')}
          hidden={`${label}: ${t('policy.capabilities')}`}
          hint={t('policy.capabilitiesHint')}
          lines={texts}
          disabled={disabled}
          onChange={(lines) => {
            setKept(lines)
            onChange(lines)
          }}
        />
      )}
    </div>
  )
}

/** One thing a line; what is typed stays as typed. */
function Lines(props: {
  label: string
  /** The whole name, for those who do not see what stands above. */
  hidden?: string
  hint?: string
  lines: string[]
  disabled: boolean
  onChange: (lines: string[]) => void
}): ReactNode {
  const [text, setText] = useState(props.lines.join('\n'))
  return (
    <Textarea
      size="xs"
      autosize
      minRows={1}
      maxRows={14}
      classNames={{ input: 'cy-mono' }}
      {...(props.hidden === undefined ? { label: props.label } : { 'aria-label': props.hidden })}
      placeholder={props.hint ?? ''}
      spellCheck={false}
      {...only(!props.disabled)}
      value={text}
      onChange={(event) => {
        setText(event.currentTarget.value)
        props.onChange(linesOf(event.currentTarget.value))
      }}
    />
  )
}

/** What is not to be changed can still be read, and looks it. */
function only(mayEdit: boolean): { readOnly?: boolean; variant?: 'filled' } {
  return mayEdit ? {} : { readOnly: true, variant: 'filled' }
}

function linesOf(text: string): string[] {
  return [...new Set(text.split('\n').map((line) => line.trim()))].filter((line) => line !== '')
}

function figureOf(text: string, unit: number): number | undefined {
  const figure = Number(text)
  return text.trim() === '' || !Number.isFinite(figure) || figure < 0
    ? undefined
    : Math.round(figure * unit * 1e6) / 1e6
}

function withoutUndefined<Value extends object>(value: Value): Value {
  return Object.fromEntries(Object.entries(value).filter(([, part]) => part !== undefined)) as Value
}
