import type { Handlers } from '../../foundation/http.ts'
import type { RouteParts } from '../routes.ts'
import type { factorRoutes } from './contract.ts'

export function factorHandlers(_parts: RouteParts): Handlers<typeof factorRoutes> {
  return {}
}
