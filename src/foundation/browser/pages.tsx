/** Long lists: pages by cursor, new rows that announce themselves instead of pushing. */
import { Button } from '@mantine/core'
import { useInfiniteQuery } from '@tanstack/react-query'
import { useEffect, useState } from 'react'
import type { ReactNode } from 'react'
import { formatCount } from './format.ts'
import { useLive } from './live.ts'
import { Problem } from './problem.tsx'
import { t } from './words.ts'

interface PageAnswer<Item> {
  items: Item[]
  nextCursor: string | null
  total?: number | undefined
}

export interface PagedAnswer<Item> {
  items: Item[]
  total: number | undefined
  /** Nothing was ever answered to this question. */
  waiting: boolean
  error: unknown
  keptFromMs: number
  more: (() => void) | undefined
  loadingMore: boolean
  retry: () => void
}

/** Follows a paged route. Rows of an earlier question are never shown under a new one. */
export function usePages<Item>(
  key: readonly unknown[],
  ask: (cursor: string | undefined, signal: AbortSignal) => Promise<PageAnswer<Item>>,
  options: { enabled?: boolean } = {},
): PagedAnswer<Item> {
  const live = useLive()
  const query = useInfiniteQuery({
    queryKey: key,
    queryFn: ({ pageParam, signal }) => ask(pageParam, signal),
    initialPageParam: undefined as string | undefined,
    getNextPageParam: (last) => last.nextCursor ?? undefined,
    enabled: options.enabled ?? true,
    refetchInterval: live.state === 'live' ? false : 10_000,
  })
  return {
    items: query.data?.pages.flatMap((page) => page.items) ?? [],
    total: query.data?.pages[0]?.total,
    waiting: query.data === undefined && query.error === null,
    error: query.error,
    keptFromMs: query.dataUpdatedAt,
    more: query.hasNextPage ? () => void query.fetchNextPage() : undefined,
    loadingMore: query.isFetchingNextPage,
    retry: () => void query.refetch(),
  }
}

/** The foot of a long list: how much is shown, and the button for the next page. */
export function PageEnd(props: { of: PagedAnswer<unknown> }): ReactNode {
  const { items, total, more, loadingMore, error, keptFromMs, retry } = props.of
  if (items.length === 0) return null
  const shown = formatCount(items.length)
  return (
    <>
      {error !== null && <Problem error={error} keptFromMs={keptFromMs} onRetry={retry} />}
      <div className="cy-row cy-quiet cy-small cy-page-end">
        <span>
          {total === undefined ? t('pager.shown', { shown }) : t('pager.shownOf', { shown, total: formatCount(total) })}
        </span>
        {more !== undefined && (
          <Button size="compact-sm" variant="default" loading={loadingMore} onClick={more}>
            {t('pager.more')}
          </Button>
        )}
      </div>
    </>
  )
}

/**
 * Holds back rows that came on top while the person reads further down: `fresh` counts them, `show` lets them in.
 * At the top of the page, with no row in focus, they come in by themselves.
 */
export function useHeldRows<Item>(
  items: Item[],
  idOf: (item: Item) => string,
  question: string,
): { rows: Item[]; fresh: number; show: () => void } {
  const [top, setTop] = useState<{ question: string; id: string } | undefined>(undefined)
  const newest = items[0] === undefined ? undefined : idOf(items[0])
  useEffect(() => {
    if (newest === undefined) return
    const reading = window.scrollY > 120 || document.activeElement?.closest('[data-row]') !== null
    if (top === undefined || top.question !== question || !reading) setTop({ question, id: newest })
  }, [newest, question, top])
  const at = top === undefined || top.question !== question ? 0 : items.findIndex((item) => idOf(item) === top.id)
  const fresh = Math.max(at, 0)
  return {
    rows: items.slice(fresh),
    fresh,
    show: () => {
      if (newest !== undefined) setTop({ question, id: newest })
    },
  }
}
