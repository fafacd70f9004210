/** Passkeys, passwords, codes: how a person proves who he is here: what it says over HTTP. Joined into the room's contract. */
import { z } from 'zod'
import { timeMs, type Routes } from '../../foundation/contract.ts'

export { passwordFault, shortestPassword } from './password-rules.ts'

/** What is dangerous for oneself (factors, identities) asks for a proof this young. */
export const ownProofMs = 5 * 60_000
/** What a site admin changes asks for two factors this young, once he has two. */
export const adminProofMs = 15 * 60_000

const signedIn = 'signed-in' as const
const site = { action: 'site.admin', of: 'site' } as const
const loaded = { action: 'people.manage', of: 'loaded' } as const
const identifier = z.string().min(1).max(64)
const labelSchema = z.string().trim().min(1).max(60)
const base64url = (most: number) =>
  z
    .string()
    .max(most)
    .regex(/^[A-Za-z0-9_-]*$/)

/** What a browser's `navigator.credentials` gave, as JSON (WebAuthn Level 3, 5.1); checked in every part by the server. */
const credentialParts = { id: base64url(1400), rawId: base64url(1400), type: z.literal('public-key') }
export const passkeyAnswerSchema = z.object({
  ...credentialParts,
  response: z.object({
    clientDataJSON: base64url(20_000),
    authenticatorData: base64url(20_000),
    signature: base64url(8_000),
    userHandle: base64url(200).optional(),
  }),
})
export const passkeyMadeSchema = z.object({
  ...credentialParts,
  response: z.object({
    clientDataJSON: base64url(20_000),
    attestationObject: base64url(100_000),
    transports: z.array(z.string().max(20)).max(10).optional(),
  }),
})
/** Goes as it is to `navigator.credentials`; opaque to everything in between. */
const optionsAnswer = z.object({ options: z.record(z.string(), z.unknown()) })

/** A name or alias as it is typed; longer ones than any alias are refused before anything else is done. */
const typedName = z.string().min(1).max(100)
const typedPassword = z.string().max(512)
const typedCode = z.string().max(64)

export const aliasSchema = z
  .string()
  .regex(
    /^(?=.{3,40}$)[A-Za-z][A-Za-z0-9]*([._-][A-Za-z0-9]+)*$/,
    'three to forty letters and digits, parts joined by . _ or -',
  )

export const passkeySchema = z.object({
  id: z.string(),
  label: z.string(),
  createdAtMs: timeMs,
  lastUsedAtMs: timeMs.nullable(),
  /** Kept by its maker for several devices (a password manager). */
  backedUp: z.boolean(),
  /** Since when it is refused, because a copy of it was seen. */
  suspectAtMs: timeMs.nullable(),
})

export const factorsSchema = z.object({
  passkeys: z.array(passkeySchema),
  /** Passkeys need the platform to have a host name; at a bare address there are none. */
  passkeysPossible: z.boolean(),
  password: z
    .object({
      setAtMs: timeMs,
      lastUsedAtMs: timeMs.nullable(),
      /** Somebody gave the right password with wrong codes, the last time then. */
      codesGuessedAtMs: timeMs.nullable(),
    })
    .nullable(),
  authenticator: z.object({ sinceMs: timeMs }).nullable(),
  recoveryCodes: z.object({ left: z.number().int(), createdAtMs: timeMs }).nullable(),
  aliases: z.array(z.string()),
  /** A passkey, or a password with its authenticator app. */
  secondFactor: z.boolean(),
})

export const personFactorsSchema = factorsSchema.omit({ passkeysPossible: true })

const signedInAnswer = z.object({
  name: z.string(),
  expiresAtMs: timeMs,
  /** After signing in with a recovery code: how many are left. */
  recoveryCodesLeft: z.number().int().optional(),
})

const params = z.object({ passkey: identifier })
const personParams = z.object({ person: identifier })

export const factorRoutes = {
  startPasskeySignIn: {
    method: 'POST',
    path: '/api/identity/sign-in/passkey/options',
    summary: 'What the browser needs to ask for a passkey; single use, for this browser',
    permission: 'public',
    answer: optionsAnswer,
  },
  signInWithPasskey: {
    method: 'POST',
    path: '/api/identity/sign-in/passkey',
    summary: 'Sign in with a passkey, without a name',
    permission: 'public',
    body: z.object({ response: passkeyAnswerSchema }),
    answer: signedInAnswer,
  },
  signInWithPassword: {
    method: 'POST',
    path: '/api/identity/sign-in/password',
    summary:
      'Sign in with name, password and the code of the authenticator app, or a recovery code instead of the code',
    permission: 'public',
    body: z.object({ name: typedName, password: typedPassword, code: typedCode }),
    answer: signedInAnswer,
  },
  listFactors: {
    method: 'GET',
    path: '/api/identity/factors',
    summary: 'By what I can sign in here',
    permission: signedIn,
    answer: factorsSchema,
  },
  startProof: {
    method: 'POST',
    path: '/api/identity/proof/options',
    summary: 'What the browser needs to ask for one of my passkeys again',
    permission: signedIn,
    answer: optionsAnswer,
  },
  prove: {
    method: 'POST',
    path: '/api/identity/proof',
    summary: 'Prove again that it is me, in this browser session; for the command line too if asked',
    permission: signedIn,
    body: z.union([
      z.object({ response: passkeyAnswerSchema, forCommandLine: z.boolean().default(false) }).strict(),
      z.object({ password: typedPassword, code: typedCode, forCommandLine: z.boolean().default(false) }).strict(),
    ]),
    answer: z.object({ provedAtMs: timeMs }),
  },
  startPasskey: {
    method: 'POST',
    path: '/api/identity/factors/passkeys/options',
    summary: 'What the browser needs to make a new passkey of mine',
    permission: signedIn,
    answer: optionsAnswer,
  },
  addPasskey: {
    method: 'POST',
    path: '/api/identity/factors/passkeys',
    summary: 'Add a passkey that the browser has just made',
    permission: signedIn,
    body: z.object({ label: labelSchema, response: passkeyMadeSchema }),
    answer: passkeySchema,
  },
  renamePasskey: {
    method: 'PATCH',
    path: '/api/identity/factors/passkeys/:passkey',
    summary: 'Name one of my passkeys',
    permission: signedIn,
    params,
    body: z.object({ label: labelSchema }),
    answer: passkeySchema,
  },
  removePasskey: {
    method: 'DELETE',
    path: '/api/identity/factors/passkeys/:passkey',
    summary: 'Remove one of my passkeys; refused for the last way to sign in',
    permission: signedIn,
    params,
    answer: z.object({ removed: z.literal(true) }),
  },
  setPassword: {
    method: 'PUT',
    path: '/api/identity/factors/password',
    summary: 'Set my password; it signs in only together with an authenticator app',
    permission: signedIn,
    body: z.object({ password: typedPassword }),
    answer: z.object({ set: z.literal(true) }),
  },
  removePassword: {
    method: 'DELETE',
    path: '/api/identity/factors/password',
    summary: 'Remove my password and its authenticator app; refused for the last way to sign in',
    permission: signedIn,
    answer: z.object({ removed: z.literal(true) }),
  },
  startAuthenticator: {
    method: 'POST',
    path: '/api/identity/factors/authenticator',
    summary: 'A secret for an authenticator app, shown once; in force when confirmed',
    permission: signedIn,
    answer: z.object({ secret: z.string(), uri: z.string(), expiresAtMs: timeMs }),
  },
  confirmAuthenticator: {
    method: 'POST',
    path: '/api/identity/factors/authenticator/confirm',
    summary: 'Confirm the authenticator app with a code that it shows',
    permission: signedIn,
    body: z.object({ code: typedCode }),
    answer: z.object({ confirmed: z.literal(true) }),
  },
  createRecoveryCodes: {
    method: 'POST',
    path: '/api/identity/factors/recovery-codes',
    summary: 'Ten new recovery codes, shown once; earlier ones stop working',
    permission: signedIn,
    answer: z.object({ codes: z.array(z.string()) }),
  },
  showPersonFactors: {
    method: 'GET',
    path: '/api/identity/people/:person/factors',
    summary: 'By what a person can sign in',
    permission: site,
    params: personParams,
    answer: personFactorsSchema,
  },
  recoverPerson: {
    method: 'POST',
    path: '/api/identity/people/:person/recover',
    summary:
      'For somebody who lost everything: removes all factors, ends all sign-ins, answers a one-time link after which a new factor must be made',
    permission: signedIn,
    params: personParams,
    answer: z.object({ url: z.string(), expiresAtMs: timeMs }),
  },
  findPerson: {
    method: 'GET',
    path: '/api/identity/people-by-name/:name',
    summary: 'Whose name or alias this is',
    permission: loaded,
    params: z.object({ name: typedName }),
    answer: z.object({ id: z.string(), name: z.string(), displayName: z.string(), aliases: z.array(z.string()) }),
  },
  addAlias: {
    method: 'POST',
    path: '/api/identity/people/:person/aliases',
    summary: 'A further name of a person, for signing in and searching; it may hold dots and capitals',
    permission: site,
    params: personParams,
    body: z.object({ alias: aliasSchema }),
    answer: z.object({ aliases: z.array(z.string()) }),
  },
  removeAlias: {
    method: 'DELETE',
    path: '/api/identity/people/:person/aliases/:alias',
    summary: 'Take an alias away; it stays reserved for its person',
    permission: site,
    params: personParams.extend({ alias: z.string().min(1).max(100) }),
    answer: z.object({ aliases: z.array(z.string()) }),
  },
} as const satisfies Routes
