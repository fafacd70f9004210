/** What an issuer says about itself at its well-known address, and what is wrong with it in words. */
import { z } from 'zod'
import type { issuerCheckSchema } from './contract.ts'
import { fetchDocument, isSafeAddress } from './upstream-fetch.ts'

export type Finding = z.infer<typeof issuerCheckSchema>['findings'][number]

/** Asymmetric ones only: a shared secret that signs could be anybody's who verifies. */
export const acceptedAlgorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'EdDSA']

const names = z.array(z.string()).optional().catch(undefined)
const metadataSchema = z.object({
  issuer: z.string(),
  authorization_endpoint: z.string().optional(),
  token_endpoint: z.string().optional(),
  userinfo_endpoint: z.string().optional(),
  jwks_uri: z.string(),
  end_session_endpoint: z.string().optional(),
  scopes_supported: names,
  code_challenge_methods_supported: names,
  id_token_signing_alg_values_supported: names,
  token_endpoint_auth_methods_supported: names,
  authorization_response_iss_parameter_supported: z.boolean().optional().catch(undefined),
  backchannel_logout_supported: z.boolean().optional().catch(undefined),
})
export type Metadata = z.infer<typeof metadataSchema>

const endpoints = [
  'authorization_endpoint',
  'token_endpoint',
  'userinfo_endpoint',
  'jwks_uri',
  'end_session_endpoint',
] as const

/** @throws Fault identity.institute_unreachable; the findings say everything else. */
export async function discover(
  issuer: string,
  { scopes, login, signal }: { scopes: string; login: boolean; signal?: AbortSignal },
): Promise<{ metadata: Metadata | undefined; findings: Finding[] }> {
  const findings: Finding[] = []
  const bad = (text: string, hint?: string) =>
    findings.push({ level: 'bad', text, ...(hint !== undefined && { hint }) })
  const note = (text: string, hint?: string) =>
    findings.push({ level: 'note', text, ...(hint !== undefined && { hint }) })
  const good = (text: string) => findings.push({ level: 'good', text })

  if (!isSafeAddress(issuer, issuer)) {
    bad('The address is not https.', 'Plain http is only for an issuer on this very machine.')
    return { metadata: undefined, findings }
  }
  const address = `${issuer.replace(/\/$/, '')}/.well-known/openid-configuration`
  const parsed = metadataSchema.safeParse(await fetchDocument(address, signal))
  if (!parsed.success) {
    bad(`${address} is not the description of an OpenID provider.`, 'It must name its issuer and its jwks_uri.')
    return { metadata: undefined, findings }
  }
  const metadata = parsed.data
  if (metadata.issuer !== issuer) {
    bad(
      `It calls itself '${metadata.issuer.slice(0, 255)}', not '${issuer}'.`,
      'Enter the name exactly as it is there, the last slash included.',
    )
  } else good('Its name is exactly this address.')
  for (const name of endpoints) {
    if (metadata[name] !== undefined && !isSafeAddress(metadata[name], issuer))
      bad(`Its ${name} is not an https address.`)
  }
  const keys = isSafeAddress(metadata.jwks_uri, issuer) ? await fetchKeyCount(metadata.jwks_uri, signal) : 0
  if (keys > 0) good(`It publishes ${keys === 1 ? 'one key that signs' : `${keys} keys that sign`}.`)
  else bad('It publishes no key that could sign an ID token.', `Look at ${metadata.jwks_uri.slice(0, 255)}.`)
  if (login) findSignIn(metadata, scopes, { good, note, bad })
  return { metadata: findings.some(({ level }) => level === 'bad') ? undefined : metadata, findings }
}

type Say = Record<'good' | 'note' | 'bad', (text: string, hint?: string) => void>

function findSignIn(metadata: Metadata, scopes: string, { good, note, bad }: Say): void {
  const algorithms = metadata.id_token_signing_alg_values_supported
  if (algorithms !== undefined && !algorithms.some((name) => acceptedAlgorithms.includes(name)))
    bad(`It signs ID tokens only with ${algorithms.slice(0, 10).join(', ')}.`, 'RS256 or ES256 is needed.')
  if (metadata.authorization_endpoint === undefined || metadata.token_endpoint === undefined)
    bad('It has no address for signing in (authorization_endpoint, token_endpoint).')
  else good('Signing in by authorization code is possible.')
  if (metadata.code_challenge_methods_supported?.includes('S256') === true) good('It checks PKCE (S256).')
  else note('It does not say that it checks PKCE (S256).', 'Prefer a client with a secret there.')
  if (metadata.authorization_response_iss_parameter_supported !== true)
    note('Its answers do not carry its name (RFC 9207).', 'The ID token is the only proof of who answered.')
  const asked = scopes.split(' ').filter((scope) => scope !== '')
  if (!asked.includes('openid')) bad("The scopes lack 'openid'.", 'Add it: without it there is no ID token.')
  const announced = (scope: string): boolean => metadata.scopes_supported?.includes(scope) !== false
  const unknown = asked.filter((scope) => scope !== 'offline_access' && !announced(scope))
  if (unknown.length > 0)
    note(`It does not announce the scope ${unknown.join(', ')}.`, 'It may still give it; groups may be missing.')
  if (!asked.includes('offline_access') || !announced('offline_access'))
    note(
      'It may give no refresh token for later.',
      'Groups are then only looked at when somebody signs in, and imported roles end a day after that.',
    )
  note(
    metadata.end_session_endpoint === undefined
      ? 'Signing out here cannot sign out there.'
      : 'Whoever signs out here is offered to sign out there.',
  )
  note(
    metadata.backchannel_logout_supported === true
      ? 'Signing out there signs out here, once the logout address is registered.'
      : 'It does not tell us when somebody signs out there.',
  )
}

async function fetchKeyCount(address: string, signal: AbortSignal | undefined): Promise<number> {
  const { keys } = await fetchDocument(address, signal)
  return Array.isArray(keys) ? keys.filter(isSigningKey).length : 0
}

/** A public key for signatures that we accept. */
export function isSigningKey(key: unknown): key is Record<string, unknown> & { kty: string } {
  if (typeof key !== 'object' || key === null) return false
  const { kty, use, d, k } = key as Record<string, unknown>
  return ['RSA', 'EC', 'OKP'].includes(String(kty)) && (use === undefined || use === 'sig') && d === undefined && !k
}
