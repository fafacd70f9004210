/** What is counted, in which range, with which fit, and against what. */
import { Button, Checkbox, NativeSelect, TextInput } from '@mantine/core'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { parseExpression, sources } from '../../contract.ts'
import type { ResultsState, SourceName } from '../../contract.ts'
import { t } from '../messages.ts'
import { ExpressionBox } from './cuts-box.tsx'

export function SpectrumFields(props: {
  state: ResultsState
  set: (changes: Partial<ResultsState>) => void
}): ReactNode {
  const { state, set } = props
  const source = sources[state.source]
  return (
    <div className="cy-filters">
      <QuantityBox
        label={t('results.quantity')}
        source={state.source}
        value={state.x === '' ? (source?.first ?? '') : state.x}
        onChange={(x) => set({ x, low: undefined, high: undefined })}
      />
      <NumberBox label={t('results.low')} value={state.low} onChange={(low) => set({ low })} />
      <NumberBox label={t('results.high')} value={state.high} onChange={(high) => set({ high })} />
      <NumberBox
        label={t('results.bins')}
        value={state.bins}
        onChange={(bins) => set({ bins: Math.min(1000, Math.max(1, Math.round(bins ?? 60))) })}
      />
      <NativeSelect
        size="xs"
        label={t('results.fitModel')}
        value={state.fit}
        onChange={(event) => set({ fit: event.currentTarget.value as ResultsState['fit'] })}
        data={[
          { value: 'none', label: t('results.fitNone') },
          { value: 'iron', label: t('results.fitIron') },
          { value: 'gaussian', label: t('results.fitGaussian') },
        ]}
      />
      <QuantityBox
        label={t('results.against')}
        source={state.source}
        value={state.y}
        optional
        onChange={(y) => set({ y, yLow: undefined, yHigh: undefined })}
      />
      {state.y !== '' && (
        <NativeSelect
          size="xs"
          label={t('results.drawnAs')}
          value={state.plane}
          onChange={(event) => set({ plane: event.currentTarget.value as ResultsState['plane'] })}
          data={[
            { value: 'density', label: t('results.density') },
            { value: 'scatter', label: t('results.scatter') },
          ]}
        />
      )}
      <Checkbox
        size="xs"
        label={t('results.log')}
        checked={state.log}
        onChange={(event) => set({ log: event.currentTarget.checked })}
      />
    </div>
  )
}

/** A column or an expression; taken over with Enter or on leaving the field. */
function QuantityBox(props: {
  label: string
  source: SourceName
  value: string
  optional?: boolean
  onChange: (text: string) => void
}): ReactNode {
  const { value, onChange } = props
  const quantities = sources[props.source]?.quantities ?? []
  const [draft, setDraft] = useState(value)
  useEffect(() => setDraft(value), [value])
  const isEmpty = draft.trim() === ''
  const { problem } = isEmpty ? { problem: undefined } : parseExpression(draft, quantities, 'number')
  const wrong = problem !== undefined || (isEmpty && props.optional !== true)
  const apply = (): void => {
    if (!wrong && draft.trim() !== value) onChange(draft.trim())
  }
  return (
    <div className="cy-quantity" onBlur={apply}>
      <ExpressionBox
        label={props.label}
        placeholder={props.optional === true ? t('results.nothing') : ''}
        quantities={quantities}
        value={draft}
        onChange={setDraft}
        onApply={apply}
        wrong={wrong}
      />
      {problem !== undefined && (
        <p className="cy-cuts-problem" role="status">
          {t('results.problemAt', { at: problem.at + 1, message: problem.message })}
        </p>
      )}
    </div>
  )
}

/** The same as dragging over the histogram, for hands on the keyboard. */
export function RangeFields(props: { quantity: string; onRange: (low: number, high: number) => void }): ReactNode {
  const [low, setLow] = useState<number | undefined>(undefined)
  const [high, setHigh] = useState<number | undefined>(undefined)
  const ready = low !== undefined && high !== undefined && low < high
  return (
    <div className="cy-filters cy-range-fields" role="group" aria-label={t('results.rangeCut')}>
      <span className="cy-quiet cy-small">{t('results.dragHint')}</span>
      <NumberBox label={t('results.cutFrom')} value={low} onChange={setLow} placeholder="" />
      <NumberBox label={t('results.cutTo')} value={high} onChange={setHigh} placeholder="" />
      <Button size="compact-sm" variant="default" disabled={!ready} onClick={() => ready && props.onRange(low, high)}>
        {t('results.addCut')}
      </Button>
    </div>
  )
}

function NumberBox(props: {
  label: string
  placeholder?: string
  value: number | undefined
  onChange: (value: number | undefined) => void
}): ReactNode {
  const [text, setText] = useState(props.value === undefined ? '' : String(props.value))
  useEffect(() => setText(props.value === undefined ? '' : String(props.value)), [props.value])
  const valid = text.trim() === '' || Number.isFinite(Number(text))
  const apply = (): void => {
    if (!valid) return
    const value = text.trim() === '' ? undefined : Number(text)
    if (value !== props.value) props.onChange(value)
  }
  return (
    <TextInput
      size="xs"
      className="cy-number-box"
      label={props.label}
      inputMode="decimal"
      placeholder={props.placeholder ?? t('results.auto')}
      value={text}
      error={!valid}
      onChange={(event) => setText(event.currentTarget.value)}
      onBlur={apply}
      onKeyDown={(event) => {
        if (event.key === 'Enter') apply()
      }}
    />
  )
}
