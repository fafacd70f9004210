/** Settings and readings of the run, searched on the server. */
import { Button, Checkbox, TextInput } from '@mantine/core'
import { useState } from 'react'
import type { ReactNode } from 'react'
import { Answer, apiOf, formatCount, useAnswer } from '../../foundation/browser.tsx'
import type { RunPanelProps } from '../../foundation/browser.tsx'
import { logbookContract } from '../contract.ts'
import type { Condition } from '../contract.ts'
import { t } from './messages.ts'

const firstRows = 20

export default function ConditionsPanel(props: RunPanelProps): ReactNode {
  const { experiment } = props
  const run = `${props.series}:${props.number}`
  const [text, setText] = useState('')
  const [onlyChanged, setOnlyChanged] = useState(false)
  const [all, setAll] = useState(false)
  const words = text.trim()
  const conditions = useAnswer(
    ['logbook', 'conditions', experiment, run, words],
    (signal) =>
      apiOf(logbookContract).listConditions(
        { params: { experiment, run }, query: words === '' ? {} : { text: words } },
        { signal },
      ),
    { keepPrevious: true },
  )
  return (
    <>
      <div className="cy-row">
        <TextInput
          size="xs"
          style={{ width: 300 }}
          aria-label={t('conditions.search')}
          placeholder={t('conditions.search')}
          value={text}
          onChange={(event) => setText(event.currentTarget.value)}
        />
        <Checkbox
          size="xs"
          label={t('conditions.changed')}
          checked={onlyChanged}
          onChange={(event) => setOnlyChanged(event.currentTarget.checked)}
        />
      </div>
      <Answer to={conditions}>
        {({ items }) => {
          const rows = onlyChanged ? items.filter((item) => item.changed) : items
          if (rows.length === 0)
            return (
              <p className="cy-quiet">
                {words === '' && !onlyChanged ? t('conditions.noneYet') : t('conditions.none')}
              </p>
            )
          const shown = all ? rows : rows.slice(0, firstRows)
          return (
            <>
              <p className="cy-quiet cy-small">{t('conditions.count', { count: rows.length })}</p>
              <ConditionTable rows={shown} />
              {shown.length < rows.length && (
                <Button mt="sm" size="compact-sm" variant="default" onClick={() => setAll(true)}>
                  {t('conditions.all', { count: formatCount(rows.length) })}
                </Button>
              )}
            </>
          )
        }}
      </Answer>
    </>
  )
}

function ConditionTable(props: { rows: Condition[] }): ReactNode {
  return (
    <div className="cy-table-scroll cy-table-inset">
      <table className="cy-table">
        <thead>
          <tr>
            <th scope="col">{t('conditions.path')}</th>
            <th scope="col" className="cy-right">
              {t('conditions.begin')}
            </th>
            <th scope="col" className="cy-right">
              {t('conditions.end')}
            </th>
          </tr>
        </thead>
        <tbody>
          {props.rows.map((row) => (
            <tr key={row.path}>
              <td>
                {row.name} <span className="cy-mono cy-quiet">{row.path}</span>
              </td>
              <td className="cy-right">{valueOf(row.begin, row.unit)}</td>
              <td className="cy-right">
                {row.changed ? (
                  <strong>{valueOf(row.end, row.unit)}</strong>
                ) : (
                  <span className="cy-quiet">{t('conditions.same')}</span>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function valueOf(value: Condition['begin'], unit: string): string {
  if (value === null || value === '') return '–'
  // Readings carry float noise (0.30000001192); seven digits are what a 32-bit float holds.
  const text = typeof value === 'number' ? String(Number(value.toPrecision(7))) : value
  return unit === '' ? text : `${text} ${unit}`
}
