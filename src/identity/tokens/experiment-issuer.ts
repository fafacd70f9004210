/**
 * The issuer of each experiment: discovery document, keys and token endpoint at `<publicUrl>/e/<experiment>`. Two grants:
 * `client_credentials` for machines that prove themselves by their key, and token exchange (RFC 8693), which only narrows.
 */
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { Fault } from '../../foundation/errors.ts'
import { addressOf } from '../gate.ts'
import { createRateLimit } from '../rate-limit.ts'
import type { RouteParts } from '../routes.ts'
import { experimentIssuer } from '../signer.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import { verifyBearer, type Bearer } from './bearer.ts'
import { assertionType, authenticateClient, type AuthenticatedClient } from './client-assertion.ts'
import { mintExperimentToken, type ExperimentToken } from './experiment-token.ts'
import { OauthError } from './oauth-error.ts'
import { sourceOfMachineKey } from './machines.ts'
import { formatCapabilitiesAsScope } from './narrowing.ts'
import { readForm } from './read-form.ts'

export const exchangeGrant = 'urn:ietf:params:oauth:grant-type:token-exchange'
const accessTokenType = 'urn:ietf:params:oauth:token-type:access_token'
const jwtType = 'urn:ietf:params:oauth:token-type:jwt'
const longestFormBytes = 32 * 1024

export function mountExperimentIssuers(app: FastifyInstance, parts: RouteParts): void {
  const { room, signer, snapshot } = parts
  const limit = createRateLimit({ clock: room.clock, burst: 120, perMinute: 120 })

  /** Only of experiments that exist; others have no address here. */
  function isKnown(experiment: string): boolean {
    return Object.hasOwn(snapshot().experiments ?? {}, experiment)
  }

  void app.register(async (corner) => {
    corner.removeAllContentTypeParsers()
    corner.addContentTypeParser(
      'application/x-www-form-urlencoded',
      { parseAs: 'string', bodyLimit: longestFormBytes },
      (_request, body, done) => done(null, body),
    )
    for (const document of ['openid-configuration', 'oauth-authorization-server']) {
      corner.get<{ Params: { experiment: string } }>(`/e/:experiment/.well-known/${document}`, (request, reply) => {
        const { experiment } = request.params
        if (!isKnown(experiment)) return nothing(reply)
        return reply
          .header('cache-control', 'max-age=3600')
          .send(discovery(experimentIssuer(room.publicUrl, experiment)))
      })
    }
    corner.get<{ Params: { experiment: string } }>('/e/:experiment/oidc/jwks', (request, reply) => {
      if (!isKnown(request.params.experiment)) return nothing(reply)
      return reply
        .header('cache-control', 'max-age=3600')
        .type('application/jwk-set+json; charset=utf-8')
        .send(JSON.stringify(signer.jwks))
    })
    corner.post<{ Params: { experiment: string } }>('/e/:experiment/oidc/token', async (request, reply) => {
      reply.header('cache-control', 'no-store')
      const { experiment } = request.params
      if (!isKnown(experiment)) return nothing(reply)
      try {
        takeTurn(request)
        const form = readForm(typeof request.body === 'string' ? request.body : '')
        return { ...(await grant(experiment, form, addressOf(request), request.id)) }
      } catch (error) {
        return refuse(reply, error)
      }
    })
  })

  function takeTurn(request: FastifyRequest): void {
    try {
      limit.take(addressOf(request))
    } catch (cause) {
      throw new OauthError('slow_down', 'too many requests from here; wait a minute', cause)
    }
  }

  function refuse(reply: FastifyReply, error: unknown): FastifyReply {
    if (!(error instanceof OauthError)) throw error
    const reason = error.cause instanceof Error ? error.cause.message : error.message
    room.log.info({ error: error.error, reason }, 'a token was not given')
    return reply.status(error.status).send({ error: error.error, error_description: error.message })
  }

  async function grant(experiment: string, form: ReadonlyMap<string, string>, address: string, requestId: string) {
    const state = snapshot()
    const issuer = experimentIssuer(room.publicUrl, experiment)
    const assertion = form.get('client_assertion')
    if (form.has('client_secret')) throw new OauthError('invalid_client', 'clients have keys here and no secrets')
    if (assertion !== undefined && form.get('client_assertion_type') !== assertionType)
      throw new OauthError('invalid_request', 'client_assertion_type must be that of RFC 7523')
    const client =
      assertion === undefined ? undefined : await authenticateClient(room, state, assertion, issuer, experiment)
    const named = form.get('client_id')
    if (client !== undefined && named !== undefined && named !== client.subject.id)
      throw new OauthError('invalid_client', 'the assertion is of another client')
    const grantType = form.get('grant_type')
    const { made, by } =
      grantType === 'client_credentials'
        ? ownToken(state, experiment, form, client)
        : grantType === exchangeGrant
          ? await exchanged(state, experiment, form, client)
          : unsupported(grantType)
    await room.audit(
      room.kysely,
      { actor: by, address, requestId },
      {
        action: 'token-issued',
        target: by.id,
        experiment,
        detail: {
          method: grantType === exchangeGrant ? 'exchange' : 'key',
          scope: made.scope,
          audience: audienceOf(form),
        },
      },
    )
    return {
      access_token: made.token,
      token_type: 'Bearer',
      expires_in: Math.floor((made.expiresAtMs - room.clock.nowMs()) / 1000),
      scope: made.scope,
      ...(grantType === exchangeGrant && { issued_token_type: accessTokenType }),
    }
  }

  interface Made {
    made: ExperimentToken
    by: { id: string; kind: string; name: string }
  }

  /** A machine's own token; without a scope, of everything it was registered for. */
  function ownToken(
    state: IdentitySnapshot,
    experiment: string,
    form: ReadonlyMap<string, string>,
    client: AuthenticatedClient | undefined,
  ): Made {
    if (client === undefined) throw new OauthError('invalid_client', 'a client proves itself with a private_key_jwt')
    const { subject } = client
    const made = mintExperimentToken(
      { signer, snapshot: state, clock: room.clock },
      {
        experiment,
        subject,
        scope: form.get('scope') ?? formatCapabilitiesAsScope(client.declared, experiment),
        audience: audienceOf(form),
        clientId: subject.id,
        source: sourceOfMachineKey(client.keyId),
        notAfterMs: client.expiresAtMs,
      },
    )
    return { made, by: { id: subject.id, kind: subject.kind, name: subject.name } }
  }

  /** Another token for less: same person, less scope, no longer life. A service that asks is named in it. */
  async function exchanged(
    state: IdentitySnapshot,
    experiment: string,
    form: ReadonlyMap<string, string>,
    client: AuthenticatedClient | undefined,
  ): Promise<Made> {
    const token = form.get('subject_token')
    const type = form.get('subject_token_type')
    if (token === undefined || type === undefined)
      throw new OauthError('invalid_request', 'subject_token and subject_token_type are needed')
    if (type !== accessTokenType && type !== jwtType)
      throw new OauthError('invalid_request', 'only access tokens are exchanged')
    if (![accessTokenType, jwtType, undefined].includes(form.get('requested_token_type')))
      throw new OauthError('invalid_request', 'only access tokens are made')
    if (form.has('actor_token'))
      throw new OauthError('invalid_request', 'who acts proves it with a client_assertion and not with an actor_token')
    const bearer = await subjectTokenOf(state, token)
    if (bearer.experiment !== undefined && bearer.experiment !== experiment)
      throw new OauthError('invalid_grant', 'the subject token is of another experiment')
    const { subject } = bearer
    const act =
      client === undefined
        ? bearer.act
        : { sub: `client:${client.subject.id}`, ...(bearer.act !== undefined && { act: bearer.act }) }
    const made = mintExperimentToken(
      { signer, snapshot: state, clock: room.clock },
      {
        experiment,
        subject,
        service: client?.subject,
        scope: form.get('scope') ?? '',
        audience: audienceOf(form),
        clientId: client?.subject.id ?? bearer.clientId,
        act: act ?? (subject.actorId === undefined ? undefined : { sub: `${subject.kind}:${subject.actorId}` }),
        notAfterMs: Math.min(bearer.expiresAtMs, client?.expiresAtMs ?? Infinity),
        source: bearer.source,
        accessKeyId: bearer.accessKeyId,
        groupsAmong: subject.limits === undefined ? undefined : (bearer.groups ?? []),
      },
    )
    const by = client?.subject ?? subject
    return { made, by: { id: by.id, kind: by.kind, name: by.name } }
  }

  async function subjectTokenOf(state: IdentitySnapshot, token: string): Promise<Bearer> {
    const audiences = [state.audience, ...(state.s3Audience === undefined ? [] : [state.s3Audience])]
    return await verifyBearer(room, state, token, audiences).catch((cause: unknown) => {
      if (!(cause instanceof Fault) || cause.code !== 'identity.invalid_token') throw cause
      throw new OauthError('invalid_grant', 'the subject token is not valid here, or no longer', cause.cause)
    })
  }
}

function audienceOf(form: ReadonlyMap<string, string>): string | undefined {
  const [audience, resource] = [form.get('audience'), form.get('resource')]
  if (audience !== undefined && resource !== undefined && audience !== resource)
    throw new OauthError('invalid_target', 'a token is for one service')
  return audience ?? resource
}

function unsupported(grantType: string | undefined): never {
  if (grantType === undefined) throw new OauthError('invalid_request', 'grant_type is missing')
  throw new OauthError('unsupported_grant_type', 'this issuer knows client_credentials and token exchange')
}

function nothing(reply: FastifyReply): FastifyReply {
  return reply.status(404).type('text/plain; charset=utf-8').send('There is nothing here.\n')
}

function discovery(issuer: string) {
  return {
    issuer,
    token_endpoint: `${issuer}/oidc/token`,
    jwks_uri: `${issuer}/oidc/jwks`,
    grant_types_supported: ['client_credentials', exchangeGrant],
    token_endpoint_auth_methods_supported: ['private_key_jwt', 'none'],
    token_endpoint_auth_signing_alg_values_supported: ['ES256', 'EdDSA'],
    response_types_supported: [],
    subject_types_supported: ['public'],
    id_token_signing_alg_values_supported: ['ES256'],
    scopes_supported: [
      'storage.read:/',
      'storage.create:/',
      'storage.modify:/',
      'storage.stage:/',
      'storage.poll:/',
      'compute.read',
      'compute.create',
      'compute.cancel',
      'wlcg.groups',
      'logbook.read',
      'logbook.write',
      'daq.write',
      'runs.control',
    ],
  }
}
