/** Invitations, accounts from first to last day, requests for experiments, mail: what it says over HTTP. Joined into the room's contract. */
import { z } from 'zod'
import { nameSchema, pageOf, pageQuery, timeMs, type Routes } from '../../foundation/contract.ts'
import { passkeyMadeSchema } from '../factors/contract.ts'
import { groupPathSchema } from '../groups/policy.ts'
import { personRoles } from '../subject.ts'

export const dayMs = 86_400_000
export const invitationLifetimeMs = 72 * 3_600_000
export const longestInvitationMs = 14 * dayMs
export const guestAccessMs = 182 * dayMs
export const longestGuestAccessMs = 365 * dayMs
export const graceMs = 14 * dayMs

/** One '@', plain characters: what we can write to, never a proof of anything. */
export const emailSchema = z
  .string()
  .trim()
  .max(254)
  .regex(
    /^[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?(?:\.[A-Za-z0-9](?:[A-Za-z0-9-]*[A-Za-z0-9])?)+$/,
    {
      error: 'one plain e-mail address',
    },
  )
const newNameSchema = z.string().regex(/^[a-z][a-z0-9]{1,19}$/, 'two to twenty small letters or digits, a letter first')
const displayNameSchema = z.string().trim().min(1).max(100)
const codeSchema = z.string().trim().min(1).max(200)
const languageSchema = z.enum(['en', 'it'])
const identifierSchema = z.string().min(1).max(64)
const roleSchema = z.enum(personRoles)

export const mailStateSchema = z.enum(['none', 'waiting', 'sending', 'sent', 'dead', 'dropped'])

export const invitationSchema = z.object({
  id: z.string(),
  kind: z.enum(['person', 'class']),
  experiment: z.string(),
  group: z.string(),
  role: roleSchema,
  invitedBy: z.object({ id: z.string(), name: z.string() }),
  sponsor: z.object({ id: z.string(), name: z.string(), displayName: z.string() }),
  addressedTo: z.string().nullable(),
  issuers: z.array(z.string()).nullable(),
  message: z.string(),
  accessEndMs: timeMs.nullable(),
  maxUses: z.number().int(),
  used: z.number().int(),
  createdAtMs: timeMs,
  expiresAtMs: timeMs,
  state: z.enum(['open', 'used', 'expired', 'revoked', 'declined']),
  mail: mailStateSchema,
  /** Those who wait for the sponsor's word. */
  waiting: z.array(
    z.object({ id: z.string(), displayName: z.string(), email: z.string(), label: z.string(), issuer: z.string() }),
  ),
})
/** The only answer that holds the link. */
export const newInvitationSchema = invitationSchema.extend({ url: z.string() })

export const termsSchema = z.object({
  version: z.number().int(),
  text: z.string(),
  publishedAtMs: timeMs.nullable(),
})

export const joinSchema = z.object({
  kind: z.enum(['person', 'class']),
  experiment: z.string(),
  group: z.string(),
  role: roleSchema,
  sponsor: z.string(),
  invitedBy: z.string(),
  addressedTo: z.string().nullable(),
  message: z.string(),
  /** Issuers that may vouch; null: any way in, also without an institute. */
  issuers: z.array(z.string()).nullable(),
  accessEndMs: timeMs.nullable(),
  expiresAtMs: timeMs,
  terms: termsSchema,
  /** 'in': this browser has come in with it; 'waiting': the sponsor has to say who this is. */
  state: z.enum(['open', 'waiting', 'in']),
})

export const guestSchema = z.object({
  id: z.string(),
  name: z.string(),
  displayName: z.string(),
  state: z.enum(['active', 'grace', 'suspended', 'archived', 'erased']),
  sponsor: z.object({ id: z.string(), name: z.string() }).nullable(),
  email: z.string().nullable(),
  groups: z.array(z.string()),
  accessEndMs: timeMs.nullable(),
  /** Of grace and suspension: when the next step comes. */
  nextStepAtMs: timeMs.nullable(),
  /** Its sponsor has left; somebody else has to take it over. */
  orphan: z.boolean(),
  joinedAtMs: timeMs,
})

export const contactSchema = z.object({
  email: z.string().nullable(),
  verified: z.boolean(),
  language: z.string(),
  accessEndMs: timeMs.nullable(),
  sponsor: z.string().nullable(),
  /** Does this platform send mail at all? */
  mailGoesOut: z.boolean(),
})

export const experimentRequestSchema = z.object({
  id: z.string(),
  name: z.string(),
  title: z.string(),
  purpose: z.string(),
  people: z.number().int(),
  storageBytes: z.number().int(),
  endsAtMs: timeMs,
  applicant: z.string(),
  email: z.string(),
  knownBy: z.enum(['nothing', 'mail', 'account']),
  state: z.enum(['unconfirmed', 'waiting', 'approved', 'rejected']),
  createdAtMs: timeMs,
  decidedAtMs: timeMs.nullable(),
  decidedBy: z.string().nullable(),
  reason: z.string().nullable(),
})

export const mailSchema = z.object({
  id: z.string(),
  recipient: z.string(),
  template: z.string(),
  state: mailStateSchema,
  attempts: z.number().int(),
  nextAtMs: timeMs,
  createdAtMs: timeMs,
  endedAtMs: timeMs.nullable(),
  reason: z.string().nullable(),
})

const site = { action: 'site.admin', of: 'site' } as const
const invitationParams = z.object({ invitation: identifierSchema })
const personParams = z.object({ person: identifierSchema })
const requestParams = z.object({ request: identifierSchema })
const newInvitationBody = z
  .object({
    experiment: nameSchema,
    /** Default: the experiment's own group. */
    group: groupPathSchema.optional(),
    role: roleSchema,
    /** Who answers for the guest; default: who invites. */
    sponsor: identifierSchema.optional(),
    addressedTo: emailSchema.optional(),
    issuers: z.array(z.url()).min(1).max(20).optional(),
    message: z.string().trim().max(500).default(''),
    /** Guests: half a year, at most one; others: none. */
    accessEndMs: timeMs.optional(),
    lifetimeMs: z.number().int().min(60_000).max(longestInvitationMs).default(invitationLifetimeMs),
    language: languageSchema.default('en'),
  })
  .strict()

export const invitationRoutes = {
  createInvitation: {
    method: 'POST',
    path: '/api/identity/invitations',
    summary: 'Invite somebody into a group; answers the link, which works once',
    permission: 'signed-in',
    body: newInvitationBody,
    answer: newInvitationSchema,
  },
  createClassLink: {
    method: 'POST',
    path: '/api/identity/class-links',
    summary: 'One link for a course: so many seats, one end of access for all',
    permission: { action: 'people.manage', of: 'loaded' },
    body: newInvitationBody.omit({ addressedTo: true, sponsor: true }).extend({
      role: z.enum(['guest', 'member']).default('guest'),
      seats: z.number().int().min(1).max(500),
      accessEndMs: timeMs,
    }),
    answer: newInvitationSchema,
  },
  listInvitations: {
    method: 'GET',
    path: '/api/identity/invitations',
    summary: 'Invitations of an experiment: all of them for its managers, else mine; newest first',
    permission: 'signed-in',
    query: pageQuery.extend({ experiment: nameSchema }),
    answer: pageOf(invitationSchema),
  },
  revokeInvitation: {
    method: 'DELETE',
    path: '/api/identity/invitations/:invitation',
    summary: 'The link works no more; who came in stays',
    permission: 'signed-in',
    params: invitationParams,
    answer: invitationSchema,
  },
  renewInvitation: {
    method: 'POST',
    path: '/api/identity/invitations/:invitation/renew',
    summary: 'A new link in place of the old one, which stops working; mailed again if there is an address',
    permission: 'signed-in',
    params: invitationParams,
    body: z
      .object({ lifetimeMs: z.number().int().min(60_000).max(longestInvitationMs).default(invitationLifetimeMs) })
      .strict(),
    answer: newInvitationSchema,
  },
  showClass: {
    method: 'GET',
    path: '/api/identity/class-links/:invitation/people',
    summary: 'Who has come in by a class link',
    permission: { action: 'people.manage', of: 'loaded' },
    params: invitationParams,
    answer: z.object({ invitation: invitationSchema, people: z.array(guestSchema) }),
  },
  endClass: {
    method: 'POST',
    path: '/api/identity/class-links/:invitation/end',
    summary: 'End the link and the access of everybody who came in by it',
    permission: { action: 'people.manage', of: 'loaded' },
    params: invitationParams,
    answer: z.object({ ended: z.number().int() }),
  },
  decideJoin: {
    method: 'POST',
    path: '/api/identity/join-confirmations/:confirmation',
    summary: 'The sponsor says, by name, whether this is whom he invited',
    permission: 'signed-in',
    params: z.object({ confirmation: identifierSchema }),
    body: z.object({ decision: z.enum(['confirm', 'refuse']), displayName: z.string().trim().max(100) }).strict(),
    answer: invitationSchema,
  },
  openJoin: {
    method: 'POST',
    path: '/api/identity/join/open',
    summary: 'What an invitation link leads to (page /join); opening it accepts nothing',
    permission: 'public',
    body: z.object({ code: codeSchema, language: languageSchema.default('en') }).strict(),
    answer: joinSchema,
  },
  showJoin: {
    method: 'GET',
    path: '/api/identity/join',
    summary: 'The invitation that this browser has opened',
    permission: 'public',
    query: z.object({ language: languageSchema.default('en') }),
    answer: joinSchema,
  },
  joinByCode: {
    method: 'POST',
    path: '/api/identity/join',
    summary: 'Accept without an institute: choose a name, and be signed in',
    permission: 'public',
    body: z
      .object({
        displayName: displayNameSchema,
        /** Default: made from the full name. */
        name: newNameSchema.optional(),
        termsVersion: z.number().int(),
        language: languageSchema.default('en'),
      })
      .strict(),
    answer: z.object({ name: z.string(), experiment: z.string(), expiresAtMs: timeMs }),
  },
  joinAsMyself: {
    method: 'POST',
    path: '/api/identity/join/as-myself',
    summary: 'Accept with the account one is signed in with',
    permission: 'signed-in',
    body: z.object({ termsVersion: z.number().int() }).strict(),
    answer: z.object({ experiment: z.string() }),
  },
  joinPasskeyOptions: {
    method: 'POST',
    path: '/api/identity/join/passkey/options',
    summary: 'What the browser needs to make a passkey for the account that the invitation gives',
    permission: 'public',
    body: z.object({ displayName: displayNameSchema, name: newNameSchema.optional() }).strict(),
    answer: z.object({ options: z.record(z.string(), z.unknown()) }),
  },
  joinByPasskey: {
    method: 'POST',
    path: '/api/identity/join/passkey',
    summary: 'Accept with a passkey made in this browser, and be signed in',
    permission: 'public',
    body: z
      .object({
        displayName: displayNameSchema,
        name: newNameSchema.optional(),
        termsVersion: z.number().int(),
        language: languageSchema.default('en'),
        label: z.string().trim().max(100).default(''),
        passkey: passkeyMadeSchema,
      })
      .strict(),
    answer: z.object({ name: z.string(), experiment: z.string(), expiresAtMs: timeMs }),
  },
  acceptJoinTerms: {
    method: 'POST',
    path: '/api/identity/join/terms',
    summary: 'Agree to the rules before an institute login or a passkey; kept with the opened invitation',
    permission: 'public',
    body: z.object({ version: z.number().int(), language: languageSchema.default('en') }).strict(),
    answer: z.object({ accepted: z.literal(true) }),
  },
  declineJoin: {
    method: 'DELETE',
    path: '/api/identity/join',
    summary: 'Say no: the invitation ends and the sponsor is told',
    permission: 'public',
    answer: z.object({ declined: z.literal(true) }),
  },
  showTerms: {
    method: 'GET',
    path: '/api/identity/terms',
    summary: 'The rules of this site, and whether I have agreed to this version',
    permission: 'public',
    query: z.object({ language: languageSchema.default('en') }),
    answer: termsSchema.extend({ acceptedVersion: z.number().int().nullable(), due: z.boolean() }),
  },
  acceptTerms: {
    method: 'POST',
    path: '/api/identity/terms/accept',
    summary: 'Agree to the rules of this site',
    permission: 'signed-in',
    body: z.object({ version: z.number().int() }).strict(),
    answer: z.object({ version: z.number().int() }),
  },
  publishTerms: {
    method: 'POST',
    path: '/api/identity/terms',
    summary: 'A new version of the rules: nobody starts new work before agreeing; what runs goes on',
    permission: site,
    body: z.object({ text: z.string().trim().min(1).max(20_000) }).strict(),
    answer: termsSchema,
  },
  listGuests: {
    method: 'GET',
    path: '/api/identity/guests',
    summary: 'Guests for whom I answer; with an experiment: all of it, for its managers',
    permission: 'signed-in',
    query: z.object({ experiment: nameSchema.optional() }),
    answer: z.object({ items: z.array(guestSchema) }),
  },
  renewGuest: {
    method: 'POST',
    path: '/api/identity/guests/:person/renew',
    summary: 'Another half year, also out of grace and suspension; whoever renews is the sponsor from now on',
    permission: 'signed-in',
    params: personParams,
    body: z.object({ accessEndMs: timeMs.optional() }).strict(),
    answer: guestSchema,
  },
  endAccess: {
    method: 'POST',
    path: '/api/identity/people/:person/end',
    summary: 'End the access of somebody: read-only for 14 days, then suspended',
    permission: 'signed-in',
    params: personParams,
    answer: guestSchema,
  },
  archivePerson: {
    method: 'POST',
    path: '/api/identity/people/:person/archive',
    summary: 'Suspend for good: the home goes to the experiment, jobs and credentials are removed',
    permission: site,
    params: personParams,
    answer: guestSchema,
  },
  erasePerson: {
    method: 'POST',
    path: '/api/identity/people/:person/erase',
    summary: 'Replace the name of an archived person by a pseudonym, and forget everything else; cannot be undone',
    permission: site,
    params: personParams,
    answer: guestSchema,
  },
  showContact: {
    method: 'GET',
    path: '/api/identity/me/contact',
    summary: 'Where my notices go',
    permission: 'signed-in',
    answer: contactSchema,
  },
  setContact: {
    method: 'PUT',
    path: '/api/identity/me/contact',
    summary: 'Where my notices go, and in which language',
    permission: 'signed-in',
    body: z.object({ email: emailSchema.nullable(), language: languageSchema }).strict(),
    answer: contactSchema,
  },
  requestExperiment: {
    method: 'POST',
    path: '/api/identity/experiment-requests',
    summary: 'Ask for an experiment of one’s own',
    permission: 'public',
    body: z
      .object({
        name: nameSchema,
        title: z.string().trim().min(1).max(200),
        purpose: z.string().trim().max(2000).default(''),
        people: z.number().int().min(1).max(10_000),
        storageBytes: z.number().int().min(0).max(1e16),
        endsAtMs: timeMs,
        applicant: displayNameSchema,
        email: emailSchema,
        language: languageSchema.default('en'),
      })
      .strict(),
    answer: z.object({ id: z.string(), state: z.enum(['unconfirmed', 'waiting']) }),
  },
  confirmRequest: {
    method: 'POST',
    path: '/api/identity/experiment-requests/confirm',
    summary: 'The code that was mailed to the applicant',
    permission: 'public',
    body: z.object({ code: codeSchema }).strict(),
    answer: z.object({ name: z.string(), state: z.enum(['waiting', 'approved', 'rejected']) }),
  },
  listRequests: {
    method: 'GET',
    path: '/api/identity/experiment-requests',
    summary: 'Requests for experiments, newest first',
    permission: site,
    query: pageQuery,
    answer: pageOf(experimentRequestSchema),
  },
  approveRequest: {
    method: 'POST',
    path: '/api/identity/experiment-requests/:request/approve',
    summary: 'The experiment is made from the template, and the applicant is invited to run it',
    permission: site,
    params: requestParams,
    body: z.object({ quotaBytes: z.number().int().min(0).max(1e16).optional(), endsAtMs: timeMs.optional() }).strict(),
    answer: z.object({
      request: experimentRequestSchema,
      /** For a newcomer: to be given to him where no mail goes out. */ url: z.string().nullable(),
    }),
  },
  rejectRequest: {
    method: 'POST',
    path: '/api/identity/experiment-requests/:request/reject',
    summary: 'Say no, and why',
    permission: site,
    params: requestParams,
    body: z.object({ reason: z.string().trim().min(1).max(1000) }).strict(),
    answer: experimentRequestSchema,
  },
  listMail: {
    method: 'GET',
    path: '/api/identity/mail',
    summary: 'The outbox: what waits, what could not be sent and why',
    permission: site,
    query: pageQuery.extend({ state: mailStateSchema.optional() }),
    answer: pageOf(mailSchema).extend({ configured: z.boolean() }),
  },
  retryMail: {
    method: 'POST',
    path: '/api/identity/mail/:mail/retry',
    summary: 'Try a mail again that could not be sent',
    permission: site,
    params: z.object({ mail: identifierSchema }),
    answer: mailSchema,
  },
} as const satisfies Routes
