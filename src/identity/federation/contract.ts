/** Institute login: issuers, import rules, linked identities: what it says over HTTP. Joined into the room's contract. */
import type { Routes } from '../../foundation/contract.ts'

export const federationRoutes = {} as const satisfies Routes
