import type { Handlers } from '../../foundation/http.ts'
import type { RouteParts } from '../routes.ts'
import type { auditingRoutes } from './contract.ts'

export function auditingHandlers(_parts: RouteParts): Handlers<typeof auditingRoutes> {
  return {}
}
