/**
 * Whose share a request of the API takes from. Control says in its answers who a credential belongs to; until it has,
 * and for everybody without one, it is the address. A credential that somebody only claims to have counts for nothing.
 */
import { createHash } from 'node:crypto'
import type { IncomingHttpHeaders, IncomingMessage } from 'node:http'
import { clientAddressOf } from '../../foundation/http-guard.ts'

/** Set by control on answers to whoever it recognised; never passed on to the outside. */
export const principalHeader = 'x-cygnet-principal'

export interface Principals {
  of(request: IncomingMessage): string
  /** Takes note of control's answer; `true` if it recognised who asked. */
  learn(request: IncomingMessage, answer: IncomingHttpHeaders): boolean
}

const keptCredentials = 10_000
const keptForMs = 10 * 60_000

export function createPrincipals(sessionCookie: string): Principals {
  const known = new Map<string, { principal: string; atMs: number }>()

  function credentialOf({ headers }: IncomingMessage): string | undefined {
    const given =
      headers.authorization ??
      (headers.cookie ?? '')
        .split(';')
        .map((part) => part.trim())
        .find((part) => part.startsWith(`${sessionCookie}=`))
    return given === undefined ? undefined : createHash('sha256').update(given).digest('base64')
  }

  return {
    of(request) {
      const credential = credentialOf(request)
      const found = credential === undefined ? undefined : known.get(credential)
      if (found !== undefined && performance.now() - found.atMs < keptForMs) return found.principal
      return `address ${clientAddressOf(request)}`
    },
    learn(request, answer) {
      const principal = answer[principalHeader]
      const credential = credentialOf(request)
      if (typeof principal !== 'string' || credential === undefined) return false
      known.delete(credential)
      known.set(credential, { principal, atMs: performance.now() })
      if (known.size > keptCredentials) known.delete(known.keys().next().value!)
      return true
    },
  }
}
