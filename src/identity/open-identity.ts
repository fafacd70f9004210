import type { FastifyInstance } from 'fastify'
import { join } from 'node:path'
import { actions as allActions, type Action } from '../foundation/contract.ts'
import type { AnyTransaction, OpenedDatabase } from '../foundation/database.ts'
import type { Facts } from '../foundation/facts.ts'
import type { Gate } from '../foundation/http.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Logger } from '../foundation/log.ts'
import { loadOrCreateSecret } from '../foundation/secrets.ts'
import type { Clock } from '../foundation/time.ts'
import { openTimeFloor, type ClockTrouble } from '../foundation/time-floor.ts'
import {
  createAccessKey,
  registerClient,
  revokeAccessKeysOfActor,
  type AccessKeyRequest,
  type Client,
  type NewAccessKey,
} from './access-keys.ts'
import { platformOrigin, type Origin } from './audit.ts'
import { auditedGate } from './auditing/denied-requests.ts'
import { ofObject, type ObjectDenial } from './auditing/object-denial.ts'
import { openAuditing } from './auditing/open-auditing.ts'
import { createContentTicket, readEndedWindows } from './content-ticket.ts'
import { personOnlyActions } from './decide.ts'
import type { WorkLimits } from './decisions/work-figures.ts'
import { readDirectory } from './directory.ts'
import { identityFaults } from './errors.ts'
import { openFederation } from './federation/federation.ts'
import { readTrustedIssuers } from './federation/trust.ts'
import { ensureRoot } from './groups/tree.ts'
import { type ExperimentGroup } from './experiment-group.ts'
import { createGate } from './gate.ts'
import { smtpMail, type MailSettings } from './invitations/adapters/smtp-mail.ts'
import { sweepAccounts } from './invitations/lifecycle.ts'
import { leftBehind, type LeftBehind } from './invitations/off-boarding.ts'
import { openOutbox } from './invitations/outbox.ts'
import { openOidc } from './oidc.ts'
import { createPerson, grantRole, platformUidOf, type NewPerson } from './people.ts'
import { openPublishedState, type PublishedState } from './published-state.ts'
import { watchEnds } from './groups/ends.ts'
import { createRoom, type IdentityPorts } from './room.ts'
import { registerRoutes } from './routes.ts'
import { createSeal } from './seal.ts'
import { createSignInLink, ensureSiteAdmin, sweepExpired, type SignInLink } from './sign-in.ts'
import { ownerMayHaveLeft } from './tokens/machine-owners.ts'
import { readRevokedSources } from './tokens/sources.ts'
import { createSts, type Sts } from './tokens/sts.ts'
import { sweepTokens } from './tokens/sweep.ts'
import { longestTokenMs, openSigner, type Signer } from './signer.ts'
import { activeSubject, personIn, whyNotOn, type IdentitySnapshot } from './snapshot.ts'
import type { PersonRole } from './subject.ts'

export interface IdentityOptions {
  database: OpenedDatabase
  facts: Facts
  clock: Clock
  /** 0700; keys are made there at first start. */
  secretsDirectory: string
  /** 0700; a file of the audit is added to it every day. None without it. */
  auditFolder?: string
  /** `https://host` or `http://127.0.0.1:port`: issuer, audience, origin of the pages. */
  publicUrl: string
  /** Address of the S3 endpoint: audience of tokens for STS, beside `publicUrl`. */
  s3Url?: string
  log: Logger
  /** How mail leaves; without a host it is kept, and links are shown to be copied. */
  mail?: MailSettings
  /** What rooms above lend; without them nothing runs and experiments are made elsewhere. */
  ports?: Partial<IdentityPorts>
  /** The published part has changed: publish it at once. Awaited before a change is reported as done. */
  onChange?: () => void | Promise<void>
}

export interface TokenRequest {
  /** The person for whom the session or job works. */
  subjectId: string
  kind: 'session' | 'job'
  /** Which session or job; appears in audit and logs. */
  actorId?: string
  /** Cut at each use by what the person then may do; managing people, keys or the site is refused here. */
  actions: readonly Action[]
  experiment?: string
  /** At most twelve hours; thirty minutes and renewal are the habit. */
  lifetimeMs: number
}

/** The opened room. Every change is in the database, audited and published when its promise resolves. */
export interface Identity {
  readonly gate: Gate
  /** Binds the API and, below `/oidc`, the OpenID provider. */
  routes(app: FastifyInstance): void
  /** What gateways need to decide; matches `identitySnapshotSchema`. Holds secrets. */
  snapshotPart(): IdentitySnapshot
  /** Reads the database again and publishes; for a caller in this process that decides right after its own `grantRole`. */
  refresh(): Promise<void>
  /** Signs the first site admin in once; makes him on an empty installation. 30 minutes. */
  createAdminLink(): Promise<SignInLink>
  createPerson(input: NewPerson, origin?: Origin): Promise<{ id: string; signInLink: SignInLink }>
  /** In the caller's transaction; in force here with its commit, at the gateways within a second. */
  grantRole(trx: AnyTransaction, personId: string, experiment: string, role: PersonRole, origin?: Origin): Promise<void>
  /** Secret shown once. For a session or job give `actor`, and end them with `revokeAccessKeysOf`. */
  createAccessKey(request: AccessKeyRequest, origin?: Origin): Promise<NewAccessKey>
  revokeAccessKeysOf(actorId: string): Promise<void>
  /** A DAQ machine and its create-only key. */
  registerClient(
    input: { experiment: string; name: string },
    origin?: Origin,
  ): Promise<{ client: Client; accessKey: NewAccessKey }>
  /** A short access token of a session or job, narrower than its person. */
  mintToken(request: TokenRequest): { token: string; expiresAtMs: number }
  /** `windowId`: the browser session that asks; the way in ends with a sign-out there. */
  createContentTicket(personId: string, sessionId: string, windowId?: string): Promise<string>
  /** Name and account state of a person or machine, for showing; `undefined` if unknown. */
  nameOf(subjectId: string): { name: string; displayName: string; active: boolean } | undefined
  /** What policies leave a person of the machine in the experiment, and whose policy that is; empty: no limit. */
  limitsOf(subjectId: string, experiment: string): WorkLimits
  /**
   * May what somebody has started go on, now? Undefined: yes; else why not, in words. What is only due from him (terms
   * to agree to) ends nothing.
   */
  whyNotOn(subjectId: string, action: Action, experiment: string): string | undefined
  /** From 300000 upward, one per person, for ever. */
  platformUidOf(personId: string): Promise<number>
  /** The experiment's group on this machine, for ever; given to it and published at the first question. */
  experimentGroupOf(experiment: string): Promise<ExperimentGroup>
  /** AssumeRoleWithWebIdentity of a gateway's S3 face: S3 credentials for an access token. */
  assumeRole: Sts['assumeRole']
  /** Of somebody archived: where his home is, and whose it becomes. */
  leftBehind(personId: string): Promise<LeftBehind | undefined>
  /** Removes what is over; happens by itself every ten minutes. */
  sweep(): Promise<void>
  /** Asks institutes for groups and keys that are due; happens by itself every minute. */
  askInstitutes(): Promise<void>
  /** When the clock of this machine was put back, or shown to have been wrong. */
  clockTrouble(): ClockTrouble | undefined
  /** What a gateway has denied; audited, of very many the number only. */
  recordDenial(denial: ObjectDenial): void
  /** When rows of the audit are missing or changed. */
  auditTrouble(): { what: string; hint: string } | undefined
  close(): Promise<void>
  [Symbol.asyncDispose](): Promise<void>
}

const sweepMs = 10 * 60_000
const accountsMs = 60_000
const noPorts: IdentityPorts = { runningOf: async () => [], createExperiment: async () => {} }

export async function openIdentity(options: IdentityOptions): Promise<Identity> {
  const { database, log, secretsDirectory } = options
  const publicUrl = new URL(options.publicUrl).origin
  const seal = createSeal(await loadOrCreateSecret(secretsDirectory, 'identity-seal-key'))
  const contentCookieKey = (await loadOrCreateSecret(secretsDirectory, 'content-cookie-key')).toString('base64url')
  const cookieKey = await loadOrCreateSecret(secretsDirectory, 'oidc-cookie-key')
  // A token that has ended stays so, whatever happens to the clock of this machine.
  const clock = await openTimeFloor({ path: join(secretsDirectory, 'time-floor.json'), clock: options.clock, log })
  const signer = await openSigner({ secretsDirectory, issuer: `${publicUrl}/oidc`, clock })

  const s3Audience = options.s3Url === undefined ? undefined : new URL(options.s3Url).origin
  const fixed = {
    issuer: signer.issuer,
    audience: publicUrl,
    contentCookieKey,
    ...(s3Audience !== undefined && { s3Audience }),
  }
  const { mail } = options
  const room = createRoom(
    {
      database,
      clock,
      log,
      seal,
      publicUrl,
      ports: { ...noPorts, ...options.ports },
      mailGoesOut: mail?.host !== undefined,
    },
    {
      refresh: () => state.refresh(),
      alsoChanged: (trx, subjectId) => ownerMayHaveLeft(room, trx, subjectId),
      appended: (sequence) => state.appended(sequence),
      snapshot: () => state.snapshot(),
    },
  )
  const state: PublishedState = await openPublishedState({
    database,
    facts: options.facts,
    log,
    read: async () => ({
      ...fixed,
      jwks: signer.jwks,
      revokedSources: await readRevokedSources(room),
      endedWindows: await readEndedWindows(room),
      trustedIssuers: await readTrustedIssuers(room.kysely, clock.nowMs()),
      ...(await readDirectory(room)),
    }),
    onChange: () => options.onChange?.(),
  })
  const { snapshot, refresh } = state

  const auditing = await openAuditing(room, { secretsDirectory, auditFolder: options.auditFolder })
  const gate = auditedGate(createGate(room, state), auditing.denials)
  const oidc = openOidc({ room, signer, snapshot, cookieKey })
  const federation = openFederation(room)
  const sts = createSts({ room, snapshot })
  const ends = watchEnds(room, snapshot, log)
  const outbox =
    mail?.host === undefined ? undefined : openOutbox(room, smtpMail({ ...mail, host: mail.host }, publicUrl))
  const accounts = setInterval(() => {
    sweepAccounts(room).catch((error: unknown) => log.error({ error }, 'the ends of accounts could not be looked at'))
  }, accountsMs).unref()
  const sweeping = setInterval(() => {
    sweep().catch((error: unknown) => log.error({ error }, 'expired sign-ins could not be removed'))
  }, sweepMs).unref()

  /** Keys that have ended leave the published part too: a gateway whose clock is put back finds them no more. */
  async function sweep(): Promise<void> {
    await sweepExpired(room)
    await ends.tend()
    await signer.keys.tend()
    await sweepTokens(room)
    await sweepAccounts(room)
    await federation.sweep()
    await auditing.daily()
    await refresh()
  }

  async function close(): Promise<void> {
    clearInterval(sweeping)
    clearInterval(accounts)
    await outbox?.close()
    ends.close()
    await federation.close()
    await auditing.close()
    await state.close()
  }

  return {
    gate,
    routes: (app) => registerRoutes(app, { room, gate, oidc, signer, snapshot, auditing, federation }),
    snapshotPart: snapshot,
    refresh,
    createAdminLink: () =>
      room.change(async (trx) => {
        const adminId = await ensureSiteAdmin(room, trx, platformOrigin)
        return await createSignInLink(room, trx, adminId, platformOrigin, { keepEarlier: true, purpose: 'root' })
      }),
    createPerson: (input, origin = platformOrigin) =>
      room.change(async (trx) => {
        const id = await createPerson(room, trx, input, origin)
        return { id, signInLink: await createSignInLink(room, trx, id, origin) }
      }),
    grantRole: (trx, personId, experiment, role, origin = platformOrigin) =>
      grantRole(room, trx, personId, experiment, role, origin),
    createAccessKey: (request, origin = platformOrigin) =>
      room.change((trx) => createAccessKey(room, trx, request, origin)),
    revokeAccessKeysOf: (actorId) => room.change((trx) => revokeAccessKeysOfActor(room, trx, actorId, platformOrigin)),
    registerClient: (input, origin = platformOrigin) => room.change((trx) => registerClient(room, trx, input, origin)),
    mintToken: (request) => mintToken(signer, snapshot(), request, clock),
    createContentTicket: (personId, sessionId, windowId) => createContentTicket(room, personId, sessionId, windowId),
    nameOf(subjectId) {
      const { subjects } = snapshot()
      const subject = Object.hasOwn(subjects, subjectId) ? subjects[subjectId] : undefined
      return subject && { name: subject.name, displayName: subject.displayName, active: subject.state === 'active' }
    },
    limitsOf: (subjectId, experiment) => personIn(snapshot(), subjectId)?.workLimits?.[experiment] ?? {},
    whyNotOn: (subjectId, action, experiment) => whyNotOn(snapshot(), subjectId, action, experiment, clock.nowMs()),
    platformUidOf: (personId) => platformUidOf(room.kysely, personId),
    async experimentGroupOf(experiment) {
      const { experiments = {} } = snapshot()
      if (Object.hasOwn(experiments, experiment)) return experiments[experiment]!
      await room.change((trx) => ensureRoot(room, trx, experiment, platformOrigin))
      return snapshot().experiments![experiment]!
    },
    assumeRole: sts.assumeRole,
    leftBehind: (personId) => leftBehind(room.kysely, personId),
    sweep,
    askInstitutes: () => federation.recheck(),
    clockTrouble: () => clock.trouble(),
    recordDenial: (denial) => auditing.denials.record(ofObject(denial)),
    auditTrouble: () => auditing.trouble(),
    close,
    [Symbol.asyncDispose]: close,
  }
}

function mintToken(
  signer: Signer,
  snapshot: IdentitySnapshot,
  { subjectId, kind, actorId, actions, experiment, lifetimeMs }: TokenRequest,
  clock: Clock,
): { token: string; expiresAtMs: number } {
  const person = activeSubject(snapshot, subjectId)
  if (person?.kind !== 'person')
    throw identityFaults.noSuchPerson(`There is no active person with the id '${subjectId}'.`)
  const refused = actions.find((action) => personOnlyActions.has(action) || !allActions.includes(action))
  if (refused !== undefined) throw identityFaults.invalidLimits(`A ${kind} can never ${refused}.`)
  if (!(lifetimeMs >= 1000 && lifetimeMs <= longestTokenMs)) {
    throw identityFaults.invalidLimits('A token of a session or job lives between one second and twelve hours.')
  }
  // A token of a session or job that has a key lives no longer than the key, which goes when the work ends.
  const bound = Object.entries(snapshot.accessKeys).find(
    ([, { actor, subjectId: owner }]) => actor?.id === actorId && actor?.kind === kind && owner === subjectId,
  )
  const token = signer.token(
    {
      aud: snapshot.audience,
      sub: person.id,
      client_id: kind,
      jti: uuid7(clock.nowMs()),
      scope: [...new Set(actions)].join(' '),
      epoch: person.epoch,
      'wlcg.ver': '1.0',
      act: { sub: `${kind}:${actorId ?? uuid7(clock.nowMs())}` },
      cygnet: {
        kind,
        ...(experiment === undefined ? {} : { experiment }),
        ...(bound !== undefined && { accessKeyId: bound[0] }),
      },
      lifetimeMs,
    },
    'at+jwt',
  )
  return { token, expiresAtMs: Math.floor(clock.nowMs() / 1000) * 1000 + Math.floor(lifetimeMs / 1000) * 1000 }
}
