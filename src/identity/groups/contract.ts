/** Group tree, memberships and policies: what it says over HTTP. Joined into the room's contract. */
import type { Routes } from '../../foundation/contract.ts'

export const groupRoutes = {} as const satisfies Routes
