/** `j`/`k` move through the rows of a table, Enter opens the row's link; `/` goes to the filter. */
import { useRef } from 'react'
import type { RefObject } from 'react'
import { useShortcuts } from './shortcuts.tsx'

/** Put the ref on the table; rows that can be reached carry `data-row` and hold one link. */
export function useRowKeys(labels: { next: string; previous: string }): RefObject<HTMLTableElement | null> {
  const table = useRef<HTMLTableElement>(null)
  const move = (step: number): void => {
    const links = [...(table.current?.querySelectorAll<HTMLElement>('[data-row] a') ?? [])].filter(
      (link, index, all) =>
        all.findIndex((other) => other.closest('[data-row]') === link.closest('[data-row]')) === index,
    )
    const row = document.activeElement?.closest('[data-row]')
    const at = links.findIndex((link) => link.closest('[data-row]') === row)
    const next = links[at < 0 ? (step > 0 ? 0 : links.length - 1) : Math.min(Math.max(at + step, 0), links.length - 1)]
    next?.focus()
    next?.scrollIntoView({ block: 'nearest' })
  }
  useShortcuts([
    { keys: 'j', label: labels.next, run: () => move(1) },
    { keys: 'k', label: labels.previous, run: () => move(-1) },
  ])
  return table
}
