/** Changing what people say about a run: its description and whether analyses may use it. */
import { Button, NativeSelect, TextInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { FormEvent, ReactNode } from 'react'
import { Problem, apiOf } from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import type { Run } from '../contract.ts'
import { t } from './messages.ts'

export function RunJudgement(props: { experiment: string; run: Run; onClose: () => void }): ReactNode {
  const { experiment, run } = props
  const queries = useQueryClient()
  const [description, setDescription] = useState(run.description)
  const [quality, setQuality] = useState(run.quality)
  const [qualityReason, setQualityReason] = useState(run.qualityReason)
  const save = useMutation({
    mutationFn: () =>
      apiOf(logbookContract).updateRun({
        params: { experiment, run: run.reference },
        body: { description, quality, qualityReason },
      }),
    onSuccess: async () => {
      await queries.invalidateQueries({ queryKey: ['logbook'] })
      props.onClose()
    },
  })
  const submit = (event: FormEvent): void => {
    event.preventDefault()
    save.mutate()
  }
  return (
    <form onSubmit={submit} className="cy-stack">
      <div className="cy-filters">
        <TextInput
          size="xs"
          className="cy-grow"
          label={t('run.description')}
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
          data-autofocus
        />
        <NativeSelect
          size="xs"
          label={t('runs.quality')}
          value={quality}
          onChange={(event) => setQuality(event.currentTarget.value as Run['quality'])}
          data={(['unjudged', 'good', 'partial', 'bad'] as const).map((value) => ({
            value,
            label: t(`quality.${value}`),
          }))}
        />
        <TextInput
          size="xs"
          className="cy-grow"
          label={t('run.reason')}
          value={qualityReason}
          onChange={(event) => setQualityReason(event.currentTarget.value)}
        />
        <Button size="xs" type="submit" loading={save.isPending}>
          {t('run.save')}
        </Button>
        <Button size="xs" variant="subtle" onClick={props.onClose}>
          {t('run.cancel')}
        </Button>
      </div>
      <p className="cy-quiet cy-small">{t('run.judgeHint')}</p>
      {save.error !== null && <Problem error={save.error} />}
    </form>
  )
}
