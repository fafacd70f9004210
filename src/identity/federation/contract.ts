/** Institute login: issuers, import rules, linked identities: what it says over HTTP. Joined into the room's contract. */
import { z } from 'zod'
import { timeMs, type Routes } from '../../foundation/contract.ts'
import { groupPathSchema } from '../groups/contract.ts'
import { personRoles } from '../subject.ts'

/** The only address an institute sends a browser back to; it is registered there. */
export const callbackPath = '/api/identity/federation/callback'
/** Where an institute that signs somebody out tells us so: a form (OpenID Connect Back-Channel Logout), so it is bound by hand. */
export const upstreamLogoutPath = '/api/identity/federation/logout'
/** Our own page on which the browser arrives after an institute, and where everything is decided. */
export const landingPath = '/institute'

const identifierSchema = z.string().min(1).max(64)
/** Compared as it is, character by character: `https://iam.example.org` and `https://iam.example.org/` are two issuers. */
export const issuerUrlSchema = z
  .string()
  .max(255)
  .regex(/^https?:\/\/[^\s?#@\\]+$/, 'an https address without query, fragment or user name')
const lineSchema = z
  .string()
  .trim()
  .regex(/^[^\p{Cc}\p{Cf}]*$/u, 'one line of ordinary characters')
const bucketPrefixSchema = z
  .string()
  .max(255)
  .regex(/^[a-z0-9][a-z0-9.-]*(\/[^/\s]+)*$/, 'bucket/prefix, for example cygno-data/fts')

/** Access tokens of other issuers that are accepted here (FTS, Rucio, HTCondor of the institute). */
export const trustSchema = z.object({
  experiment: z.string().min(1).max(40),
  /** Paths of the token's scopes begin here. */
  prefix: bucketPrefixSchema,
  /** Scope names accepted; a token's other scopes give nothing. */
  scopes: z
    .array(z.enum(['storage.read', 'storage.create', 'storage.modify']))
    .min(1)
    .max(3),
  /** `aud` must be one of these. */
  audiences: z.array(lineSchema.min(1).max(255)).min(1).max(10),
  /** `exp - iat` at most this. */
  maxLifetimeMs: z
    .number()
    .int()
    .min(60_000)
    .max(24 * 3_600_000),
  /** Older WLCG issuers write `typ: JWT`. */
  tokenTypes: z
    .array(z.enum(['at+jwt', 'JWT']))
    .min(1)
    .max(2),
})
export type Trust = z.infer<typeof trustSchema>

/** A trusted issuer as gateways get it, with its public keys. */
export const trustedIssuerSchema = trustSchema.extend({
  issuer: z.string(),
  keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })),
})
export type TrustedIssuer = z.infer<typeof trustedIssuerSchema>

const issuerSettings = {
  label: lineSchema.min(1).max(60),
  /** What the sign-in page says this institute vouches for. */
  vouches: lineSchema.max(200).default(''),
  /** Absent: nobody signs in there, it is only trusted for access tokens. */
  clientId: lineSchema.min(1).max(255).nullable().default(null),
  scopes: lineSchema.max(500).default('openid profile email offline_access'),
  /** The claim with the groups, which rules usually ask for. */
  groupsClaim: lineSchema.min(1).max(100).default('wlcg.groups'),
  /** What somebody lost there is lost here after so many minutes at the latest, while the institute can be asked. */
  recheckMinutes: z.number().int().min(5).max(1440).default(60),
  trust: trustSchema.nullable().default(null),
}

const issuerStateSchema = z.enum(['enabled', 'disabled'])

export const issuerSchema = z.object({
  id: z.string(),
  issuer: z.string(),
  label: z.string(),
  vouches: z.string(),
  clientId: z.string().nullable(),
  hasSecret: z.boolean(),
  scopes: z.string(),
  groupsClaim: z.string(),
  recheckMinutes: z.number().int(),
  trust: trustSchema.nullable(),
  state: issuerStateSchema,
  createdAtMs: timeMs,
  /** Linked identities, and what is known about the last check of their groups. */
  identities: z.number().int(),
  rules: z.number().int(),
  oldestCheckAtMs: timeMs.nullable(),
  lastCheckAtMs: timeMs.nullable(),
  /** Why the last attempt to reach it failed; null: it did not. */
  problem: z.string().nullable(),
  /** Of trusted issuers: when the keys were fetched last. */
  keysAtMs: timeMs.nullable(),
})

/** What the discovery check found, in the words of the person who has to repair it. */
export const issuerCheckSchema = z.object({
  ok: z.boolean(),
  /** To be registered at the institute. */
  redirectUri: z.string(),
  logoutUri: z.string(),
  afterLogoutUri: z.string(),
  findings: z.array(
    z.object({ level: z.enum(['good', 'note', 'bad']), text: z.string(), hint: z.string().optional() }),
  ),
})

const ruleSettings = {
  claim: lineSchema.min(1).max(100),
  value: lineSchema.min(1).max(255),
  group: groupPathSchema,
  role: z.enum(personRoles),
  /** The membership ends so long after the last sign-in there; null: when the claim goes. */
  lifetimeMs: z
    .number()
    .int()
    .min(3_600_000)
    .max(400 * 86_400_000)
    .nullable()
    .default(null),
}
export const importRuleSchema = z.object({
  id: z.string(),
  issuerId: z.string(),
  issuerLabel: z.string(),
  claim: z.string(),
  value: z.string(),
  group: z.string(),
  role: z.string(),
  lifetimeMs: z.number().int().nullable(),
  createdAtMs: timeMs,
  /** How many people have a membership by it now. */
  holders: z.number().int(),
})

const affectedSchema = z.object({ personId: z.string(), name: z.string(), displayName: z.string(), label: z.string() })
export const rulePreviewSchema = z.object({
  /** Who would get the membership, by what the institute said last about those who have signed in. */
  gain: z.array(affectedSchema),
  /** Who has it already by another way, or by this rule. */
  keep: z.array(affectedSchema),
  /** Known identities of this issuer, and those whose claims have never been seen. */
  known: z.number().int(),
  unseen: z.number().int(),
  /** Values of this claim that were seen, most frequent first: a typing error shows here. */
  seenValues: z.array(z.object({ value: z.string(), people: z.number().int() })),
})

export const identitySchema = z.object({
  id: z.string(),
  issuer: z.string(),
  issuerLabel: z.string(),
  /** Known there as; for showing only. */
  label: z.string(),
  subject: z.string(),
  /** False: its issuer is disabled or gone, nobody can sign in with it. */
  usable: z.boolean(),
  assurance: z.string(),
  createdAtMs: timeMs,
  lastUsedAtMs: timeMs,
  checkedAtMs: timeMs.nullable(),
})

/** An institute on the sign-in page. */
export const instituteSchema = z.object({
  id: z.string(),
  issuer: z.string(),
  label: z.string(),
  vouches: z.string(),
})

/** What comes next for a browser that is back from an institute. */
export const landingSchema = z.discriminatedUnion('step', [
  z.object({ step: z.literal('signed-in'), next: z.string() }),
  z.object({
    step: z.literal('choose-name'),
    institute: z.string(),
    knownAs: z.string(),
    proposedName: z.string(),
    displayName: z.string(),
    /** What the import rules or the invitation give. */
    gives: z.array(z.object({ group: z.string(), role: z.enum(personRoles) })),
    invited: z.boolean(),
  }),
  z.object({
    step: z.literal('not-invited'),
    institute: z.string(),
    knownAs: z.string(),
    subject: z.string(),
    platform: z.string(),
  }),
  z.object({
    step: z.literal('confirm-link'),
    institute: z.string(),
    knownAs: z.string(),
    account: z.object({ name: z.string(), displayName: z.string() }),
  }),
  /** The sponsor has to say who this is; `next` tells so. */
  z.object({ step: z.literal('waiting'), next: z.string() }),
  z.object({ step: z.literal('linked'), institute: z.string(), knownAs: z.string(), next: z.string() }),
  /** Signed out here; the session at the institute can be ended at this address, if there is one. */
  z.object({ step: z.literal('signed-out'), institute: z.string(), location: z.string().nullable() }),
])

const issuerParams = z.object({ issuer: identifierSchema })
const site = { action: 'site.admin', of: 'site' } as const

export const federationRoutes = {
  listInstitutes: {
    method: 'GET',
    path: '/api/identity/federation/institutes',
    summary: 'Institutes at which one can sign in',
    permission: 'public',
    answer: z.object({ items: z.array(instituteSchema) }),
  },
  startInstituteLogin: {
    method: 'POST',
    path: '/api/identity/federation/start',
    summary: 'Begin a sign-in at an institute; the page then goes to `location`',
    permission: 'public',
    body: z.object({
      institute: identifierSchema,
      /** `link` adds an identity to the signed-in account; `join` accepts the invitation that this browser has opened. */
      purpose: z.enum(['login', 'link', 'join']).default('login'),
      next: z.string().max(5000).optional(),
      /** Ask for the password there again, even where somebody is signed in. */
      again: z.boolean().default(false),
    }),
    answer: z.object({ location: z.string() }),
  },
  instituteCallback: {
    method: 'GET',
    path: callbackPath,
    summary: 'Where institutes send the browser back to; goes on to our own page',
    permission: 'public',
    stream: 'bytes',
  },
  continueInstituteLogin: {
    method: 'POST',
    path: '/api/identity/federation/continue',
    summary: 'What comes next for a browser that is back from an institute, or do it',
    permission: 'public',
    body: z.object({
      /** Of a newcomer: chosen once. */
      name: z
        .string()
        .regex(/^[a-z][a-z0-9]{1,19}$/, 'two to twenty small letters or digits, a letter first')
        .optional(),
      displayName: lineSchema.min(1).max(100).optional(),
      /** Yes, link these two. */
      confirm: z.boolean().optional(),
    }),
    answer: landingSchema,
  },
  listIdentities: {
    method: 'GET',
    path: '/api/identity/identities',
    summary: 'Institute identities that are linked to me',
    permission: 'signed-in',
    answer: z.object({ items: z.array(identitySchema) }),
  },
  unlinkIdentity: {
    method: 'DELETE',
    path: '/api/identity/identities/:identity',
    summary: 'Unlink an institute identity; refused for the last way to sign in',
    permission: 'signed-in',
    params: z.object({ identity: identifierSchema }),
    answer: z.object({ unlinked: z.literal(true) }),
  },
  listIssuers: {
    method: 'GET',
    path: '/api/identity/issuers',
    summary: 'Identity providers: settings, state, last check of groups',
    permission: site,
    answer: z.object({ items: z.array(issuerSchema), redirectUri: z.string(), logoutUri: z.string() }),
  },
  checkIssuer: {
    method: 'POST',
    path: '/api/identity/issuers/check',
    summary: 'Ask an issuer for its description and say what is wrong with it; nothing is kept',
    permission: site,
    body: z.object({ issuer: issuerUrlSchema, scopes: issuerSettings.scopes.optional() }),
    answer: issuerCheckSchema,
  },
  addIssuer: {
    method: 'POST',
    path: '/api/identity/issuers',
    summary: 'Add an identity provider; it is checked first and then enabled',
    permission: site,
    body: z.object({ issuer: issuerUrlSchema, clientSecret: z.string().min(1).max(500).optional(), ...issuerSettings }),
    answer: issuerSchema,
  },
  changeIssuer: {
    method: 'PATCH',
    path: '/api/identity/issuers/:issuer',
    summary: 'Change the settings of an identity provider; its address never changes',
    permission: site,
    params: issuerParams,
    body: z.object({
      label: issuerSettings.label.optional(),
      vouches: lineSchema.max(200).optional(),
      clientId: lineSchema.min(1).max(255).nullable().optional(),
      /** null removes it. */
      clientSecret: z.string().min(1).max(500).nullable().optional(),
      scopes: lineSchema.max(500).optional(),
      groupsClaim: lineSchema.min(1).max(100).optional(),
      recheckMinutes: z.number().int().min(5).max(1440).optional(),
      trust: trustSchema.nullable().optional(),
    }),
    answer: issuerSchema,
  },
  setIssuerState: {
    method: 'POST',
    path: '/api/identity/issuers/:issuer/state',
    summary: 'Enable or disable an identity provider everywhere: sign-in, linking, checks, tokens',
    permission: site,
    params: issuerParams,
    body: z.object({ state: issuerStateSchema }),
    answer: issuerSchema,
  },
  listImportRules: {
    method: 'GET',
    path: '/api/identity/import-rules',
    summary: 'Which claims of which institute give which role',
    permission: site,
    answer: z.object({ items: z.array(importRuleSchema) }),
  },
  addImportRule: {
    method: 'POST',
    path: '/api/identity/import-rules',
    summary: 'Add an import rule; those who are known get the role at once',
    permission: site,
    body: z.object({ issuer: identifierSchema, ...ruleSettings }),
    answer: importRuleSchema,
  },
  previewImportRule: {
    method: 'POST',
    path: '/api/identity/import-rules/preview',
    summary: 'Who would get what by an import rule; nothing is changed',
    permission: site,
    body: z.object({ issuer: identifierSchema, ...ruleSettings }),
    answer: rulePreviewSchema,
  },
  removeImportRule: {
    method: 'DELETE',
    path: '/api/identity/import-rules/:rule',
    summary: 'Remove an import rule; what it gave ends at once',
    permission: site,
    params: z.object({ rule: identifierSchema }),
    answer: z.object({ removed: z.literal(true), ended: z.number().int() }),
  },
} as const satisfies Routes
