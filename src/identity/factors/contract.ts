/** Passkeys, passwords, codes: how a person proves who he is here: what it says over HTTP. Joined into the room's contract. */
import type { Routes } from '../../foundation/contract.ts'

export const factorRoutes = {} as const satisfies Routes
