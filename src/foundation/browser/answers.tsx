/** Asking the API from a page: one typed client per contract, one way to show waiting, trouble and old content. */
import { useQuery } from '@tanstack/react-query'
import type { UseQueryResult } from '@tanstack/react-query'
import { createContext, use, useEffect } from 'react'
import type { ReactNode } from 'react'
import { createClient } from '../client.ts'
import type { Client } from '../client.ts'
import type { Contract } from '../contract.ts'
import { Problem } from './problem.tsx'
import { Waiting } from './parts.tsx'
import { liftingFetch } from './refusals.ts'
import { useLive } from './live.ts'

const clients = new Map<unknown, unknown>()

/** The typed client of a room's contract, same origin, with the person's cookie. */
export function apiOf<AnyContract extends Contract>(contract: AnyContract): Client<AnyContract> {
  let client = clients.get(contract)
  if (client === undefined) {
    client = createClient(contract, { baseUrl: '', fetch: liftingFetch })
    clients.set(contract, client)
  }
  return client as Client<AnyContract>
}

/**
 * A question to the API that stays fresh: facts of the platform make it stale, and while the live stream is down it is
 * asked again every 10 s. The first part of the key is the room's name.
 */
export function useAnswer<Answer>(
  key: readonly unknown[],
  ask: (signal: AbortSignal) => Promise<Answer>,
  options: { enabled?: boolean; everyMs?: number; keepPrevious?: boolean } = {},
): UseQueryResult<Answer> {
  const live = useLive()
  return useQuery({
    queryKey: key,
    queryFn: ({ signal }) => ask(signal),
    enabled: options.enabled ?? true,
    refetchInterval: options.everyMs ?? (live.state === 'live' ? false : 10_000),
    ...(options.keepPrevious === true ? { placeholderData: (previous: Answer | undefined) => previous as never } : {}),
  })
}

/** Shows a question: waiting words, then content; an error keeps the last good content and says its age. */
export function Answer<Data>(props: {
  to: UseQueryResult<Data>
  waiting?: ReactNode
  children: (data: Data) => ReactNode
}): ReactNode {
  const { data, error, dataUpdatedAt, refetch } = props.to
  if (data !== undefined) {
    return (
      <>
        {error !== null && <Problem error={error} keptFromMs={dataUpdatedAt} onRetry={() => void refetch()} />}
        {props.children(data)}
      </>
    )
  }
  if (error !== null) return <Problem error={error} onRetry={() => void refetch()} />
  return props.waiting ?? <Waiting />
}

export const FrameContext = createContext<{ setTitle: (title: string) => void }>({ setTitle: () => {} })

/** The words in the browser's tab; also told to screen readers when the page changes. */
export function useTitle(title: string): void {
  const { setTitle } = use(FrameContext)
  useEffect(() => setTitle(title), [title, setTitle])
}
