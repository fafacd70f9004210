import type { Handlers } from '../../foundation/http.ts'
import type { RouteParts } from '../routes.ts'
import type { groupRoutes } from './contract.ts'

export function groupHandlers(_parts: RouteParts): Handlers<typeof groupRoutes> {
  return {}
}
