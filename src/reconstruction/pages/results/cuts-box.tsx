/** Cuts as text with completion, what is wrong with them at its place, and as a list one can read and take apart. */
import { Button, Textarea } from '@mantine/core'
import { useEffect, useId, useMemo, useRef, useState } from 'react'
import type { KeyboardEvent, ReactNode } from 'react'
import { formatCount } from '../../../foundation/browser.tsx'
import { functions, nearest, parseCuts, sources } from '../../contract.ts'
import type { Quantity, SourceName, View } from '../../contract.ts'
import { t } from '../messages.ts'

export function CutsBox(props: {
  label: string
  source: SourceName
  cuts: string
  flow: View['flow'] | undefined
  onChange: (cuts: string) => void
}): ReactNode {
  const { cuts, onChange } = props
  const quantities = sources[props.source]?.quantities ?? []
  const [draft, setDraft] = useState(cuts)
  useEffect(() => setDraft(cuts), [cuts])
  const { problem } = parseCuts(draft, quantities)
  const applied = parseCuts(cuts, quantities)
  const changed = draft.trim() !== cuts.trim()
  const apply = (): void => {
    if (problem === undefined && changed) onChange(draft.trim())
  }
  return (
    <div className="cy-cuts">
      <ExpressionBox
        label={props.label}
        placeholder={props.source === 'cluster' ? t('results.cutsExample') : ''}
        quantities={quantities}
        value={draft}
        onChange={setDraft}
        onApply={apply}
        wrong={problem !== undefined}
      />
      {problem !== undefined && (
        <p className="cy-cuts-problem" role="status">
          <code aria-hidden="true">
            {draft.slice(Math.max(0, problem.at - 24), problem.at)}
            <mark>{draft.slice(problem.at, problem.at + problem.length) || '␣'}</mark>
            {draft.slice(problem.at + problem.length, problem.at + problem.length + 16)}
          </code>{' '}
          {t('results.problemAt', { at: problem.at + 1, message: problem.message })}{' '}
          {problem.suggestions.map((name) => (
            <button
              key={name}
              type="button"
              className="cy-link"
              onClick={() => setDraft(draft.slice(0, problem.at) + name + draft.slice(problem.at + problem.length))}
            >
              {name}
            </button>
          ))}
        </p>
      )}
      {changed && (
        <div className="cy-row">
          <Button size="compact-sm" disabled={problem !== undefined} onClick={apply}>
            {t('results.apply')}
          </Button>
          <Button size="compact-sm" variant="default" onClick={() => setDraft(cuts)}>
            {t('results.back')}
          </Button>
        </div>
      )}
      {applied.cuts.length > 0 && (
        <ol className="cy-cut-list" aria-label={t('results.cutList')}>
          {applied.cuts.map(({ text }, index) => {
            const step = props.flow?.cuts[index]
            const known = step !== undefined && step.cut === text.trim()
            return (
              <li key={index}>
                <code>{text}</code>
                {known && (
                  <span className="cy-quiet cy-small" title={t('results.alone', { count: formatCount(step.alone) })}>
                    {t('results.left', { count: formatCount(step.left) })}
                  </span>
                )}
                <button
                  type="button"
                  className="cy-link"
                  aria-label={t('results.removeCut', { cut: text })}
                  onClick={() =>
                    onChange(
                      applied.cuts
                        .filter((_, other) => other !== index)
                        .map((cut) => cut.text)
                        .join(' and '),
                    )
                  }
                >
                  ×
                </button>
              </li>
            )
          })}
        </ol>
      )}
    </div>
  )
}

interface Choice {
  text: string
  detail: string
}

/** A text box that completes names of quantities and functions: arrows choose, Tab or Enter takes, Escape closes. */
export function ExpressionBox(props: {
  label: string
  placeholder?: string
  quantities: readonly Quantity[]
  value: string
  onChange: (text: string) => void
  onApply: () => void
  wrong: boolean
}): ReactNode {
  const id = useId()
  const box = useRef<HTMLTextAreaElement>(null)
  const [caret, setCaret] = useState<number | undefined>(undefined)
  const [chosen, setChosen] = useState(0)
  const word = caret === undefined ? '' : (/[A-Za-z_]\w*$/.exec(props.value.slice(0, caret))?.[0] ?? '')
  const choices = useMemo(() => choicesFor(word, props.quantities), [word, props.quantities])
  const open = choices.length > 0
  const place = Math.min(chosen, choices.length - 1)
  function take(choice: Choice): void {
    const at = caret ?? 0
    const before = props.value.slice(0, at - word.length) + choice.text
    props.onChange(before + props.value.slice(at))
    setCaret(undefined)
    requestAnimationFrame(() => box.current?.setSelectionRange(before.length, before.length))
  }
  function onKeyDown(event: KeyboardEvent<HTMLTextAreaElement>): void {
    if (open && (event.key === 'ArrowDown' || event.key === 'ArrowUp')) {
      setChosen((place + (event.key === 'ArrowDown' ? 1 : choices.length - 1)) % choices.length)
    } else if (open && (event.key === 'Tab' || event.key === 'Enter') && !event.shiftKey) take(choices[place]!)
    else if (open && event.key === 'Escape') setCaret(undefined)
    else if (event.key === 'Enter' && !event.shiftKey) props.onApply()
    else return
    event.preventDefault()
  }
  return (
    <div className="cy-expression">
      <Textarea
        ref={box}
        size="xs"
        label={props.label}
        placeholder={props.placeholder ?? ''}
        autosize
        minRows={1}
        maxRows={8}
        spellCheck={false}
        autoComplete="off"
        value={props.value}
        error={props.wrong}
        role="combobox"
        aria-autocomplete="list"
        aria-expanded={open}
        aria-controls={`${id}-list`}
        aria-activedescendant={open ? `${id}-${place}` : undefined}
        onChange={(event) => {
          props.onChange(event.currentTarget.value)
          setCaret(event.currentTarget.selectionStart)
          setChosen(0)
        }}
        onKeyDown={onKeyDown}
        onBlur={() => setCaret(undefined)}
      />
      <ul
        id={`${id}-list`}
        role="listbox"
        aria-label={t('results.completions')}
        className="cy-completions"
        hidden={!open}
      >
        {choices.map((choice, index) => (
          <li
            key={choice.text}
            id={`${id}-${index}`}
            role="option"
            aria-selected={index === place}
            onPointerDown={(event) => {
              event.preventDefault()
              take(choice)
            }}
          >
            <code>{choice.text}</code> <span className="cy-quiet cy-small">{choice.detail}</span>
          </li>
        ))}
      </ul>
    </div>
  )
}

const mostChoices = 8

function choicesFor(word: string, quantities: readonly Quantity[]): Choice[] {
  if (word.length < 2) return []
  const wanted = word.toLowerCase()
  if (quantities.some(({ name }) => name === word)) return []
  const detail = ({ unit, meaning }: Quantity): string => (unit === '' ? meaning : `${unit} · ${meaning}`)
  const holds = quantities.filter(({ name, aliases }) =>
    [name, ...aliases].some((one) => one.toLowerCase().includes(wanted)),
  )
  const begins = (one: Quantity): number => (one.name.toLowerCase().startsWith(wanted) ? 0 : 1)
  const named = holds.toSorted((a, b) => begins(a) - begins(b))
  const near = nearest(word, quantities).flatMap((name) => quantities.filter((one) => one.name === name))
  const all = [...new Set([...named, ...near])].map((one) => ({ text: one.name, detail: detail(one) }))
  const called = Object.keys(functions)
    .filter((name) => name.startsWith(wanted) && name !== word)
    .map((name) => ({ text: `${name}(`, detail: t('results.function') }))
  return [...called, ...all].slice(0, mostChoices)
}
