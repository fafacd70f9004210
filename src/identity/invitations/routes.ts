import type { Handlers } from '../../foundation/http.ts'
import type { RouteParts } from '../routes.ts'
import type { invitationRoutes } from './contract.ts'

export function invitationHandlers(_parts: RouteParts): Handlers<typeof invitationRoutes> {
  return {}
}
