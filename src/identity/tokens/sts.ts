/**
 * AssumeRoleWithWebIdentity: an access token becomes S3 credentials that need their session token, end with the token and
 * die with whatever the token was made from. Order: size, parameters, token, account, role, policy, row, answer. The token
 * is in no log, no audit row and no answer.
 */
import { createHash, randomBytes } from 'node:crypto'
import type { Action } from '../../foundation/contract.ts'
import { Fault } from '../../foundation/errors.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { createSecretLimit } from '../rate-limit.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import { experimentOfIssuer } from '../signer.ts'
import type { IdentitySnapshot } from '../snapshot.ts'
import type { Capability, Limits } from '../subject.ts'
import { verifyBearer, type Bearer } from './bearer.ts'
import { verifyForeignToken } from './foreign-token.ts'
import { limitsWith } from './narrowing.ts'
import { isPersonalToken } from './personal-tokens.ts'
import { capabilitiesOfPolicy, PolicyRefusal } from './session-policy.ts'
import { StsRefusal, stsAnswer, stsError, type StsAnswer } from './sts-answer.ts'
import { longestTokenBytes, TokenRefusal, unverifiedIssuer, type RefusalKind } from './strict-jwt.ts'

export interface StsRequest {
  /** Of the form and the query string together, each once. */
  parameters: Readonly<Record<string, string>>
  address: string
  requestId: string
}

export interface Sts {
  assumeRole(request: StsRequest): Promise<StsAnswer>
}

const version = '2011-06-15'
const shortestSeconds = 900
const usualSeconds = 3600
const longestSeconds = 43_200
const longestPolicyBytes = 2048
/** Alive at once for one account: thousands of jobs, and not without end. */
const mostKeys = 2000
/** What S3 has to do with; a key of STS is for nothing else. */
const s3Actions: readonly Action[] = ['data.read', 'data.create', 'data.modify', 'data.archive', 'tape.recall']

const codes: Record<RefusalKind, [status: number, code: string, words: string]> = {
  expired: [400, 'ExpiredToken', 'The web identity token has expired.'],
  invalid: [400, 'InvalidIdentityToken', 'The web identity token is not one that is accepted here.'],
  denied: [403, 'AccessDenied', 'The web identity token is no longer accepted for this account.'],
  'id-token': [403, 'IDPRejectedClaim', 'This is no access token.'],
  unreachable: [400, 'IDPCommunicationError', 'The keys of the issuer could not be fetched.'],
}

export function createSts({ room, snapshot }: { room: Room; snapshot: () => IdentitySnapshot }): Sts {
  const secrets = createSecretLimit(room.clock)

  async function assumeRole(request: StsRequest): Promise<StsAnswer> {
    try {
      // Wrong tokens are limited by address; right ones pass beside them.
      return await secrets.attempt(
        request.address,
        () => assumed(request),
        () => recordRefusal(request),
      )
    } catch (error) {
      const cause = error instanceof Fault ? error.cause : error
      if (cause instanceof StsRefusal) {
        room.log.info({ requestId: request.requestId, code: cause.code, reason: reasonOf(cause) }, 'sts refusal')
        return stsError(cause, request.requestId)
      }
      if (error instanceof Fault && error.code === 'identity.too_many_attempts')
        return stsError(new StsRefusal(400, 'Throttling', error.detail), request.requestId)
      room.log.error({ requestId: request.requestId, error }, 'sts failed')
      return stsError(new StsRefusal(500, 'InternalFailure', 'Something went wrong on our side.'), request.requestId)
    }
  }

  async function recordRefusal({ address, requestId }: StsRequest): Promise<void> {
    const origin = { actor: { id: 'anonymous', kind: 'anonymous', name: 'anonymous' }, address, requestId }
    await room.audit(room.kysely, origin, { action: 'temporary-key-refused', target: '-', decision: 'deny' })
  }

  async function assumed({ parameters, address, requestId }: StsRequest): Promise<StsAnswer> {
    const asked = readParameters(parameters)
    const bearer = await bearerOf(asked.token)
    const { subject } = bearer
    const role = roleOf(asked.roleArn, bearer)
    const policy = asked.policy === undefined ? undefined : readPolicy(asked.policy)
    const nowMs = room.clock.nowMs()
    const expiresAtMs = Math.floor(Math.min(nowMs + asked.seconds * 1000, bearer.expiresAtMs) / 1000) * 1000
    if (expiresAtMs <= nowMs) throw refusalOf('expired')
    const limits = limitsFor(subject.limits, role.experiment, policy)
    if (limits === undefined)
      throw asFault(new StsRefusal(403, 'AccessDenied', 'The token is not for that experiment.'))
    const accessKeyId = newAccessKeyId()
    const secretAccessKey = randomBytes(30).toString('base64url')
    const sessionToken = randomBytes(32).toString('base64url')
    const kind = subject.kind === 'session' || subject.kind === 'job' ? subject.kind : null
    const origin: Origin = { actor: { id: subject.id, kind: subject.kind, name: subject.name }, address, requestId }
    await room.change(async (trx) => {
      const { alive } = await trx
        .selectFrom('identity_access_key')
        .select((each) => each.fn.countAll<number | string>().as('alive'))
        .where('subject_id', '=', subject.id)
        .where('kind', '=', 'sts')
        .where('revoked_at_ms', 'is', null)
        .where('expires_at_ms', '>', nowMs)
        .executeTakeFirstOrThrow()
      if (Number(alive) >= mostKeys)
        throw asFault(new StsRefusal(400, 'Throttling', `This account has ${mostKeys} temporary keys already.`))
      await trx
        .insertInto('identity_access_key')
        .values({
          access_key_id: accessKeyId,
          subject_id: subject.id,
          sealed_secret: room.seal.close(secretAccessKey, `access-key.${accessKeyId}`),
          label: `temporary, by ${bearer.clientId}`.slice(0, 100),
          limits: JSON.stringify(limits),
          actor_kind: kind,
          actor_id: kind === null ? null : (subject.actorId ?? ''),
          created_at_ms: nowMs,
          expires_at_ms: expiresAtMs,
          revoked_at_ms: null,
          kind: 'sts',
          session_token_hash: hashOf(sessionToken),
          epoch: subject.epoch,
          source: bearer.source ?? null,
        })
        .execute()
      const detail = { subjectId: subject.id, tokenId: bearer.tokenId, issuer: bearer.issuer, limits, expiresAtMs }
      await room.audit(trx, origin, {
        action: 'temporary-key-created',
        target: accessKeyId,
        experiment: limits.experiment,
        detail,
      })
      await room.changed(trx, subject.id, 'temporary-key-created')
    })
    return stsAnswer(
      {
        subject: subject.id,
        account: limits.experiment ?? 'cygnet',
        role: role.name,
        roleId: roleIdOf(role.name),
        audience: bearer.audience,
        provider: bearer.issuer,
        accessKeyId,
        secretAccessKey,
        sessionToken,
        expiresAtMs,
        ...(asked.policy !== undefined && {
          packedPolicyPercent: Math.ceil((Buffer.byteLength(asked.policy) / longestPolicyBytes) * 100),
        }),
      },
      requestId,
    )
  }

  async function bearerOf(token: string): Promise<Bearer> {
    const state = snapshot()
    const issuer = isPersonalToken(token) ? state.issuer : unverifiedIssuer(token)
    const isOurs = issuer === state.issuer || experimentOfIssuer(state.audience, issuer) !== undefined
    const audiences = [state.audience, ...(state.s3Audience === undefined ? [] : [state.s3Audience])]
    try {
      if (isOurs) return await verifyBearer(room, state, token, audiences)
      if (issuer === undefined) throw new TokenRefusal('no issuer')
      return await verifyForeignToken(room, state, issuer, token)
    } catch (error) {
      const refusal = error instanceof Fault ? error.cause : error
      if (refusal instanceof TokenRefusal) throw refusalOf(refusal.kind, refusal)
      throw error
    }
  }

  return { assumeRole }
}

interface Asked {
  token: string
  seconds: number
  roleArn: string | undefined
  policy: string | undefined
}

function readParameters(parameters: Readonly<Record<string, string>>): Asked {
  const given = new Map(Object.entries(parameters))
  if (given.get('Action') !== 'AssumeRoleWithWebIdentity')
    throw asFault(
      new StsRefusal(400, 'InvalidAction', 'Only AssumeRoleWithWebIdentity and GetCallerIdentity exist here.'),
    )
  if ((given.get('Version') ?? version) !== version)
    throw asFault(new StsRefusal(400, 'InvalidParameterValue', `Version must be ${version}.`))
  const token = given.get('WebIdentityToken') ?? ''
  if (token === '') throw asFault(new StsRefusal(400, 'MissingParameter', 'WebIdentityToken is missing.'))
  if (token.length > longestTokenBytes) throw refusalOf('invalid')
  const duration = given.get('DurationSeconds') ?? String(usualSeconds)
  const seconds = /^\d{1,6}$/.test(duration) ? Number(duration) : 0
  if (seconds < shortestSeconds || seconds > longestSeconds) {
    const words = `DurationSeconds is a whole number from ${shortestSeconds} to ${longestSeconds}.`
    throw asFault(new StsRefusal(400, 'InvalidParameterValue', words))
  }
  if ([...given.keys()].some((name) => name.startsWith('PolicyArns')))
    throw asFault(new StsRefusal(400, 'InvalidParameterValue', 'There are no managed policies here; use Policy.'))
  return { token, seconds, roleArn: given.get('RoleArn'), policy: given.get('Policy') }
}

/**
 * Roles are names that tools want to hear: rights come from the token. Where the account in the ARN is the name of an
 * experiment, the credentials are only for that one.
 */
function roleOf(arn: string | undefined, { subject }: Bearer): { name: string; experiment?: string } {
  if (arn === undefined || arn === '') return { name: 'member' }
  const match = /^arn:[\w-]{1,20}:iam::([a-z0-9-]{0,40}):role\/(?:[\w+=,.@-]+\/)*([\w+=,.@-]{1,64})$/.exec(arn)
  if (match === null)
    throw asFault(new StsRefusal(400, 'InvalidParameterValue', 'RoleArn is arn:aws:iam::EXPERIMENT:role/NAME.'))
  const [, account = '', name = ''] = match
  if (account === '' || /^\d+$/.test(account)) return { name }
  if (!subject.roles.some(({ experiment }) => experiment === account))
    throw asFault(new StsRefusal(403, 'AccessDenied', `You have no role in an experiment named '${account}'.`))
  return { name, experiment: account }
}

function readPolicy(text: string): Capability[] {
  if (Buffer.byteLength(text) > longestPolicyBytes)
    throw asFault(
      new StsRefusal(400, 'PackedPolicyTooLarge', `A session policy has at most ${longestPolicyBytes} bytes.`),
    )
  try {
    return capabilitiesOfPolicy(text)
  } catch (error) {
    if (!(error instanceof PolicyRefusal)) throw error
    throw asFault(new StsRefusal(400, 'MalformedPolicyDocument', `The session policy is refused: ${error.message}.`))
  }
}

/** Token ∩ role ∩ session policy, for data only; undefined: they exclude each other. */
function limitsFor(
  token: Limits | undefined,
  experiment: string | undefined,
  policy: Capability[] | undefined,
): Limits | undefined {
  if (experiment !== undefined && token?.experiment !== undefined && token.experiment !== experiment) return undefined
  const whole: Limits = {
    ...token,
    ...(experiment !== undefined && { experiment }),
    actions: s3Actions.filter((action) => token?.actions?.includes(action) ?? true),
  }
  return policy === undefined ? whole : limitsWith(whole, policy)
}

/** The limiter counts Faults; what is inside is what the caller hears. */
function asFault(refusal: StsRefusal): Fault {
  return identityFaults.stsRefused(refusal.message, { cause: refusal })
}

function refusalOf(kind: RefusalKind, cause?: TokenRefusal): Fault {
  const [status, code, words] = codes[kind]
  return asFault(new StsRefusal(status, code, words, cause))
}

function reasonOf(refusal: StsRefusal): string {
  return refusal.cause instanceof Error ? refusal.cause.message : refusal.message
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** 'ASIA' and 16 letters or digits, as tools know temporary keys: a name and not a secret. */
function newAccessKeyId(): string {
  return `ASIA${Array.from(randomBytes(16), (byte) => alphabet[byte & 31]).join('')}`
}

function roleIdOf(name: string): string {
  const digest = createHash('sha256').update(name).digest()
  return `AROA${Array.from(digest.subarray(0, 17), (byte) => alphabet[byte & 31]).join('')}`
}
