/** Which runs, which campaign, which table, which cuts in use; and the second selection to compare with. */
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { parseRunRange, presets, reconstructionContract, sources } from '../../contract.ts'
import type { Preset, ResultsState, RunRange } from '../../contract.ts'
import { t } from '../messages.ts'
import { CutsBox } from './cuts-box.tsx'

export interface Shown {
  experiment: string
  state: ResultsState
  set: (changes: Partial<ResultsState>) => void
  range: RunRange
  series: string[]
}

export function SelectionFields(props: Shown): ReactNode {
  const { state, set, range, series } = props
  const written = runsOf(range)
  const [text, setText] = useState(written)
  useEffect(() => setText(written), [written])
  const valid = /^\s*(\d{1,9}(\s*-\s*\d{1,9})?)?\s*$/.test(text)
  const apply = (): void => {
    if (valid) set({ sel: text.trim() === '' ? range.series : `${range.series}:${text.replaceAll(/\s/g, '')}` })
  }
  return (
    <div className="cy-filters">
      {series.length > 1 && (
        <NativeSelect
          size="xs"
          label={t('trend.series')}
          value={range.series}
          onChange={(event) => set({ sel: event.currentTarget.value })}
          data={series}
        />
      )}
      <TextInput
        size="xs"
        label={t('results.runs')}
        placeholder={t('results.allRuns')}
        value={text}
        error={!valid && t('results.runsExample')}
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={apply}
        onKeyDown={(event) => {
          if (event.key === 'Enter') apply()
        }}
      />
      <CampaignBox
        {...props}
        label={t('tracks.campaign')}
        value={state.campaign}
        onChange={(campaign) => set({ campaign })}
      />
      <NativeSelect
        size="xs"
        label={t('results.table')}
        value={state.source}
        onChange={(event) =>
          set({
            source: event.currentTarget.value as ResultsState['source'],
            x: '',
            y: '',
            cuts: '',
            low: undefined,
            high: undefined,
          })
        }
        data={Object.keys(sources).map((value) => ({ value, label: t(`results.source.${value as 'cluster'}`) }))}
      />
    </div>
  )
}

function runsOf({ from, to }: RunRange): string {
  if (from === undefined) return ''
  return to === undefined || to === from ? String(from) : `${from}-${to}`
}

function CampaignBox(props: {
  experiment: string
  label: string
  value: string
  onChange: (name: string) => void
}): ReactNode {
  const { experiment } = props
  const campaigns = useAnswer(['reconstruction', 'campaigns', experiment], (signal) =>
    apiOf(reconstructionContract).listCampaigns({ params: { experiment }, query: { limit: 200 } }, { signal }),
  )
  const names = new Set([
    'main',
    ...(campaigns.data?.items.map(({ name }) => name) ?? []),
    ...(props.value === '' ? [] : [props.value]),
  ])
  return (
    <NativeSelect
      size="xs"
      label={props.label}
      value={props.value}
      onChange={(event) => props.onChange(event.currentTarget.value)}
      data={[...(props.value === '' ? [{ value: '', label: t('results.sameCampaign') }] : []), ...names]}
    />
  )
}

export function Presets(props: { state: ResultsState; set: Shown['set'] }): ReactNode {
  const use = (preset: Preset): void => {
    const { quantity, low, high, bins, fit, aggregate } = preset
    props.set({
      cuts: preset.cuts,
      ...(quantity === undefined ? {} : { x: quantity, low, high }),
      ...(bins === undefined ? {} : { bins }),
      fit: fit ?? 'none',
      ...(aggregate === undefined ? {} : { trend: aggregate }),
    })
  }
  return (
    <div className="cy-row cy-presets" role="group" aria-label={t('results.presets')}>
      {presets.map((preset) => (
        <Button
          key={preset.id}
          size="compact-sm"
          variant={props.state.cuts === preset.cuts ? 'filled' : 'default'}
          title={`${preset.meaning}\n${preset.cuts}`}
          aria-pressed={props.state.cuts === preset.cuts}
          onClick={() => use(preset)}
        >
          {preset.title}
        </Button>
      ))}
    </div>
  )
}

export function CompareFields(props: Shown): ReactNode {
  const { state, set } = props
  const [runs, setRuns] = useState(state.otherSel)
  useEffect(() => setRuns(state.otherSel), [state.otherSel])
  return (
    <div className="cy-stack">
      <Checkbox
        size="xs"
        label={t('results.compareOn')}
        checked={state.compare}
        onChange={(event) => set({ compare: event.currentTarget.checked })}
      />
      {state.compare && (
        <>
          <div className="cy-filters">
            <TextInput
              size="xs"
              label={t('results.otherRuns')}
              placeholder={t('results.sameRuns')}
              value={runs}
              error={runs !== '' && parseRunRange(runs) === undefined && t('results.otherRunsExample')}
              onChange={(event) => setRuns(event.currentTarget.value)}
              onBlur={() => (runs === '' || parseRunRange(runs) !== undefined) && set({ otherSel: runs })}
            />
            <CampaignBox
              {...props}
              label={t('results.otherCampaign')}
              value={state.otherCampaign}
              onChange={(otherCampaign) => set({ otherCampaign })}
            />
          </div>
          <CutsBox
            label={t('results.otherCuts')}
            source={state.source}
            cuts={state.otherCuts}
            flow={undefined}
            onChange={(otherCuts) => set({ otherCuts })}
          />
        </>
      )}
    </div>
  )
}
