/** The chain of the audit: what it says over HTTP. Joined into the room's contract. */
import type { Routes } from '../../foundation/contract.ts'

export const auditingRoutes = {} as const satisfies Routes
