/** For whom passkeys are: exactly the platform's own host, never a domain above it that people's own code shares. */
import { isIP } from 'node:net'
import { identityFaults } from '../errors.ts'

export interface RelyingParty {
  /** Host name of the platform (WebAuthn Level 3, 5.1.2). */
  id: string
  name: string
  /** What the browser must say where it was: scheme, host and port. */
  origin: string
}

/** `undefined` where browsers refuse passkeys: at a bare address, or without TLS on a name that is not this machine's. */
export function relyingPartyOf(publicUrl: string): RelyingParty | undefined {
  const { protocol, hostname, origin } = new URL(publicUrl)
  if (isIP(hostname.replace(/^\[|\]$/g, '')) !== 0) return undefined
  if (protocol !== 'https:' && hostname !== 'localhost' && !hostname.endsWith('.localhost')) return undefined
  return { id: hostname, name: 'Cygnet', origin }
}

/** @throws Fault identity.passkeys_unavailable */
export function requireRelyingParty(publicUrl: string): RelyingParty {
  const party = relyingPartyOf(publicUrl)
  if (party !== undefined) return party
  throw identityFaults.passkeysUnavailable(`Browsers know no passkeys for ${new URL(publicUrl).host}.`, {
    hint: 'They need a host name: set http.publicUrl to https://NAME, or on this machine alone to http://localhost:PORT.',
  })
}
