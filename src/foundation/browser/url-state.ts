/** State that lives in the address bar, so that a link shows the same thing to somebody else. */
import { useCallback } from 'react'
import { useLocation, useSearch } from 'wouter'

/** Sets, changes and removes (undefined or empty) query parameters; the others stay, in their order. */
export function withQuery(search: string, changes: Record<string, string | undefined>): string {
  const query = new URLSearchParams(search)
  for (const [name, value] of Object.entries(changes)) {
    if (value === undefined || value === '') query.delete(name)
    else query.set(name, value)
  }
  // Commas and colons are legal in a query and people read these links.
  return query.toString().replaceAll('%2C', ',').replaceAll('%3A', ':')
}

export interface QueryState {
  get: (name: string) => string
  /** Replaces the current entry of the history: a filter is not a place to go back to. */
  set: (changes: Record<string, string | undefined>) => void
}

export function useQueryState(): QueryState {
  const search = useSearch()
  const [path, navigate] = useLocation()
  const get = useCallback((name: string) => new URLSearchParams(search).get(name) ?? '', [search])
  const set = useCallback(
    (changes: Record<string, string | undefined>) => {
      const next = withQuery(window.location.search, changes)
      navigate(next === '' ? path : `${path}?${next}`, { replace: true })
    },
    [navigate, path],
  )
  return { get, set }
}
