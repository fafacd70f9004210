/** The policy of a group as a document, and the grammar of groups. Pure; runs in browsers. */
import { z } from 'zod'
import { personRoles, type PersonRole } from '../subject.ts'

/** WLCG's grammar of groups: the root is the experiment; ASCII, case counts, at most 255 bytes. */
export const groupPathSchema = z
  .string()
  .max(255)
  .regex(
    /^\/[a-z][a-z0-9-]{0,38}[a-z0-9](\/[a-zA-Z0-9][a-zA-Z0-9_.-]*)*$/,
    'a slash and the name of the experiment, then further parts: /cygno/analysis',
  )

/** Roles of a group below the experiment itself. */
export const groupRoles = ['manager', 'operator', 'member', 'guest'] as const satisfies PersonRole[]
/** Roles of the experiment as a whole, held in its root group. */
export const rootRoles: readonly PersonRole[] = personRoles

const capabilityText = z.string().min(1).max(600)
const capabilityList = z.array(capabilityText).max(100)
const figure = z.number().nonnegative().max(Number.MAX_SAFE_INTEGER)
const wholeFigure = figure.int()

const policyLimitsSchema = z.strictObject({
  cores: figure.optional(),
  memoryBytes: wholeFigure.optional(),
  walltimeMs: wholeFigure.optional(),
  /** At once, per person. */
  sessions: wholeFigure.optional(),
  gpus: wholeFigure.optional(),
  storageBytes: wholeFigure.optional(),
})
export type PolicyLimits = z.infer<typeof policyLimitsSchema>

/** Set one level up: nobody in the group or below it, its managers included, gets beyond. What is absent does not limit. */
const ceilingSchema = z.strictObject({
  capabilities: capabilityList.optional(),
  limits: policyLimitsSchema.default({}),
  membershipMaxDays: z.number().int().min(1).max(3660).optional(),
  guestAllowed: z.boolean().default(true),
  /** Names of software environments. */
  environments: z.array(z.string().min(1).max(100)).max(100).optional(),
  /** From then on the group and those below it are read-only. */
  endsAtMs: z.number().int().min(0).optional(),
})
export type Ceiling = z.infer<typeof ceilingSchema>

const sponsorSchema = z
  .string()
  .regex(/^(role:(exp-admin|manager|data-manager|operator|member)|person:[a-z][a-z0-9]{1,19})$/)

export const policySchema = z.strictObject({
  ceiling: ceilingSchema.default({ limits: {}, guestAllowed: true }),
  /** What a role hands out; a role that is not named hands out all it has, below the ceilings. */
  grants: z.partialRecord(z.enum(personRoles), capabilityList).default({}),
  /** Who may invite guests: 'role:manager', 'person:anna'. */
  sponsors: z.array(sponsorSchema).max(50).default(['role:exp-admin', 'role:manager']),
  /** Active guests of one sponsor. */
  sponsorLimit: z.number().int().min(0).max(1000).default(10),
  /** Who lets somebody in who asks: nobody has to, a manager, or the experiment's admin. */
  approval: z.enum(['none', 'manager', 'exp-admin']).default('manager'),
})
export type Policy = z.infer<typeof policySchema>

/** What a group without any version of a policy has: nothing is cut. */
export const defaultPolicy: Policy = policySchema.parse({})

/** '/cygno/daq/shifter' -> 'cygno'. */
export function experimentOf(group: string): string {
  return group.split('/')[1] ?? ''
}

export function rootOf(experiment: string): string {
  return `/${experiment}`
}

/** The group above; undefined for the root. */
export function parentOf(group: string): string | undefined {
  const parts = group.split('/')
  return parts.length <= 2 ? undefined : parts.slice(0, -1).join('/')
}

/** From the root down to the group itself. */
export function lineOf(group: string): string[] {
  const parts = group.split('/').slice(1)
  return parts.map((_, index) => `/${parts.slice(0, index + 1).join('/')}`)
}

/** The group itself or one below it. */
export function isWithin(group: string, ancestor: string): boolean {
  return group === ancestor || group.startsWith(`${ancestor}/`)
}
