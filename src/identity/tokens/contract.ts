/** Tokens for everything that is not a person, and STS: what it says over HTTP. Joined into the room's contract. */
import { z } from 'zod'
import { nameSchema, pageOf, pageQuery, timeMs, type Routes } from '../../foundation/contract.ts'

const idSchema = z.string().min(1).max(64)
const labelSchema = z.string().trim().max(100)
const site = { action: 'site.admin', of: 'site' } as const
const day = 86_400_000
/** No credential outlives it: a machine is renewed by an owner, a personal token is made again. */
export const longestCredentialMs = 400 * day

export const machineNameSchema = z.string().regex(/^[a-z][a-z0-9-]{1,39}$/)
/** `data.read`, `data.read:/demo-work/analysis/**`: what decisions/capability.ts can read. */
const capabilityTextSchema = z.string().min(1).max(1100)
const capabilitiesSchema = z.array(capabilityTextSchema).min(1).max(50)

export const personalTokenSchema = z.object({
  id: z.string(),
  label: z.string(),
  capabilities: z.array(z.string()),
  experiment: z.string().nullable(),
  createdAtMs: timeMs,
  expiresAtMs: timeMs,
  lastUsedAtMs: timeMs.nullable(),
})

export const deviceSchema = z.object({
  id: z.string(),
  application: z.string(),
  scopes: z.array(z.string()),
  /** Where it was let in from. */
  address: z.string(),
  createdAtMs: timeMs,
  lastUsedAtMs: timeMs,
})

/** S3 credentials made by STS: they end by themselves, or when revoked (revokeAccessKey). */
export const temporaryKeySchema = z.object({
  accessKeyId: z.string(),
  label: z.string(),
  /** The session or job that has them; null: I myself. */
  actor: z.string().nullable(),
  createdAtMs: timeMs,
  expiresAtMs: timeMs,
})

export const signingKeySchema = z.object({
  kid: z.string(),
  state: z.enum(['waiting', 'signing', 'retired']),
  createdAtMs: timeMs,
  /** From then on it signs. */
  signsFromMs: timeMs,
  /** From then on verifiers no longer get it; null: it has no successor yet. */
  endsAtMs: timeMs.nullable(),
})

/** A public key as JOSE writes it (RFC 7517); only these members. */
export const machinePublicKeySchema = z.discriminatedUnion('kty', [
  z.strictObject({
    kty: z.literal('EC'),
    crv: z.literal('P-256'),
    x: z.string().regex(/^[\w-]{43}$/),
    y: z.string().regex(/^[\w-]{43}$/),
  }),
  z.strictObject({ kty: z.literal('OKP'), crv: z.literal('Ed25519'), x: z.string().regex(/^[\w-]{43}$/) }),
])

export const machineKeySchema = z.object({
  keyId: z.string(),
  algorithm: z.enum(['ES256', 'EdDSA']),
  createdAtMs: timeMs,
  lastUsedAtMs: timeMs.nullable(),
})

export const machineSchema = z.object({
  id: z.string(),
  name: z.string(),
  experiment: z.string(),
  state: z.enum(['active', 'suspended']),
  createdAtMs: timeMs,
  /** Null: it has only an access key, which lasts until it is revoked. */
  expiresAtMs: timeMs.nullable(),
  /** People who answer for it and still may; empty: the admins of the experiment do, and it stops at its end. */
  owners: z.array(z.object({ id: z.string(), name: z.string(), displayName: z.string() })),
  keys: z.array(machineKeySchema),
  accessKeyIds: z.array(z.string()),
  capabilities: z.array(z.string()),
})

const enrolmentRequestSchema = z.object({
  experiment: nameSchema,
  name: machineNameSchema,
  publicKey: machinePublicKeySchema,
})
const userCodeParams = z.object({ userCode: z.string().min(1).max(20) })
const machineParams = z.object({ machine: idSchema })
const ownersSchema = z.array(z.string().min(1).max(64)).min(1).max(10)

export const tokenRoutes = {
  listPersonalTokens: {
    method: 'GET',
    path: '/api/identity/personal-tokens',
    summary: 'My personal tokens',
    permission: 'signed-in',
    query: pageQuery,
    answer: pageOf(personalTokenSchema),
  },
  createPersonalToken: {
    method: 'POST',
    path: '/api/identity/personal-tokens',
    summary: 'New personal token with what it may do and an end; it is shown once',
    permission: 'signed-in',
    body: z.object({
      label: labelSchema.min(1),
      capabilities: capabilitiesSchema,
      experiment: nameSchema.optional(),
      lifetimeMs: z.number().int().min(3_600_000).max(longestCredentialMs),
    }),
    answer: personalTokenSchema.extend({ token: z.string() }),
  },
  revokePersonalToken: {
    method: 'DELETE',
    path: '/api/identity/personal-tokens/:token',
    summary: 'Revoke a personal token, and the S3 keys made with it, at once',
    permission: 'signed-in',
    params: z.object({ token: idSchema }),
    answer: z.object({ revoked: z.literal(true) }),
  },
  listDevices: {
    method: 'GET',
    path: '/api/identity/devices',
    summary: 'Command lines and applications that act for me',
    permission: 'signed-in',
    query: pageQuery,
    answer: pageOf(deviceSchema),
  },
  revokeDevice: {
    method: 'DELETE',
    path: '/api/identity/devices/:device',
    summary: 'Sign a command line or application out at once',
    permission: 'signed-in',
    params: z.object({ device: idSchema }),
    answer: z.object({ revoked: z.literal(true) }),
  },
  listTemporaryKeys: {
    method: 'GET',
    path: '/api/identity/temporary-keys',
    summary: 'S3 credentials that STS made for me and that still live',
    permission: 'signed-in',
    query: pageQuery,
    answer: pageOf(temporaryKeySchema),
  },
  listSigningKeys: {
    method: 'GET',
    path: '/api/identity/signing-keys',
    summary: 'Keys that sign tokens: the one in use, the next, and those still accepted',
    permission: site,
    answer: z.object({ items: z.array(signingKeySchema) }),
  },
  rotateSigningKeys: {
    method: 'POST',
    path: '/api/identity/signing-keys',
    summary: 'Publish the next signing key; it signs two days later',
    permission: site,
    answer: z.object({ items: z.array(signingKeySchema) }),
  },
  removeSigningKey: {
    method: 'DELETE',
    path: '/api/identity/signing-keys/:kid',
    summary: 'Emergency: a signing key is no longer accepted, at once; every token it signed is dead',
    permission: site,
    params: z.object({ kid: idSchema }),
    answer: z.object({ items: z.array(signingKeySchema) }),
  },
  listMachines: {
    method: 'GET',
    path: '/api/identity/machines',
    summary: 'Machines and services of an experiment, their owners and keys: for its admins and operators',
    permission: { action: 'logbook.read', of: 'query.experiment' },
    query: pageQuery.extend({ experiment: nameSchema }),
    answer: pageOf(machineSchema),
  },
  requestEnrolment: {
    method: 'POST',
    path: '/api/identity/enrolments',
    summary: 'A machine asks to be registered with the public key it made; answers a code for the person who approves',
    permission: 'public',
    body: enrolmentRequestSchema,
    answer: z.object({
      deviceCode: z.string(),
      userCode: z.string(),
      verificationUri: z.string(),
      expiresAtMs: timeMs,
      intervalMs: z.number().int(),
    }),
  },
  pollEnrolment: {
    method: 'POST',
    path: '/api/identity/enrolments/poll',
    summary: 'What became of the request of a machine',
    permission: 'public',
    body: z.object({ deviceCode: z.string().min(1).max(100) }),
    answer: z.object({
      state: z.enum(['waiting', 'approved', 'denied']),
      /** Once approved: how the machine signs in from now on (private_key_jwt at `<issuer>/oidc/token`). */
      client: z
        .object({
          clientId: z.string(),
          keyId: z.string(),
          issuer: z.string(),
          audience: z.string(),
          scope: z.string(),
          expiresAtMs: timeMs,
        })
        .nullable(),
    }),
  },
  showEnrolment: {
    method: 'GET',
    path: '/api/identity/enrolments/:userCode',
    summary: 'Which machine asks with this code (page /device)',
    permission: 'signed-in',
    params: userCodeParams,
    answer: z.object({
      userCode: z.string(),
      experiment: z.string(),
      name: z.string(),
      /** Of the public key, as the machine prints it. */
      fingerprint: z.string(),
      address: z.string(),
      expiresAtMs: timeMs,
      /** It is known already: approving adds a key to it. */
      isKnown: z.boolean(),
      /** People who may own it. */
      candidates: z.array(z.object({ id: z.string(), name: z.string(), displayName: z.string() })),
    }),
  },
  decideEnrolment: {
    method: 'POST',
    path: '/api/identity/enrolments/:userCode',
    summary: 'Register the machine with two owners, or say no',
    permission: { action: 'experiment.admin', of: 'loaded' },
    params: userCodeParams,
    body: z.object({
      decision: z.enum(['approve', 'deny']),
      /** Ids of people; the one who approves is one of them unless he names others. */
      owners: ownersSchema.optional(),
      capabilities: capabilitiesSchema.optional(),
      lifetimeMs: z.number().int().min(day).max(longestCredentialMs).default(longestCredentialMs),
    }),
    answer: z.object({ decision: z.enum(['approve', 'deny']) }),
  },
  setMachineOwners: {
    method: 'PUT',
    path: '/api/identity/machines/:machine/owners',
    summary: 'Who answers for a machine',
    permission: { action: 'experiment.admin', of: 'loaded' },
    params: machineParams,
    body: z.object({ owners: ownersSchema }),
    answer: machineSchema,
  },
  renewMachine: {
    method: 'POST',
    path: '/api/identity/machines/:machine/renew',
    summary: 'A machine goes on, 400 days at most: by one of its owners',
    permission: 'signed-in',
    params: machineParams,
    body: z.object({ lifetimeMs: z.number().int().min(day).max(longestCredentialMs).default(longestCredentialMs) }),
    answer: machineSchema,
  },
  addMachineKey: {
    method: 'POST',
    path: '/api/identity/machines/:machine/keys',
    summary: 'A second public key, for changing keys without a pause: by an owner, an admin, or the machine itself',
    permission: 'signed-in',
    params: machineParams,
    body: z.object({ publicKey: machinePublicKeySchema }),
    answer: machineKeySchema,
  },
  removeMachineKey: {
    method: 'DELETE',
    path: '/api/identity/machines/:machine/keys/:key',
    summary: 'A public key no longer signs the machine in; tokens and S3 keys it got end at once',
    permission: 'signed-in',
    params: z.object({ machine: idSchema, key: idSchema }),
    answer: z.object({ revoked: z.literal(true) }),
  },
} as const satisfies Routes
