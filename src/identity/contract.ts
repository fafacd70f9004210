import { z } from 'zod'
import { defineContract, nameSchema, pageOf, pageQuery, timeMs } from '../foundation/contract.ts'
import { groupRoutes } from './groups/contract.ts'
import { federationRoutes } from './federation/contract.ts'
import { factorRoutes } from './factors/contract.ts'
import { invitationRoutes } from './invitations/contract.ts'
import { tokenRoutes } from './tokens/contract.ts'
import { auditingRoutes } from './auditing/contract.ts'
import { decisionRoutes } from './decisions/contract.ts'
import { personRoles, roles } from './subject.ts'

export { mailSettings } from './invitations/mail-settings.ts'
export { decisionActions, type Cut, type Decided } from './decisions/contract.ts'
export { experimentGroup, isExperimentGid, type ExperimentGroup } from './experiment-group.ts'
export { decide, rightsOf, type Decision, type Resource } from './decide.ts'
export {
  covers,
  formatCapability,
  includes,
  intersect,
  parseCapability,
  placedActions,
} from './decisions/capability.ts'
export {
  personRoles,
  type Capability,
  type PersonRole,
  type Role,
  type RoleGrant,
  type Limits,
  type Subject,
  type SubjectKind,
} from './subject.ts'

export { auditEntrySchema, auditFilterSchema, auditReportSchema } from './auditing/contract.ts'

export const personNameSchema = z
  .string()
  .regex(/^[a-z][a-z0-9]{1,19}$/, 'two to twenty small letters or digits, a letter first')
const displayNameSchema = z.string().trim().min(1).max(100)
const labelSchema = z.string().trim().max(100)
const identifierSchema = z.string().min(1).max(64)

export const personRoleSchema = z.enum(personRoles)
export const roleGrantSchema = z.object({ experiment: nameSchema, role: personRoleSchema })
const capabilitySchema = z.object({ action: z.string(), place: z.string().optional() })
const anyRoleGrantSchema = z.object({
  experiment: z.string(),
  role: z.enum(roles),
  /** Of a group below the experiment: its path. */
  group: z.string().optional(),
  untilMs: timeMs.optional(),
  capabilities: z.array(capabilitySchema).optional(),
})
export const limitsSchema = z.object({
  actions: z.array(z.string()).optional(),
  prefix: z.string().optional(),
  experiment: z.string().optional(),
  capabilities: z.array(capabilitySchema).optional(),
})

/** What the signed-in caller is; the web app asks this first and shows the sign-in page on 401. */
export const meSchema = z.object({
  id: z.string(),
  kind: z.enum(['person', 'client', 'session', 'job']),
  name: z.string(),
  displayName: z.string(),
  siteAdmin: z.boolean(),
  roles: z.array(anyRoleGrantSchema),
  limits: limitsSchema.optional(),
  /** Experiment name (or `site`) to what the caller may do there to anybody's things: for showing buttons, never for deciding. */
  rights: z.record(z.string(), z.array(z.string())),
  signedInBy: z.enum(['browser-session', 'access-token']),
  /** Absolute end of the browser session or token. */
  expiresAtMs: timeMs.nullable(),
  /** Of a browser session: has a passkey, or a password with its app. */
  secondFactor: z.boolean().optional(),
  /** Came by a recovery link and can do nothing but make a new factor. */
  recovering: z.boolean().optional(),
})

export const personSchema = z.object({
  id: z.string(),
  name: z.string(),
  displayName: z.string(),
  state: z.enum(['active', 'grace', 'suspended', 'archived', 'erased']),
  siteAdmin: z.boolean(),
  roles: z.array(anyRoleGrantSchema),
  createdAtMs: timeMs,
})

/** A one-time link; the code is in the fragment, so it reaches no log. Shown once. */
export const signInLinkSchema = z.object({ url: z.string(), expiresAtMs: timeMs })

export const accessKeySchema = z.object({
  accessKeyId: z.string(),
  subjectId: z.string(),
  subjectName: z.string(),
  label: z.string(),
  limits: limitsSchema,
  createdAtMs: timeMs,
  expiresAtMs: timeMs.nullable(),
})
/** The only answer that ever carries the secret. */
export const newAccessKeySchema = accessKeySchema.extend({ secretAccessKey: z.string() })

export const clientSchema = z.object({
  id: z.string(),
  name: z.string(),
  experiment: z.string(),
  state: z.enum(['active', 'suspended']),
  createdAtMs: timeMs,
  accessKeyIds: z.array(z.string()),
})

export const tokenSchema = z.object({
  accessToken: z.string(),
  tokenType: z.literal('Bearer'),
  expiresAtMs: timeMs,
  /** Only for a one-time code: lets the command line renew at `<publicUrl>/oidc/token` as client `cli`. */
  refreshToken: z.string().optional(),
})

const authorizationRequestSchema = z.object({
  clientName: z.string(),
  scopes: z.array(z.string()),
  /** Where the request came from; null when unknown. */
  address: z.string().nullable(),
  expiresAtMs: timeMs,
})
const decisionBody = z.object({ decision: z.enum(['approve', 'deny']) })
const personParams = z.object({ person: identifierSchema })
const signedIn = 'signed-in' as const
const site = { action: 'site.admin', of: 'site' } as const

export const identityContract = defineContract('identity', {
  ...groupRoutes,
  ...federationRoutes,
  ...factorRoutes,
  ...invitationRoutes,
  ...tokenRoutes,
  ...auditingRoutes,
  ...decisionRoutes,
  me: {
    method: 'GET',
    path: '/api/identity/me',
    summary: 'Who I am and what I may do',
    permission: signedIn,
    answer: meSchema,
  },
  redeemCode: {
    method: 'POST',
    path: '/api/identity/sessions/redeem',
    summary: 'Exchange a one-time code for a browser session (cookie)',
    permission: 'public',
    body: z.object({ code: z.string().min(1).max(200) }),
    answer: z.object({ name: z.string(), expiresAtMs: timeMs }),
  },
  signOut: {
    method: 'DELETE',
    path: '/api/identity/session',
    summary: 'End this browser session',
    permission: signedIn,
    answer: z.object({
      signedOut: z.literal(true),
      /** The page that offers to sign out at the institute too, if the session came from there. */
      next: z.string().optional(),
    }),
  },
  listSessions: {
    method: 'GET',
    path: '/api/identity/sessions',
    summary: 'My browser sessions',
    permission: signedIn,
    answer: z.object({
      items: z.array(
        z.object({
          id: z.string(),
          current: z.boolean(),
          createdAtMs: timeMs,
          lastSeenAtMs: timeMs,
          expiresAtMs: timeMs,
          address: z.string(),
          userAgent: z.string(),
        }),
      ),
    }),
  },
  signOutEverywhere: {
    method: 'DELETE',
    path: '/api/identity/sessions',
    summary: 'End all my browser sessions, tokens and command line sign-ins',
    permission: signedIn,
    answer: z.object({ signedOut: z.literal(true) }),
  },
  token: {
    method: 'POST',
    path: '/api/identity/token',
    summary: 'One hour access token for an access key, or for a one-time code',
    permission: 'public',
    body: z.union([
      z.object({ accessKeyId: z.string().max(64), secretAccessKey: z.string().max(128) }).strict(),
      z.object({ code: z.string().min(1).max(200) }).strict(),
    ]),
    answer: tokenSchema,
  },
  listAccessKeys: {
    method: 'GET',
    path: '/api/identity/access-keys',
    summary: 'Access keys of mine, or of a client I administer',
    permission: signedIn,
    query: pageQuery.extend({ client: identifierSchema.optional() }),
    answer: pageOf(accessKeySchema),
  },
  createAccessKey: {
    method: 'POST',
    path: '/api/identity/access-keys',
    summary: 'New S3 access key of mine, or of a client I administer; the secret is shown once',
    permission: signedIn,
    body: z.object({
      client: identifierSchema.optional(),
      label: labelSchema.default(''),
      limits: limitsSchema.strict().optional(),
      lifetimeMs: z
        .number()
        .int()
        .min(60_000)
        .max(400 * 86_400_000)
        .optional(),
    }),
    answer: newAccessKeySchema,
  },
  revokeAccessKey: {
    method: 'DELETE',
    path: '/api/identity/access-keys/:accessKey',
    summary: 'Revoke an access key at once',
    permission: signedIn,
    params: z.object({ accessKey: identifierSchema }),
    answer: z.object({ revoked: z.literal(true) }),
  },
  listClients: {
    method: 'GET',
    path: '/api/identity/clients',
    summary: 'Registered machines of an experiment',
    permission: { action: 'experiment.admin', of: 'query.experiment' },
    query: pageQuery.extend({ experiment: nameSchema }),
    answer: pageOf(clientSchema),
  },
  registerClient: {
    method: 'POST',
    path: '/api/identity/clients',
    summary: 'Register a DAQ machine; its create-only key is shown once',
    permission: { action: 'experiment.admin', of: 'body.experiment' },
    body: z.object({ experiment: nameSchema, name: z.string().regex(/^[a-z][a-z0-9-]{1,39}$/) }),
    answer: z.object({ client: clientSchema, accessKey: newAccessKeySchema }),
  },
  revokeClient: {
    method: 'DELETE',
    path: '/api/identity/clients/:client',
    summary: 'Suspend a machine and revoke all its keys',
    permission: { action: 'experiment.admin', of: 'loaded' },
    params: z.object({ client: identifierSchema }),
    answer: z.object({ revoked: z.literal(true) }),
  },
  listPeople: {
    method: 'GET',
    path: '/api/identity/people',
    summary: 'People, all of them for the site admin, of one experiment for its managers',
    permission: { action: 'people.manage', of: 'loaded' },
    query: pageQuery.extend({ experiment: nameSchema.optional() }),
    answer: pageOf(personSchema),
  },
  createPerson: {
    method: 'POST',
    path: '/api/identity/people',
    summary: 'Create a person; answers a one-time sign-in link',
    permission: site,
    body: z.object({
      name: personNameSchema,
      displayName: displayNameSchema,
      roles: z.array(roleGrantSchema).max(50).default([]),
      siteAdmin: z.boolean().default(false),
    }),
    answer: z.object({ person: personSchema, signInLink: signInLinkSchema }),
  },
  createSignInLink: {
    method: 'POST',
    path: '/api/identity/people/:person/sign-in-links',
    summary: 'A new one-time sign-in link for a person; earlier unused ones stop working',
    permission: site,
    params: personParams,
    answer: signInLinkSchema,
  },
  setRole: {
    method: 'PATCH',
    path: '/api/identity/people/:person/roles',
    summary: "Set or remove a person's role in one experiment, inside the caller's own ceiling",
    permission: { action: 'people.manage', of: 'body.experiment' },
    params: personParams,
    body: z.object({ experiment: nameSchema, role: personRoleSchema.nullable() }),
    answer: personSchema,
  },
  suspendPerson: {
    method: 'POST',
    path: '/api/identity/people/:person/suspend',
    summary: 'Suspend a person: every session, token and key stops within a second',
    permission: site,
    params: personParams,
    answer: personSchema,
  },
  reinstatePerson: {
    method: 'POST',
    path: '/api/identity/people/:person/reinstate',
    summary: 'Let a suspended person in again; old sessions and tokens stay dead',
    permission: site,
    params: personParams,
    answer: personSchema,
  },
  showDevice: {
    method: 'GET',
    path: '/api/identity/device/:userCode',
    summary: 'What the device with this code asks for (page /device)',
    permission: signedIn,
    params: z.object({ userCode: z.string().min(1).max(20) }),
    answer: authorizationRequestSchema.extend({ userCode: z.string() }),
  },
  decideDevice: {
    method: 'POST',
    path: '/api/identity/device/:userCode',
    summary: 'Approve or deny the device with this code',
    permission: signedIn,
    params: z.object({ userCode: z.string().min(1).max(20) }),
    body: decisionBody,
    answer: z.object({ decision: z.enum(['approve', 'deny']) }),
  },
  showInteraction: {
    method: 'GET',
    path: '/api/identity/interactions/:interaction',
    summary: 'What an application asks for (page /sign-in?interaction=…)',
    permission: signedIn,
    params: z.object({ interaction: identifierSchema }),
    answer: authorizationRequestSchema,
  },
  decideInteraction: {
    method: 'POST',
    path: '/api/identity/interactions/:interaction',
    summary: 'Approve or deny an application; the page then goes to `location`',
    permission: signedIn,
    params: z.object({ interaction: identifierSchema }),
    body: decisionBody,
    answer: z.object({ location: z.string() }),
  },
  redeemContentTicket: {
    method: 'POST',
    path: '/api/identity/content-tickets/redeem',
    summary: 'For gateways: exchange a single-use ticket of the content origin',
    permission: 'public',
    body: z.object({ ticket: z.string().min(1).max(200) }),
    answer: z.object({
      personId: z.string(),
      sessionId: z.string(),
      epoch: z.number().int(),
      expiresAtMs: timeMs,
      windowId: z.string().optional(),
    }),
  },
})
