/** A new campaign from other parameters; a script is made on the command line, where its files are. */
import { Button, NativeSelect, NumberInput, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { useLocation } from 'wouter'
import { Answer, CopyLine, Problem, apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { reconstructionContract } from '../../contract.ts'
import type { ParameterFact } from '../../contract.ts'
import { t } from '../messages.ts'

interface Setting {
  name: string
  value: number | string
}

export function NewCampaign(props: { experiment: string; onDone: () => void }): ReactNode {
  const { experiment } = props
  const parameters = useAnswer(['reconstruction', 'parameters', experiment], (signal) =>
    apiOf(reconstructionContract).listParameters({ params: { experiment } }, { signal }),
  )
  return (
    <Answer to={parameters}>
      {({ items, presets }) => (
        <div className="cy-stack">
          <Form {...props} facts={items} presets={presets.map(({ name }) => name)} />
          <p className="cy-quiet">{t('campaigns.scriptHint')}</p>
          <CopyLine
            label={t('campaigns.scriptCopy')}
            text={`cygnet reco campaign create mine --experiment ${experiment} --script ./mine -- python3 cluster.py {raw} {pedestal} {out}`}
          />
        </div>
      )}
    </Answer>
  )
}

function Form(props: { experiment: string; onDone: () => void; facts: ParameterFact[]; presets: string[] }): ReactNode {
  const { experiment, facts } = props
  const queries = useQueryClient()
  const [, navigate] = useLocation()
  const [name, setName] = useState('')
  const [description, setDescription] = useState('')
  const [preset, setPreset] = useState('')
  const [settings, setSettings] = useState<Setting[]>([])
  const create = useMutation({
    mutationFn: () =>
      apiOf(reconstructionContract).createCampaign({
        params: { experiment },
        body: {
          name,
          description,
          parameters: Object.fromEntries(settings.map((setting) => [setting.name, setting.value])),
          ...(preset === '' ? {} : { preset }),
        },
      }),
    onSuccess: async (campaign) => {
      await queries.invalidateQueries({ queryKey: ['reconstruction'] })
      navigate(`/e/${experiment}/campaigns/${campaign.name}`)
    },
  })
  const free = facts.filter((fact) => !settings.some((setting) => setting.name === fact.name))
  const change = (index: number, value: number | string): void =>
    setSettings(settings.map((setting, at) => (at === index ? { ...setting, value } : setting)))
  return (
    <form
      className="cy-stack"
      onSubmit={(event) => {
        event.preventDefault()
        create.mutate()
      }}
    >
      <div className="cy-filters">
        <TextInput
          size="xs"
          label={t('campaigns.name')}
          description={t('campaigns.nameHint')}
          value={name}
          onChange={(event) => setName(event.currentTarget.value)}
          required
          autoFocus
        />
        <TextInput
          size="xs"
          className="cy-grow"
          label={t('campaigns.description')}
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        {props.presets.length > 0 && (
          <NativeSelect
            size="xs"
            label={t('campaigns.beginFrom')}
            value={preset}
            onChange={(event) => setPreset(event.currentTarget.value)}
            data={[{ value: '', label: t('campaigns.defaults') }, ...props.presets]}
          />
        )}
      </div>
      {settings.map((setting, index) => {
        const fact = facts.find((one) => one.name === setting.name)
        const label = fact === undefined || fact.unit === '' ? setting.name : `${setting.name} [${fact.unit}]`
        return (
          <div className="cy-filters" key={setting.name}>
            {typeof fact?.default === 'string' ? (
              <TextInput
                size="xs"
                label={label}
                description={fact.meaning}
                value={String(setting.value)}
                onChange={(event) => change(index, event.currentTarget.value)}
              />
            ) : (
              <NumberInput
                size="xs"
                label={label}
                description={fact?.meaning}
                value={setting.value}
                onChange={(value) => change(index, value)}
              />
            )}
            <Button
              size="xs"
              variant="subtle"
              onClick={() => setSettings(settings.filter((one) => one.name !== setting.name))}
            >
              {t('campaigns.remove', { name: setting.name })}
            </Button>
          </div>
        )
      })}
      <div className="cy-filters">
        <NativeSelect
          size="xs"
          label={t('campaigns.addParameter')}
          value=""
          onChange={(event) => {
            const fact = facts.find((one) => one.name === event.currentTarget.value)
            if (fact !== undefined) setSettings([...settings, { name: fact.name, value: fact.default }])
          }}
          data={[{ value: '', label: t('campaigns.choose') }, ...free.map((fact) => fact.name)]}
        />
      </div>
      <div className="cy-row">
        <Button size="xs" type="submit" loading={create.isPending} disabled={name === ''}>
          {t('campaigns.make')}
        </Button>
        <Button size="xs" variant="default" onClick={props.onDone}>
          {t('campaigns.leave')}
        </Button>
      </div>
      {create.error !== null && <Problem error={create.error} />}
    </form>
  )
}
