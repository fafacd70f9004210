/** A gate whose refusals are audited: what was asked, by whom, and why not. */
import type { FastifyRequest } from 'fastify'
import { Fault } from '../../foundation/errors.ts'
import type { Caller, Gate } from '../../foundation/http.ts'
import type { Origin } from '../audit.ts'
import { addressOf, originOf } from '../gate.ts'
import type { Denials } from './denials.ts'

/** Refusals that are no denial of a right: somebody has only to sign in, or to sign in once more. */
const isDenial = ({ status, code }: Fault): boolean =>
  (status === 403 && code !== 'identity.fresh_proof_needed') || status === 429 || code === 'identity.invalid_token'

export function auditedGate(gate: Gate, denials: Denials): Gate {
  const callers = new WeakMap<FastifyRequest, Caller>()
  const asked = new WeakMap<Fault, { action: string; experiment: string | undefined }>()
  return {
    async authenticate(request) {
      const caller = await gate.authenticate(request)
      callers.set(request, caller)
      return caller
    },
    require(caller, action, experiment, about) {
      try {
        gate.require(caller, action, experiment, about)
      } catch (error) {
        if (error instanceof Fault) asked.set(error, { action, experiment })
        throw error
      }
    },
    ...(gate.still && { still: gate.still }),
    ...(gate.onChange && { onChange: gate.onChange }),
    refused(request, error) {
      gate.refused?.(request, error)
      if (!(error instanceof Fault) || !isDenial(error)) return
      const caller = callers.get(request)
      const origin = caller === undefined ? strangerAt(request) : originOf(caller, request)
      const { action, experiment } = asked.get(error) ?? {}
      // The pattern, not the path: paths may hold codes that somebody has mistyped.
      const target = `${request.method} ${request.routeOptions.url ?? ''}`
      denials.record({ origin, target, experiment, detail: { reason: error.code, ...(action && { action }) } })
    },
  }
}

function strangerAt(request: FastifyRequest): Origin {
  return {
    actor: { id: 'anonymous', kind: 'anonymous', name: 'anonymous' },
    address: addressOf(request),
    requestId: request.id,
  }
}
