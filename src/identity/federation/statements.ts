/**
 * Signed statements of institutes: ID tokens and logout tokens. The only code that looks inside one. Like access tokens
 * (`access-token.ts`) each has one spelling, an asymmetric signature by a key that its issuer publishes, and is for us.
 */
import { compactVerify } from 'jose'
import { z } from 'zod'
import { identityFaults } from '../errors.ts'
import { acceptedAlgorithms } from './discovery.ts'
import type { UpstreamKeys } from './upstream-keys.ts'

const longestTokenBytes = 32 * 1024
export const skewSeconds = 60
/** A logout token older than this is not about now. */
const longestLogoutSeconds = 10 * 60

const seconds = z.number().min(0).max(100_000_000_000)
const shortText = z.string().min(1).max(255)
const headerSchema = z.object({
  alg: z.enum(acceptedAlgorithms),
  typ: z.string().max(50).optional(),
  kid: z.string().min(1).max(255).optional(),
  crit: z.never().optional(),
  b64: z.never().optional(),
})

const commonClaims = {
  iss: z.string(),
  aud: z.union([z.string(), z.array(z.string()).min(1).max(20)]),
  iat: seconds,
  exp: seconds,
}
const idTokenSchema = z.looseObject({
  ...commonClaims,
  // OpenID Connect Core 2: at most 255 ASCII characters, case sensitive.
  sub: z.string().regex(/^[\x21-\x7e]([\x20-\x7e]{0,253}[\x21-\x7e])?$/),
  nonce: z.string().optional(),
  azp: z.string().optional(),
  auth_time: seconds.optional(),
  sid: shortText.optional().catch(undefined),
})
export type IdToken = z.infer<typeof idTokenSchema>

const logoutEvent = 'http://schemas.openid.net/event/backchannel-logout'
const logoutTokenSchema = z
  .looseObject({
    ...commonClaims,
    jti: shortText,
    sub: shortText.optional(),
    sid: shortText.optional(),
    events: z.looseObject({ [logoutEvent]: z.looseObject({}) }),
    nonce: z.never().optional(),
  })
  .refine(({ sub, sid }) => sub !== undefined || sid !== undefined)
export type LogoutToken = z.infer<typeof logoutTokenSchema>

/** Who is asked to believe it. */
export interface Expected {
  issuer: string
  clientId: string
  jwksUri: string
  nowMs: number
}

/** @throws Fault identity.institute_refused */
export async function verifyIdToken(
  token: string,
  /** No nonce: the answer to a refresh, which has none of its own. */
  expected: Expected & { nonce: string | undefined; notBeforeMs?: number },
  keys: UpstreamKeys,
): Promise<IdToken> {
  const { header, payload } = await verifySignature(token, expected, keys)
  if (header.typ !== undefined && !/^(JWT|id_token)$/i.test(header.typ)) throw refuse('it is not an ID token')
  const claims = idTokenSchema.safeParse(payload)
  if (!claims.success) throw refuse(`claims: ${claims.error.issues[0]!.path.join('.')}`)
  const { nonce, auth_time: authTime } = claims.data
  checkCommon(claims.data, expected)
  const audiences = [claims.data.aud].flat()
  if (claims.data.azp !== undefined ? claims.data.azp !== expected.clientId : audiences.length > 1)
    throw refuse('it was made for another application (azp)')
  if (expected.nonce !== undefined && nonce !== expected.nonce) throw refuse('nonce')
  const { notBeforeMs } = expected
  if (notBeforeMs !== undefined && authTime !== undefined && (authTime + skewSeconds) * 1000 < notBeforeMs)
    throw refuse('the sign-in there is not a new one (auth_time)')
  return claims.data
}

/** OpenID Connect Back-Channel Logout 1.0, section 2.6; that `jti` is new is for the caller to see. */
export async function verifyLogoutToken(token: string, expected: Expected, keys: UpstreamKeys): Promise<LogoutToken> {
  const { header, payload } = await verifySignature(token, expected, keys)
  // Issuers from before the recommendation write JWT; an access token is refused by its events.
  if (header.typ !== undefined && !/^(logout\+jwt|JWT)$/i.test(header.typ)) throw refuse('it is not a logout token')
  const claims = logoutTokenSchema.safeParse(payload)
  if (!claims.success) throw refuse(`claims: ${claims.error.issues[0]!.path.join('.')}`)
  checkCommon(claims.data, expected)
  if (claims.data.iat < expected.nowMs / 1000 - longestLogoutSeconds) throw refuse('too old')
  return claims.data
}

/** Whose statement it claims to be: for finding the issuer before anything is believed. */
export function claimedIssuer(token: string): string | undefined {
  const [, payload] = token.length > longestTokenBytes ? [] : token.split('.')
  const { iss } = (parse(payload ?? '') ?? {}) as { iss?: unknown }
  return typeof iss === 'string' ? iss : undefined
}

async function verifySignature(
  token: string,
  { issuer, jwksUri }: Expected,
  keys: UpstreamKeys,
): Promise<{ header: z.infer<typeof headerSchema>; payload: unknown }> {
  if (token.length > longestTokenBytes) throw refuse('too long')
  const parts = token.split('.')
  if (parts.length !== 3 || !parts.every(isCanonical)) throw refuse('not three canonical base64url parts')
  const header = headerSchema.safeParse(parse(parts[0]!))
  if (!header.success) throw refuse(`header: ${header.error.issues[0]!.path.join('.')}`)
  const { alg, kid } = header.data
  const key = await keys.find(issuer, jwksUri, { kid, alg })
  if (key === undefined) throw refuse('it is signed by a key that the institute does not publish')
  await compactVerify(token, key, { algorithms: [alg] }).catch((cause: unknown) => {
    throw refuse('bad signature', cause)
  })
  return { header: header.data, payload: parse(parts[1]!) }
}

function checkCommon(claims: Pick<IdToken, 'iss' | 'aud' | 'iat' | 'exp'>, expected: Expected): void {
  const now = expected.nowMs / 1000
  if (claims.iss !== expected.issuer) throw refuse('another issuer (iss)')
  if (![claims.aud].flat().includes(expected.clientId)) throw refuse('made for somebody else (aud)')
  if (claims.exp <= now - skewSeconds) throw refuse('expired')
  if (claims.iat > now + skewSeconds) throw refuse('not yet valid; are the clocks right?')
}

function isCanonical(part: string): boolean {
  return part !== '' && Buffer.from(part, 'base64url').toString('base64url') === part
}

function parse(part: string): unknown {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(Buffer.from(part, 'base64url'))
    return JSON.parse(text, (name, value: unknown) => {
      if (name === '__proto__') throw new Error('refused')
      return value
    })
  } catch {
    return undefined
  }
}

/** One sentence for the person, with the reason in the cause for the log. */
export function refuse(reason: string, cause?: unknown): Error {
  return identityFaults.instituteRefused('The answer of the institute was not accepted.', {
    cause: new Error(`refused: ${reason}`, { cause }),
    hint: 'Start again on the sign-in page. If it happens twice, tell the person who runs this platform.',
  })
}
