/** Tokens for everything that is not a person, and STS: what it says over HTTP. Joined into the room's contract. */
import type { Routes } from '../../foundation/contract.ts'

export const tokenRoutes = {} as const satisfies Routes
