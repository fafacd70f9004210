/**
 * For tests only: an issuer that is as wicked as it is told to be. Without mischief it behaves, and checks what a real one
 * would: client, redirect address, PKCE. Real issuers are in real-issuer.test.ts.
 */
import { createHash, createHmac, createPublicKey, generateKeyPairSync, sign, type KeyObject } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { onTestFinished } from 'vitest'
import { randomToken, shortId } from '../../foundation/ids.ts'
import { systemClock, type Clock } from '../../foundation/time.ts'

type Claims = Record<string, unknown>

/** What is wrong with the next answers. */
export interface Mischief {
  metadata?: (metadata: Claims) => Claims
  /** Of the ID token. */
  claims?: (claims: Claims) => Claims
  header?: (header: Claims) => Claims
  /** Instead of its own signature. */
  signature?: (input: string, key: { publicPem: string }) => string
  /** The whole compact token, at last. */
  spelling?: (token: string) => string
  /** True: it has answered itself. */
  answer?: (path: string, response: ServerResponse) => boolean | Promise<boolean>
  /** Of the address to which the browser is sent back. */
  callback?: (url: URL) => URL
  userInfo?: (claims: Claims) => Claims
}

export interface TestIssuer {
  url: string
  clientId: string
  clientSecret: string
  /** Who signs in there now. */
  person: Claims & { sub: string }
  /** Claims given in the ID token, besides `sub`; everything else only by the user info address. */
  inIdToken: string[]
  mischief: Mischief
  /** By path: how often it was asked. */
  asked: Map<string, number>
  /** Refresh tokens are no longer honoured. */
  refuseRefresh: boolean
  sid: string
  rotateKey(): void
  /** Signs in: from the address to which our page sends the browser to the one to which it comes back. */
  visit(location: string): Promise<URL>
  /** A signed statement about anything. */
  statement(claims: Claims, header?: Claims): string
  stop(): Promise<void>
}

export async function startTestIssuer(options: {
  redirectUri: string
  person?: Claims
  clock?: Clock
}): Promise<TestIssuer> {
  const clock = options.clock ?? systemClock()
  let keys = [newKey()]
  const codes = new Map<string, { nonce: string; challenge: string; person: Claims }>()
  const refreshTokens = new Map<string, Claims>()
  const accessTokens = new Map<string, Claims>()

  const server = createServer((request, response) => {
    void handle(request, response).catch((error: unknown) => {
      response.writeHead(500).end(String(error))
    })
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const url = `http://127.0.0.1:${(server.address() as { port: number }).port}`

  const issuer: TestIssuer = {
    url,
    clientId: 'cygnet',
    clientSecret: 'a secret of the institute',
    person: { sub: `sub-${shortId(8)}`, ...options.person },
    inIdToken: ['wlcg.groups', 'acr', 'eduperson_assurance'],
    mischief: {},
    asked: new Map(),
    refuseRefresh: false,
    sid: `sid-${shortId(8)}`,
    rotateKey: () => void (keys = [newKey()]),
    statement,
    async visit(location) {
      const asked = new URL(location)
      const query = Object.fromEntries(asked.searchParams)
      const fit =
        `${asked.origin}${asked.pathname}` === `${url}/authorize` &&
        query.client_id === issuer.clientId &&
        query.redirect_uri === options.redirectUri &&
        query.response_type === 'code' &&
        query.code_challenge_method === 'S256'
      if (!fit) throw new Error(`the issuer does not accept ${location}`)
      const code = randomToken(16)
      codes.set(code, { nonce: query.nonce!, challenge: query.code_challenge!, person: { ...issuer.person } })
      const back = new URL(options.redirectUri)
      back.search = new URLSearchParams({ code, state: query.state!, iss: url }).toString()
      return issuer.mischief.callback?.(back) ?? back
    },
    async stop() {
      server.closeAllConnections()
      await new Promise((closed) => server.close(closed))
    },
  }
  onTestFinished(() => issuer.stop())

  function statement(claims: Claims, header: Claims = {}): string {
    const key = keys[0]!
    const full = { alg: 'ES256', kid: key.kid, ...header }
    const input = `${encode(full)}.${encode(claims)}`
    const publicPem = createPublicKey(key.key).export({ type: 'spki', format: 'pem' }) as string
    const signature =
      issuer.mischief.signature?.(input, { publicPem }) ??
      sign('sha256', Buffer.from(input), { key: key.key, dsaEncoding: 'ieee-p1363' }).toString('base64url')
    return `${input}.${signature}`
  }

  function idToken(person: Claims, nonce: string | undefined): string {
    const now = Math.floor(clock.nowMs() / 1000)
    const given = Object.fromEntries(Object.entries(person).filter(([name]) => issuer.inIdToken.includes(name)))
    const plain = {
      iss: url,
      aud: issuer.clientId,
      iat: now,
      exp: now + 300,
      sub: person.sub,
      sid: issuer.sid,
      ...given,
    }
    const { claims = (all) => all, header = (all) => all, spelling = (token) => token } = issuer.mischief
    return spelling(statement(claims({ ...plain, ...(nonce !== undefined && { nonce }) }), header({ typ: 'JWT' })))
  }

  function tokens(person: Claims, nonce: string | undefined): Claims {
    const [access, refresh] = [randomToken(16), randomToken(16)]
    accessTokens.set(access, person)
    refreshTokens.set(refresh, person)
    return {
      access_token: access,
      token_type: 'Bearer',
      expires_in: 300,
      refresh_token: refresh,
      id_token: idToken(person, nonce),
    }
  }

  async function handle(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = new URL(request.url ?? '', url).pathname
    issuer.asked.set(path, (issuer.asked.get(path) ?? 0) + 1)
    if (await issuer.mischief.answer?.(path, response)) return
    if (path === '/.well-known/openid-configuration') {
      const metadata = {
        issuer: url,
        authorization_endpoint: `${url}/authorize`,
        token_endpoint: `${url}/token`,
        userinfo_endpoint: `${url}/userinfo`,
        jwks_uri: `${url}/jwks`,
        end_session_endpoint: `${url}/logout`,
        scopes_supported: ['openid', 'profile', 'email', 'offline_access'],
        code_challenge_methods_supported: ['S256'],
        id_token_signing_alg_values_supported: ['ES256'],
        authorization_response_iss_parameter_supported: true,
        backchannel_logout_supported: true,
      }
      return json(response, 200, issuer.mischief.metadata?.(metadata) ?? metadata)
    }
    if (path === '/jwks') {
      const published = keys.map(({ key, kid }) => ({
        ...createPublicKey(key).export({ format: 'jwk' }),
        kid,
        use: 'sig',
        alg: 'ES256',
      }))
      return json(response, 200, { keys: published })
    }
    if (path === '/token') return await answerToken(request, response)
    if (path === '/userinfo') {
      const person = accessTokens.get((request.headers.authorization ?? '').slice('Bearer '.length))
      if (person === undefined) return json(response, 401, { error: 'invalid_token' })
      return json(response, 200, issuer.mischief.userInfo?.(person) ?? person)
    }
    response.writeHead(404).end()
  }

  async function answerToken(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(request))
    const basic = Buffer.from((request.headers.authorization ?? '').slice('Basic '.length), 'base64').toString()
    const [id, secret] = basic.split(':').map((part) => decodeURIComponent(part.replaceAll('+', ' ')))
    if (id !== issuer.clientId || secret !== issuer.clientSecret)
      return json(response, 401, { error: 'invalid_client' })
    if (form.get('grant_type') === 'refresh_token') {
      const person = refreshTokens.get(form.get('refresh_token') ?? '')
      refreshTokens.delete(form.get('refresh_token') ?? '')
      if (person === undefined || issuer.refuseRefresh) return json(response, 400, { error: 'invalid_grant' })
      return json(response, 200, tokens({ ...issuer.person }, undefined))
    }
    const code = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    if (code === undefined || verifier !== code.challenge) return json(response, 400, { error: 'invalid_grant' })
    return json(response, 200, tokens(code.person, code.nonce))
  }

  return issuer
}

/** What somebody who has only the public key can sign: HS256 with it as the secret. */
export function signedWithPublicKey(input: string, { publicPem }: { publicPem: string }): string {
  return createHmac('sha256', publicPem).update(input).digest('base64url')
}

export function encode(value: unknown): string {
  return Buffer.from(JSON.stringify(value)).toString('base64url')
}

function newKey(): { key: KeyObject; kid: string } {
  return { key: generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey, kid: shortId(8) }
}

function json(response: ServerResponse, status: number, value: unknown): void {
  response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(value))
}

async function text(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of request) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString()
}
