import type { Handlers } from '../../foundation/http.ts'
import type { RouteParts } from '../routes.ts'
import type { tokenRoutes } from './contract.ts'

export function tokenHandlers(_parts: RouteParts): Handlers<typeof tokenRoutes> {
  return {}
}
