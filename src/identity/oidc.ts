/**
 * The embedded OpenID provider: authorization code with PKCE, device flow and refresh for the one public client `cli`. It
 * knows no passwords and no pages: who the person is comes from our browser session, the questions are asked by the web app
 * (`/device`, `/sign-in?interaction=…`) through `contract.ts`, and every signature comes from the one signer.
 */
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { DeviceCode } from 'oidc-provider'
import { identityFaults } from './errors.ts'
import {
  commandLineClient,
  commandLineName,
  createProvider,
  grantableScopes,
  type ProviderParts,
} from './oidc-settings.ts'
import { recordDevice } from './tokens/devices.ts'

/** What an application asks for, as the web app shows it. */
export interface AuthorizationRequest {
  clientName: string
  scopes: string[]
  address: string | null
  expiresAtMs: number
}

export interface Oidc {
  /** Serves everything below `/oidc`; `request.url` still has the prefix. */
  handle(request: IncomingMessage, response: ServerResponse, address: string): Promise<void>
  showDevice(userCode: string): Promise<AuthorizationRequest & { userCode: string }>
  decideDevice(userCode: string, personId: string, approve: boolean): Promise<void>
  /** The interaction must have been started by the same browser: its signed cookie says so. */
  showInteraction(uid: string, request: IncomingMessage, response: ServerResponse): Promise<AuthorizationRequest>
  /** Where the browser goes next. */
  decideInteraction(
    uid: string,
    personId: string,
    approve: boolean,
    request: IncomingMessage,
    response: ServerResponse,
  ): Promise<string>
  /** A refresh token of the command line for a person who proved himself by a one-time code. */
  issueRefreshToken(personId: string, address: string): Promise<string>
}

/** Only these of the provider's own addresses exist from outside; its pages do not. */
const servedPaths = [
  /^\/\.well-known\/(openid-configuration|oauth-authorization-server)$/,
  /^\/(jwks|token|token\/revocation|device\/auth|auth|auth\/[\w-]+)$/,
]

export function openOidc(parts: ProviderParts): Oidc {
  const { room, signer } = parts
  let made = { kid: signer.kid, provider: createProvider(parts) }
  const { protocol, host } = new URL(room.publicUrl)

  /** The provider knows one key; all its state is in the database, so that another key is another provider. */
  function current(): ReturnType<typeof createProvider> {
    if (made.kid !== signer.kid) made = { kid: signer.kid, provider: createProvider(parts) }
    return made.provider
  }

  async function grantFor(personId: string, scopes: readonly string[], address: string): Promise<string> {
    const { Grant } = current()
    const grant = new Grant({ accountId: personId, clientId: commandLineClient })
    grant.addOIDCScope('openid offline_access')
    grant.addResourceScope(room.publicUrl, scopes.join(' '))
    const grantId = await grant.save()
    const scope = scopes.join(' ')
    await recordDevice(room, { grantId, personId, clientId: commandLineClient, scope, address })
    return grantId
  }

  async function requireDevice(userCode: string): Promise<DeviceCode> {
    const code = await current().DeviceCode.findByUserCode(normalized(userCode), { ignoreExpiration: true })
    if (code === undefined || code.isExpired || code.error !== undefined || code.accountId !== undefined) {
      throw identityFaults.noSuchRequest('No device is waiting with this code.', {
        hint: 'Check the code on the screen of the device; it is valid for ten minutes and works once.',
      })
    }
    return code
  }

  async function requireInteraction(uid: string, request: IncomingMessage, response: ServerResponse) {
    const interaction = await current()
      .interactionDetails(request, response)
      .catch(() => undefined)
    if (interaction !== undefined && interaction.uid === uid) return interaction
    throw identityFaults.noSuchRequest('This request is over, or it was not made by this browser.', {
      hint: 'Start again in the application.',
    })
  }

  return {
    async handle(request, response, address) {
      const path = (request.url ?? '').slice('/oidc'.length)
      if (!servedPaths.some((served) => served.test(path.split('?', 1)[0]!))) {
        response.writeHead(404, { 'content-type': 'text/plain; charset=utf-8' }).end('There is nothing here.\n')
        return
      }
      // The provider builds its addresses from these: they are ours, whatever the request says.
      Object.assign(request, { url: path, originalUrl: `/oidc${path}` })
      request.headers['x-forwarded-proto'] = protocol.slice(0, -1)
      request.headers['x-forwarded-host'] = host
      request.headers['x-forwarded-for'] = address
      if (path.split('?', 1)[0] === '/jwks') return answerKeys(response)
      await current().callback()(request, response)
    },

    async showDevice(userCode) {
      const code = await requireDevice(userCode)
      return {
        userCode: denormalized(normalized(userCode)),
        clientName: commandLineName,
        scopes: scopesOf(code.params),
        address: typeof code.deviceInfo?.address === 'string' ? code.deviceInfo.address : null,
        expiresAtMs: code.exp * 1000,
      }
    },

    async decideDevice(userCode, personId, approve) {
      const code = await requireDevice(userCode)
      if (approve) {
        code.accountId = personId
        const scopes = scopesOf(code.params)
        const address = typeof code.deviceInfo?.address === 'string' ? code.deviceInfo.address : 'unknown'
        code.grantId = await grantFor(personId, scopes, address)
        code.authTime = Math.floor(Date.now() / 1000)
        code.scope = `openid offline_access ${scopes.join(' ')}`
        code.resource = room.publicUrl
      } else {
        code.error = 'access_denied'
        code.errorDescription = 'the person said no'
      }
      await code.save()
    },

    async showInteraction(uid, request, response) {
      const { params, exp } = await requireInteraction(uid, request, response)
      return { clientName: commandLineName, scopes: scopesOf(params), address: null, expiresAtMs: exp * 1000 }
    },

    async decideInteraction(uid, personId, approve, request, response) {
      const interaction = await requireInteraction(uid, request, response)
      // The provider's own session would remember an earlier person of this browser; ours is the only one that counts.
      if (interaction.session?.uid !== undefined)
        await (await current().Session.findByUid(interaction.session.uid))?.destroy()
      delete interaction.session
      interaction.result = approve
        ? {
            login: { accountId: personId, remember: false },
            consent: { grantId: await grantFor(personId, scopesOf(interaction.params), 'this browser') },
          }
        : { error: 'access_denied', error_description: 'the person said no' }
      await interaction.save(interaction.exp - Math.floor(Date.now() / 1000))
      return interaction.returnTo
    },

    async issueRefreshToken(personId, address) {
      const { RefreshToken, Client } = current()
      const token = new RefreshToken({
        accountId: personId,
        client: await Client.find(commandLineClient),
        grantId: await grantFor(personId, ['api'], address),
        gty: 'one_time_code',
        authTime: Math.floor(Date.now() / 1000),
        scope: 'openid offline_access api',
        resource: room.publicUrl,
        rotations: 0,
      })
      return await token.save()
    },
  }

  /** All of them, not only the one that the provider signs with. */
  function answerKeys(response: ServerResponse): void {
    response.writeHead(200, {
      'content-type': 'application/jwk-set+json; charset=utf-8',
      'cache-control': 'max-age=3600',
    })
    response.end(JSON.stringify(signer.jwks))
  }
}

/** What is asked for by name; without a name that counts, everything its person may do. */
function scopesOf(params: Record<string, unknown>): string[] {
  const asked = typeof params.scope === 'string' ? params.scope.split(' ') : []
  const named = [...new Set(asked.filter((scope) => grantableScopes.includes(scope)))]
  return named.length === 0 || named.includes('api') ? ['api'] : named
}

/** Codes are read aloud and typed: case, blanks and hyphens do not matter. */
function normalized(userCode: string): string {
  return userCode.toUpperCase().replace(/[^A-Z0-9]/g, '')
}

function denormalized(userCode: string): string {
  return `${userCode.slice(0, 4)}-${userCode.slice(4)}`
}
