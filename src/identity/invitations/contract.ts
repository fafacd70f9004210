/** Invitations, accounts from first to last day, requests for experiments, mail: what it says over HTTP. Joined into the room's contract. */
import type { Routes } from '../../foundation/contract.ts'

export const invitationRoutes = {} as const satisfies Routes
