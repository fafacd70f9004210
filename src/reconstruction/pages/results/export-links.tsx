/** The selected rows to take along: links that the browser streams to a file. */
import { Button } from '@mantine/core'
import type { ReactNode } from 'react'
import { apiOf, useAnswer } from '../../../foundation/browser.tsx'
import { isReadable, reconstructionContract } from '../../contract.ts'
import { t } from '../messages.ts'
import type { Shown } from './selection-fields.tsx'
import { selectionOf } from './use-results.ts'

export function ExportLinks(props: Shown): ReactNode {
  const { experiment, state, range } = props
  const known = useAnswer(['reconstruction', 'quantities', experiment], (signal) =>
    apiOf(reconstructionContract).listQuantities({ params: { experiment } }, { signal }),
  )
  if (!isReadable(state)) return null
  const query = new URLSearchParams()
  for (const [name, value] of Object.entries(selectionOf(state, range))) query.set(name, String(value))
  return known.data?.formats.map(({ name }) => (
    <Button
      key={name}
      component="a"
      size="compact-sm"
      variant="default"
      href={`/api/experiments/${experiment}/results/rows?${query.toString()}&format=${name}`}
      title={t('results.exportHint')}
    >
      {name.toUpperCase()}
    </Button>
  ))
}
