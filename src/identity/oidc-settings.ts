/** How the OIDC library is set up: its flows, lifetimes, cookies, storage and signatures. */
import { errors, ExternalSigningKey, interactionPolicy, Provider, type Context, type RefreshToken } from 'oidc-provider'
import { actions } from '../foundation/contract.ts'
import { oidcDatabase } from './adapters/oidc-database.ts'
import { oidcCookieName } from './cookie-names.ts'
import { personOnlyActions, rightsOf } from './decide.ts'
import type { Room } from './room.ts'
import type { Signer } from './signer.ts'
import { activeSubject, subjectOf, type IdentitySnapshot } from './snapshot.ts'
import { sourceOfDevice, useDevice } from './tokens/devices.ts'

/** What an application may ask for: `api` is everything its person may do, otherwise single actions. */
export const grantableScopes: readonly string[] = ['api', ...actions.filter((action) => !personOnlyActions.has(action))]

export const commandLineClient = 'cli'
export const commandLineName = 'Cygnet command line'
const ownScopes: readonly string[] = ['openid', 'offline_access']
const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

const accessTokenSeconds = 3600
const deviceCodeSeconds = 600
const refreshSlidingSeconds = 30 * 86_400
const refreshAbsoluteSeconds = 400 * 86_400

export interface ProviderParts {
  room: Room
  signer: Signer
  snapshot: () => IdentitySnapshot
  cookieKey: Uint8Array
}

/** Only the flows we use; everything else the library could do is off. */
export function createProvider({ room, signer, snapshot, cookieKey }: ProviderParts): Provider {
  const { publicUrl } = room
  const secure = publicUrl.startsWith('https:')
  // It signs with the key of this moment; when another one signs, a new provider is made (oidc.ts).
  const { kid } = signer
  const created = new Provider(signer.issuer, {
    adapter: oidcDatabase(room),
    jwks: { keys: [new SignerKey(signer, kid)] },
    clients: [
      {
        client_id: commandLineClient,
        client_name: commandLineName,
        application_type: 'native',
        token_endpoint_auth_method: 'none',
        grant_types: ['authorization_code', 'refresh_token', deviceGrant],
        response_types: ['code'],
        // Loopback addresses of native applications match on any port (RFC 8252).
        redirect_uris: ['http://127.0.0.1/callback'],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    clientDefaults: { id_token_signed_response_alg: 'ES256' },
    enabledJWA: { idTokenSigningAlgValues: ['ES256'] },
    responseTypes: ['code'],
    scopes: [...ownScopes],
    pkce: { required: () => true },
    cookies: {
      keys: [Buffer.from(cookieKey).toString('base64url')],
      names: {
        session: oidcCookieName(publicUrl, 'session'),
        interaction: oidcCookieName(publicUrl, 'interaction'),
        resume: oidcCookieName(publicUrl, 'resume'),
      },
      long: { httpOnly: true, sameSite: 'lax', secure, signed: true },
      short: { httpOnly: true, sameSite: 'lax', secure, signed: true, path: '/' },
    },
    features: {
      devInteractions: { enabled: false },
      userinfo: { enabled: false },
      rpInitiatedLogout: { enabled: false },
      revocation: {
        enabled: true,
        allowedPolicy: (_context: Context, client: { clientId: string }, token: { clientId: string }) =>
          client.clientId === token.clientId,
      },
      deviceFlow: {
        enabled: true,
        charset: 'base-20',
        mask: '****-****',
        deviceInfo: (context: Context) => ({ address: context.req.headers['x-forwarded-for'] }),
      },
      externalSigningSupport: { enabled: true, ack: 'experimental-01' },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => publicUrl,
        useGrantedResource: () => true,
        getResourceServerInfo: (context: Context, resource: string) =>
          resourceServer(context, resource, publicUrl, kid),
      },
    },
    // No key of the database is ever looked up for a person: the published state says who is active.
    findAccount: (context: Context, id: string, token?: { scope?: string; consumed?: unknown }) => {
      const person = activeSubject(snapshot(), id)
      if (person?.kind !== 'person') return undefined
      // One that was spent before is for the provider, which then takes everything back.
      if (context.oidc.params.grant_type === 'refresh_token' && token?.consumed === undefined)
        refuseLostScope(context, token?.scope, person)
      return { accountId: id, claims: () => ({ sub: id }) }
    },
    extraTokenClaims: async (context: Context, token: GrantedToken) => {
      const { accountId: personId = '', grantId = '', clientId, scope } = token
      // Asked for something, got nothing: not a token that can do nothing.
      if (scope === undefined || scope === '') throw new errors.InvalidScope!('nothing of what was asked can be given')
      const address = String(context.req.headers['x-forwarded-for'] ?? 'unknown')
      const device = await useDevice(room, { grantId, personId, clientId, scope, address })
      if (device === undefined) throw new errors.InvalidGrant('signed out')
      return {
        epoch: activeSubject(snapshot(), personId)?.epoch ?? -1,
        'wlcg.ver': '1.0',
        cygnet: { kind: 'person', source: sourceOfDevice(device.id) },
      }
    },
    issueRefreshToken: () => true,
    rotateRefreshToken: true,
    expiresWithSession: () => false,
    revokeGrantPolicy: () => true,
    interactions: {
      policy: askEveryTime(),
      url: (_context: Context, { uid }: { uid: string }) => `/sign-in?interaction=${uid}`,
    },
    loadExistingGrant: async (context: Context) => {
      const grantId = context.oidc.result?.consent?.grantId
      return grantId === undefined ? undefined : await created.Grant.find(grantId)
    },
    renderError: (context: Context, out: { error: string; error_description?: string }) => {
      context.type = 'text/plain; charset=utf-8'
      context.body = `${out.error}\n${out.error_description ?? ''}\n`
    },
    ttl: {
      AccessToken: accessTokenSeconds,
      IdToken: accessTokenSeconds,
      AuthorizationCode: 60,
      DeviceCode: deviceCodeSeconds,
      Interaction: 600,
      Session: 600,
      Grant: refreshAbsoluteSeconds,
      RefreshToken: (_context: Context, token: RefreshToken) =>
        Math.max(1, Math.min(refreshSlidingSeconds, refreshAbsoluteSeconds - token.totalLifetime())),
    },
  })
  created.proxy = true
  created.on('server_error', ((_context: unknown, error: Error) => {
    room.log.error({ error }, 'the OIDC provider failed')
  }) as (...parameters: never[]) => void)
  created.use(async (context, next) => {
    await next()
    if (context.oidc?.route === 'device_authorization' && context.status === 200) showOurDevicePage(context, publicUrl)
  })
  return created
}

interface GrantedToken {
  accountId?: string
  grantId?: string
  clientId: string
  scope?: string
}

function resourceServer({ oidc }: Context, resource: string, publicUrl: string, kid: string) {
  if (resource !== publicUrl) throw new errors.InvalidTarget!()
  const asked = typeof oidc.params.scope === 'string' ? oidc.params.scope.split(' ') : []
  const unknown = asked.find((name) => !grantableScopes.includes(name) && !ownScopes.includes(name))
  if (unknown !== undefined) throw new errors.InvalidScope!(`there is no scope '${unknown.slice(0, 100)}'`)
  return {
    scope: grantableScopes.join(' '),
    audience: publicUrl,
    accessTokenFormat: 'jwt',
    accessTokenTTL: accessTokenSeconds,
    jwt: { sign: { alg: 'ES256', kid } },
  }
}

/** Asked before the refresh token is spent: rights that the person has lost are not renewed. */
function refuseLostScope(context: Context, granted: string | undefined, person: Parameters<typeof subjectOf>[0]): void {
  const asked = typeof context.oidc.params.scope === 'string' ? context.oidc.params.scope : granted
  const named = (asked ?? '').split(' ').filter((name) => name !== '' && !ownScopes.includes(name))
  if (named.length === 0 || named.includes('api')) return
  const subject = subjectOf(person)
  const held = new Set<string>(subject.roles.flatMap(({ experiment }) => rightsOf(subject, experiment)))
  const lost = named.filter((name) => !held.has(name))
  // Said explicitly, each must be there; otherwise the token is of what is left, if anything is.
  if (lost.length > 0 && (context.oidc.params.scope !== undefined || lost.length === named.length))
    throw new errors.InvalidScope!(`no longer yours: ${lost.join(' ')}`)
}

function showOurDevicePage(context: Context, publicUrl: string): void {
  const body = context.body as { user_code: string }
  const page = `${publicUrl}/device`
  const complete = `${page}?user_code=${encodeURIComponent(body.user_code)}`
  context.body = { ...body, verification_uri: page, verification_uri_complete: complete, interval: 5 }
}

/** The provider signs through the one signer and never sees the private key. */
class SignerKey extends ExternalSigningKey {
  readonly #signer: Signer

  constructor(signer: Signer, kid: string) {
    super()
    this.#signer = signer
    this.kid = kid
    this.alg = 'ES256'
  }

  override keyObject() {
    return this.#signer.publicKey(this.kid)
  }

  override sign(data: Uint8Array): Uint8Array {
    return this.#signer.sign(data)
  }
}

/** Each authorization asks our session again: being signed in at the provider alone never is enough. */
function askEveryTime() {
  const { base, Check } = interactionPolicy
  const policy = base()
  policy
    .get('login')
    .checks.add(
      new Check('fresh', 'the person must be asked', (context) =>
        context.oidc.result?.login === undefined ? Check.REQUEST_PROMPT : Check.NO_NEED_TO_PROMPT,
      ),
    )
  return policy
}
