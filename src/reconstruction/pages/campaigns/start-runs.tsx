/** Start a campaign over a range of runs, try everything again that failed, cancel what has not begun. */
import { Button, Checkbox, NativeSelect, NumberInput } from '@mantine/core'
import { useMutation, useQueryClient } from '@tanstack/react-query'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Problem, apiOf, useAnswer, useMay } from '../../../foundation/browser.tsx'
import { logbookContract } from '../../../logbook/contract.ts'
import { reconstructionContract } from '../../contract.ts'
import type { Campaign, CampaignProgress } from '../../contract.ts'
import { t } from '../messages.ts'

export function CampaignActions(props: {
  experiment: string
  campaign: Campaign
  progress: CampaignProgress
}): ReactNode {
  const { experiment, campaign, progress } = props
  const may = useMay()
  const queries = useQueryClient()
  const refresh = () => queries.invalidateQueries({ queryKey: ['reconstruction'] })
  const params = { experiment, campaign: campaign.name }
  const retry = useMutation({
    mutationFn: () => apiOf(reconstructionContract).retryCampaign({ params, body: {} }),
    onSuccess: refresh,
  })
  const cancel = useMutation({
    mutationFn: () => apiOf(reconstructionContract).cancelCampaign({ params, body: {} }),
    onSuccess: refresh,
  })
  if (!may('reconstruction.run', experiment)) return null
  if (campaign.kind === 'script' && !may('jobs.submit', experiment)) return null
  const underWay = progress.waiting + progress.submitted
  const cancelled = cancel.data?.items.filter(({ outcome }) => outcome === 'cancelled').length
  return (
    <div className="cy-stack">
      <StartRange experiment={experiment} campaign={campaign.name} />
      <div className="cy-row">
        {progress.failed + progress.cancelled > 0 && (
          <Button size="compact-sm" variant="default" loading={retry.isPending} onClick={() => retry.mutate()}>
            {t('campaigns.retryAll', { count: progress.failed + progress.cancelled })}
          </Button>
        )}
        {underWay > 0 && (
          <Button size="compact-sm" variant="default" loading={cancel.isPending} onClick={() => cancel.mutate()}>
            {t('campaigns.cancelAll')}
          </Button>
        )}
        <span role="status">
          {retry.data !== undefined && t('campaigns.retried', { count: retry.data.items.length })}
          {cancelled !== undefined && ` ${t('campaigns.cancelledNow', { count: cancelled })}`}
        </span>
      </div>
      {retry.error !== null && <Problem error={retry.error} />}
      {cancel.error !== null && <Problem error={cancel.error} />}
    </div>
  )
}

function StartRange(props: { experiment: string; campaign: string }): ReactNode {
  const { experiment, campaign } = props
  const queries = useQueryClient()
  const about = useAnswer(['logbook', 'experiment', experiment], (signal) =>
    apiOf(logbookContract).showExperiment({ params: { experiment } }, { signal }),
  )
  const all = about.data?.series ?? []
  const [chosen, setChosen] = useState('')
  const series = all.find(({ name }) => name === chosen) ?? all[0]
  const [from, setFrom] = useState<number | string>(1)
  const [to, setTo] = useState<number | string>('')
  const [force, setForce] = useState(false)
  const last = series?.lastNumber ?? 1
  const range = { from: Number(from), to: to === '' ? last : Number(to) }
  const start = useMutation({
    mutationFn: () =>
      apiOf(reconstructionContract).startReconstruction({
        params: { experiment },
        body: { series: series?.name ?? '', range, campaign, force },
      }),
    onSuccess: () => queries.invalidateQueries({ queryKey: ['reconstruction'] }),
  })
  if (series === undefined) return null
  const count = (wanted: string): number => start.data?.tasks.filter(({ outcome }) => outcome === wanted).length ?? 0
  return (
    <form
      onSubmit={(event) => {
        event.preventDefault()
        start.mutate()
      }}
    >
      <div className="cy-filters">
        {all.length > 1 && (
          <NativeSelect
            size="xs"
            label={t('campaigns.series')}
            value={series.name}
            onChange={(event) => setChosen(event.currentTarget.value)}
            data={all.map(({ name }) => name)}
          />
        )}
        <NumberInput size="xs" label={t('campaigns.fromRun')} min={0} value={from} onChange={setFrom} />
        <NumberInput
          size="xs"
          label={t('campaigns.toRun')}
          min={0}
          placeholder={String(last)}
          value={to}
          onChange={setTo}
        />
        <Checkbox
          size="xs"
          label={t('campaigns.again')}
          checked={force}
          onChange={(event) => setForce(event.currentTarget.checked)}
        />
        <Button size="xs" type="submit" loading={start.isPending}>
          {t('campaigns.start')}
        </Button>
      </div>
      <p role="status" className="cy-quiet">
        {start.data === undefined
          ? t('campaigns.startHint')
          : t('campaigns.started', {
              submitted: count('submitted'),
              already: count('already'),
              waiting: count('waiting'),
              refused: count('refused'),
            })}
      </p>
      {start.error !== null && <Problem error={start.error} />}
    </form>
  )
}
