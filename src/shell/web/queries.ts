/** How the app remembers answers: kept while a page shows them, asked again when a fact made them stale. */
import { MutationCache, QueryCache, QueryClient } from '@tanstack/react-query'
import { Fault } from '../../foundation/errors.ts'

export const meKey = ['identity', 'me'] as const

export function createQueries(): QueryClient {
  const noticeSignOut = (error: unknown): void => {
    if (error instanceof Fault && error.status === 401) void client.invalidateQueries({ queryKey: meKey })
  }
  const client: QueryClient = new QueryClient({
    queryCache: new QueryCache({
      onError: (error, query) => {
        if (query.queryKey[1] !== 'me') noticeSignOut(error)
      },
    }),
    mutationCache: new MutationCache({ onError: noticeSignOut }),
    defaultOptions: {
      queries: {
        staleTime: 2_000,
        gcTime: 300_000,
        // What the server refused it refuses again; what it could not reach is worth two more tries.
        retry: (failures, error) => failures < 2 && (!(error instanceof Fault) || error.retry),
        retryDelay: (failures) => 500 * 2 ** failures,
        networkMode: 'always',
      },
      mutations: { networkMode: 'always' },
    },
  })
  return client
}
