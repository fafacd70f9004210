import type { Handlers } from '../../foundation/http.ts'
import type { RouteParts } from '../routes.ts'
import type { federationRoutes } from './contract.ts'

export function federationHandlers(_parts: RouteParts): Handlers<typeof federationRoutes> {
  return {}
}
