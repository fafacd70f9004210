/** Access tokens of an experiment's issuer, after the WLCG profile: made here and nowhere else, never more than was held. */
import { uuid7 } from '../../foundation/ids.ts'
import type { Clock } from '../../foundation/time.ts'
import { chainLength, longestChain, type Actor } from '../access-token.ts'
import { experimentIssuer, type Signer } from '../signer.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import type { Subject } from '../subject.ts'
import { narrowedScope } from './narrowing.ts'
import { OauthError } from './oauth-error.ts'
import { formatScope, parseScope, type ScopeItem } from './wlcg-scope.ts'

const minute = 60_000
/** Profile 4.3.1. */
export const usualLifetimeMs = 60 * minute
const longestLifetimeMs = 360 * minute
const leewaySeconds = 60

export interface ExperimentTokenRequest {
  experiment: string
  /** Whose rights: cut by roles, policies and limits of this moment. */
  subject: Subject
  /** A service that also acts: the token is within its rights too. */
  service?: Subject | undefined
  /** As asked for; `''` is refused. */
  scope: string
  audience?: string | undefined
  clientId: string
  act?: Actor | undefined
  /** Nothing is made that outlives this. */
  notAfterMs?: number | undefined
  lifetimeMs?: number | undefined
  source?: string | undefined
  accessKeyId?: string | undefined
  /** Of what is narrower than its person: no other groups than these. */
  groupsAmong?: readonly string[] | undefined
}

export interface ExperimentToken {
  token: string
  expiresAtMs: number
  scope: string
}

/** @throws OauthError invalid_scope, invalid_target, invalid_request, invalid_grant */
export function mintExperimentToken(
  { signer, snapshot, clock }: { signer: Signer; snapshot: IdentitySnapshot; clock: Clock },
  request: ExperimentTokenRequest,
): ExperimentToken {
  const { experiment, subject, service } = request
  const nowMs = clock.nowMs()
  const asked = parseScope(request.scope)
  if (asked === undefined)
    throw new OauthError('invalid_scope', 'a scope is not known, or its path is missing or not absolute and normal')
  const held = narrowedScope(asked, subject, experiment, nowMs)
  const given = service === undefined ? held : narrowedScope(held, service, experiment, nowMs)
  const groups = groupsFor(asked, subject, experiment, nowMs).filter(
    (group) => request.groupsAmong?.includes(group) ?? true,
  )
  // Asked for something, got nothing: that is an error and not a token that can do nothing.
  if (given.length === 0 && groups.length === 0)
    throw new OauthError('invalid_scope', 'nothing of what was asked for is yours')
  if (chainLength(request.act) > longestChain)
    throw new OauthError('invalid_request', `more than ${longestChain} would act for one another`)
  const lifetimeMs = Math.min(
    request.lifetimeMs ?? usualLifetimeMs,
    longestLifetimeMs,
    (request.notAfterMs ?? Infinity) - nowMs,
  )
  if (lifetimeMs < 1000) throw new OauthError('invalid_grant', 'what the token would be made from is over')
  const issuedAt = Math.floor(nowMs / 1000)
  const scope = formatScope(given)
  const token = signer.token(
    {
      'wlcg.ver': '1.0',
      issuer: experimentIssuer(snapshot.audience, experiment),
      aud: audienceFor(request.audience, snapshot),
      sub: subject.id,
      client_id: request.clientId,
      jti: uuid7(nowMs),
      // Clocks of others may be behind ours.
      nbf: issuedAt - leewaySeconds,
      scope,
      ...(groups.length > 0 && { 'wlcg.groups': groups }),
      ...(request.act !== undefined && { act: request.act }),
      epoch: subject.epoch,
      cygnet: {
        kind: subject.kind === 'anonymous' ? 'person' : subject.kind,
        ...(request.source !== undefined && { source: request.source }),
        ...(request.accessKeyId !== undefined && { accessKeyId: request.accessKeyId }),
      },
      lifetimeMs,
    },
    'at+jwt',
  )
  return { token, expiresAtMs: (issuedAt + Math.floor(lifetimeMs / 1000)) * 1000, scope }
}

/** One service, as `https://host`: no path, no last slash, no usual port; the one that stands for all services is refused. */
function audienceFor(asked: string | undefined, { audience, s3Audience }: IdentitySnapshot): string {
  if (asked === undefined) return audience
  if (asked === audience || asked === s3Audience) return asked
  const url = URL.canParse(asked) ? new URL(asked) : undefined
  if (url?.protocol === 'https:' && url.origin === asked) return asked
  throw new OauthError('invalid_target', 'an audience is one service: https://host, without path or last slash')
}

/**
 * Groups of the profile (2.2.2, 3.1): those of the memberships when `wlcg.groups` is asked for; `operator` and
 * `data-manager` are optional groups below them, given only when asked for by name. Named ones come first, in their order.
 */
export function groupsFor(
  asked: readonly ScopeItem[],
  { roles, kind }: Subject,
  experiment: string,
  nowMs: number,
): string[] {
  const wanted = asked.filter(({ name }) => name === 'wlcg.groups')
  if (wanted.length === 0 || kind === 'client') return []
  const grants = roles.filter(
    (grant) => grant.experiment === experiment && grant.role !== 'break-glass' && (grant.untilMs ?? Infinity) > nowMs,
  )
  const usual = [...new Set(grants.map(({ group }) => group ?? `/${experiment}`))].sort()
  const optional = grants
    .filter(({ role }) => role === 'operator' || role === 'data-manager')
    .map(({ group, role }) => `${group ?? `/${experiment}`}/${role}`)
  const all = wanted.some(({ path }) => path === undefined) ? wanted : [...wanted, { name: 'wlcg.groups' }]
  const listed = all.flatMap(({ path }) =>
    path === undefined ? usual : [path].filter((one) => [...usual, ...optional].includes(one)),
  )
  return [...new Set(listed)]
}
