/** Talking to an issuer as its client: its description, sign-in, refresh, claims. One description per issuer for ten minutes. */
import type { Configuration, ServerMetadata, TokenEndpointResponse } from 'openid-client'
import { monotonicMsOf } from '../../foundation/time.ts'
import { Fault } from '../../foundation/errors.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityTables } from '../tables.ts'
import { callbackPath } from './contract.ts'
import { discover, type Metadata } from './discovery.ts'
import { refuse, skewSeconds, verifyIdToken, type Expected, type IdToken } from './statements.ts'
import { upstreamFetch } from './upstream-fetch.ts'
import { openUpstreamKeys, type UpstreamKeys } from './upstream-keys.ts'

export type IssuerRow = IdentityTables['identity_issuer']
/** One at which people sign in. */
export type LoginIssuer = IssuerRow & { client_id: string }

const freshMs = 10 * 60_000

/** What an institute said about somebody, everything verified. */
export interface Arrival {
  idToken: string
  claims: IdToken
  /** Of the user info address; `sub` is the same. */
  userInfo: Record<string, unknown>
  refreshToken: string | undefined
}

/** The secrets of one visit: only we and the issuer's token address ever see the verifier. */
export interface Visit {
  state: string
  nonce: string
  verifier: string
}

export interface Upstream {
  readonly keys: UpstreamKeys
  /** @throws Fault identity.institute_unreachable, identity.institute_refused if it is not what it was */
  metadataOf(issuer: IssuerRow): Promise<Metadata>
  expectedOf(issuer: LoginIssuer): Promise<Expected>
  /** Where the browser goes. */
  beginVisit(issuer: LoginIssuer, options: { again: boolean }): Promise<{ visit: Visit; location: string }>
  /**
   * Redeems the answer in `callback`. `beganAtMs`: the sign-in there must be newer, if it says when it was.
   * @throws Fault identity.institute_said_no, institute_refused, institute_unreachable
   */
  endVisit(issuer: LoginIssuer, visit: Visit, callback: URL, beganAtMs?: number): Promise<Arrival>
  /**
   * Asks again without the person. `onToken` is awaited with a new refresh token before anything else can fail.
   * @throws Fault identity.institute_said_no: the right to ask is gone; institute_unreachable: try later
   */
  refresh(
    issuer: LoginIssuer,
    refreshToken: string,
    expected: { subject: string; onToken: (refreshToken: string) => Promise<void> },
  ): Promise<{ claims: Record<string, unknown>; userInfo: Record<string, unknown> }>
  /** Where the session at the issuer ends; undefined if it offers no such thing. */
  logoutAddress(issuer: LoginIssuer, idToken: string): Promise<string | undefined>
  forget(issuer: string): void
}

/** `stop` ends whatever is asked at that moment. */
export function openUpstream(room: Room, stop: AbortSignal): Upstream {
  const { clock, publicUrl } = room
  const keys = openUpstreamKeys(clock, stop)
  const described = new Map<string, { metadata: Metadata; atMs: number }>()

  async function metadataOf(row: IssuerRow): Promise<Metadata> {
    const kept = described.get(row.issuer)
    if (kept !== undefined && monotonicMsOf(clock) - kept.atMs < freshMs) return kept.metadata
    const { metadata, findings } = await discover(row.issuer, {
      scopes: row.scopes,
      login: row.client_id !== null,
      signal: stop,
    })
    const wrong = findings.find(({ level }) => level === 'bad')
    if (metadata === undefined) throw refuse(`its description: ${wrong?.text ?? 'not usable'}`)
    described.set(row.issuer, { metadata, atMs: monotonicMsOf(clock) })
    return metadata
  }

  // Heavy, and most installations never need it.
  const library = async () => await import('openid-client')

  async function configurationOf(row: LoginIssuer): Promise<Configuration> {
    const oidc = await library()
    const metadata = await metadataOf(row)
    const secret = row.sealed_secret === null ? undefined : room.seal.open(row.sealed_secret, `issuer.${row.id}`)
    const methods = metadata.token_endpoint_auth_methods_supported ?? ['client_secret_basic']
    const proof =
      secret === undefined
        ? oidc.None()
        : // Some institutes read the header without undoing the encoding that RFC 6749 2.3.1 asks for.
          methods.includes('client_secret_post')
          ? oidc.ClientSecretPost(secret)
          : oidc.ClientSecretBasic(secret)
    const client = {
      [oidc.clockTolerance]: skewSeconds,
      // The library reads the machine's clock; ours is protected against being put back.
      [oidc.clockSkew]: Math.round((clock.nowMs() - Date.now()) / 1000),
    }
    const configuration = new oidc.Configuration(metadata as ServerMetadata, row.client_id, client, proof)
    configuration[oidc.customFetch] = (url, { body, signal, ...options }) => {
      // A token that is being exchanged is dead there: only its answer holds the next one.
      const isExchange = options.method === 'POST'
      const signals = [...(isExchange ? [] : [stop]), ...(signal === undefined ? [] : [signal])]
      const asked = { ...options, body: body as RequestInit['body'], signal: AbortSignal.any(signals) }
      return upstreamFetch(url, asked as RequestInit)
    }
    if (metadata.issuer.startsWith('http:')) oidc.allowInsecureRequests(configuration)
    return configuration
  }

  async function expectedOf(row: LoginIssuer): Promise<Expected> {
    const { jwks_uri: jwksUri } = await metadataOf(row)
    return { issuer: row.issuer, clientId: row.client_id, jwksUri, nowMs: clock.nowMs() }
  }

  async function userInfoOf(configuration: Configuration, tokens: TokenEndpointResponse, subject: string) {
    if (configuration.serverMetadata().userinfo_endpoint === undefined) return {}
    const { fetchUserInfo } = await library()
    return { ...(await fetchUserInfo(configuration, tokens.access_token, subject).catch(asFault)) }
  }

  return {
    keys,
    metadataOf,
    expectedOf,

    async beginVisit(row, { again }) {
      const oidc = await library()
      const configuration = await configurationOf(row)
      const visit = {
        state: oidc.randomState(),
        nonce: oidc.randomNonce(),
        verifier: oidc.randomPKCECodeVerifier(),
      }
      const location = oidc.buildAuthorizationUrl(configuration, {
        redirect_uri: `${publicUrl}${callbackPath}`,
        scope: row.scopes,
        state: visit.state,
        nonce: visit.nonce,
        code_challenge: await oidc.calculatePKCECodeChallenge(visit.verifier),
        code_challenge_method: 'S256',
        ...(again && { prompt: 'login' }),
      })
      return { visit, location: location.href }
    },

    async endVisit(row, visit, callback, beganAtMs) {
      const oidc = await library()
      const configuration = await configurationOf(row)
      const tokens = await oidc
        .authorizationCodeGrant(configuration, callback, {
          expectedState: visit.state,
          expectedNonce: visit.nonce,
          pkceCodeVerifier: visit.verifier,
          idTokenExpected: true,
        })
        .catch(asFault)
      const expected = {
        ...(await expectedOf(row)),
        nonce: visit.nonce,
        ...(beganAtMs !== undefined && { notBeforeMs: beganAtMs }),
      }
      const claims = await verifyIdToken(tokens.id_token ?? '', expected, keys)
      return {
        idToken: tokens.id_token!,
        claims,
        userInfo: await userInfoOf(configuration, tokens, claims.sub),
        refreshToken: tokens.refresh_token,
      }
    },

    async refresh(row, refreshToken, { subject, onToken }) {
      const oidc = await library()
      const configuration = await configurationOf(row)
      const tokens = await oidc
        .refreshTokenGrant(configuration, refreshToken)
        .catch((error: unknown) => asFault(error, refusalsOfRefresh))
      if (tokens.refresh_token !== undefined && tokens.refresh_token !== refreshToken)
        await onToken(tokens.refresh_token)
      const claims =
        tokens.id_token === undefined
          ? undefined
          : await verifyIdToken(tokens.id_token, { ...(await expectedOf(row)), nonce: undefined }, keys)
      if (claims !== undefined && claims.sub !== subject) throw refuse('it now speaks of somebody else (sub)')
      return { claims: claims ?? {}, userInfo: await userInfoOf(configuration, tokens, subject) }
    },

    async logoutAddress(row, idToken) {
      const oidc = await library()
      const configuration = await configurationOf(row)
      if (configuration.serverMetadata().end_session_endpoint === undefined) return undefined
      const parameters = { id_token_hint: idToken, post_logout_redirect_uri: `${publicUrl}/sign-in` }
      return oidc.buildEndSessionUrl(configuration, parameters).href
    },

    forget(issuer) {
      described.delete(issuer)
      keys.forget(issuer)
    },
  }
}

/**
 * How an issuer says that it answers no more for somebody. Our request is always the same: some (Authlib's) call it invalid
 * when the account behind it is closed.
 */
const refusalsOfRefresh = [
  'invalid_grant',
  'invalid_request',
  'access_denied',
  'login_required',
  'interaction_required',
  'consent_required',
]

/** What the library throws, in our words: the issuer said no, could not be asked, or sent something that is not right. */
function asFault(error: unknown, refusals: readonly string[] = ['invalid_grant']): never {
  for (let inner: unknown = error; inner instanceof Error; inner = inner.cause) if (inner instanceof Fault) throw inner
  const { code, error: said } = error as { code?: unknown; error?: unknown }
  const word = typeof said === 'string' && /^[\w.-]{1,60}$/.test(said) ? said : undefined
  if (
    code === 'OAUTH_AUTHORIZATION_RESPONSE_ERROR' ||
    (code === 'OAUTH_RESPONSE_BODY_ERROR' && refusals.includes(word ?? ''))
  ) {
    throw identityFaults.instituteSaidNo(
      word === 'access_denied' || word === undefined
        ? 'The institute did not sign you in.'
        : `The institute said: ${word}.`,
      { cause: error, hint: 'Try again, or ask the help desk of the institute.' },
    )
  }
  if (
    code === 'OAUTH_RESPONSE_BODY_ERROR' ||
    code === 'OAUTH_WWW_AUTHENTICATE_CHALLENGE' ||
    code === 'OAUTH_RESPONSE_IS_NOT_CONFORM' ||
    code === 'OAUTH_RESPONSE_IS_NOT_JSON'
  ) {
    throw identityFaults.instituteUnreachable(
      word === undefined ? 'The institute could not answer.' : `The institute does not accept this platform: ${word}.`,
      { cause: error, hint: 'Tell the person who runs this platform; the client there may have changed.', retry: true },
    )
  }
  throw refuse(error instanceof Error ? `${String(code ?? '')} ${error.message}` : 'unknown', error)
}
