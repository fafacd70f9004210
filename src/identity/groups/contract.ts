/** Group tree, memberships and policies: what it says over HTTP. Joined into the room's contract. Runs in browsers. */
import { z } from 'zod'
import { nameSchema, pageOf, pageQuery, queryFlag, timeMs, type Routes } from '../../foundation/contract.ts'
import { personRoles } from '../subject.ts'
import { groupPathSchema, policySchema } from './policy.ts'

export { defaultPolicy, groupPathSchema, groupRoles, policySchema, rootRoles, type Policy } from './policy.ts'

const personRoleSchema = z.enum(personRoles)
/** A person's id or account name. */
const personReference = z.string().min(1).max(64)
const groupQuery = z.object({ group: groupPathSchema })

/** What the caller may do with a group: for showing controls, never for deciding. */
const groupMaySchema = z.object({
  /** Roles he may give and take here. */
  give: z.array(personRoleSchema),
  seeMembers: z.boolean(),
  editGrants: z.boolean(),
  editCeiling: z.boolean(),
  /** Make groups below it, archive it. */
  administer: z.boolean(),
})

export const groupSchema = z.object({
  group: groupPathSchema,
  experiment: z.string(),
  title: z.string(),
  /** Its rights are held, and in a token only when asked for. */
  optional: z.boolean(),
  archived: z.boolean(),
  /** The number of the group on this machine, for ever. */
  gid: z.number().int().nullable(),
  members: z.number().int(),
  policyVersion: z.number().int(),
  /** What the caller is in it. */
  mine: z.array(personRoleSchema),
  may: groupMaySchema,
})

/** 'direct' by a person here; else the rule, invitation or template that gave it. */
const membershipSourceSchema = z
  .string()
  .regex(/^(direct|template|import:[A-Za-z0-9-]{1,64}|invitation:[A-Za-z0-9-]{1,64})$/)

export const membershipSchema = z.object({
  group: groupPathSchema,
  role: personRoleSchema,
  /** When it ends, policies counted in; null: no end. */
  untilMs: timeMs.nullable(),
  source: membershipSourceSchema,
  grantedBy: z.string(),
  grantedAtMs: timeMs,
})

export const memberSchema = membershipSchema.extend({
  personId: z.string(),
  name: z.string(),
  displayName: z.string(),
  state: z.string(),
  /** Whether the caller may change this membership. */
  mayChange: z.boolean(),
})

export const experimentPersonSchema = z.object({
  id: z.string(),
  name: z.string(),
  displayName: z.string(),
  state: z.string(),
  siteAdmin: z.boolean(),
  createdAtMs: timeMs,
  memberships: z.array(membershipSchema.extend({ mayChange: z.boolean() })),
})

const authorSchema = z.object({ id: z.string(), name: z.string() })

/** Somebody's rights by one membership, before and after; `lost` and `gained` count what other memberships give. */
const rightsChangeSchema = z.object({
  personId: z.string(),
  name: z.string(),
  displayName: z.string(),
  kind: z.enum(['person', 'client']),
  group: z.string(),
  role: z.string(),
  before: z.array(z.string()),
  after: z.array(z.string()),
  lost: z.array(z.string()),
  gained: z.array(z.string()),
  /** Only where the end changes. */
  until: z.object({ beforeMs: timeMs.nullable(), afterMs: timeMs.nullable() }).optional(),
  /** Only where figures change: in words. */
  limits: z.array(z.string()),
})

export const policyPreviewSchema = z.object({
  group: groupPathSchema,
  /** Version that the preview compares with. */
  version: z.number().int(),
  /** What would be different in the document, in words. */
  differences: z.array(z.string()),
  changes: z.array(rightsChangeSchema),
  /** People whose work or keys are touched. */
  running: z.array(
    z.object({
      kind: z.enum(['session', 'job']),
      id: z.string(),
      personId: z.string(),
      personName: z.string(),
      title: z.string(),
      /** It stops; otherwise it goes on with less. */
      stops: z.boolean(),
    }),
  ),
  keys: z.array(z.object({ accessKeyId: z.string(), label: z.string(), ownerId: z.string(), ownerName: z.string() })),
})

export const policyVersionSchema = z.object({
  group: groupPathSchema,
  version: z.number().int(),
  policy: policySchema,
  author: authorSchema,
  atMs: timeMs,
  note: z.string(),
  /** Against the version before, in words. */
  differences: z.array(z.string()),
})

export const shownPolicySchema = policyVersionSchema.omit({ differences: true }).extend({
  /** After all ceilings above have cut it. */
  effective: policySchema,
  /** The ceiling that cuts this group's own: what it may at most be set to. */
  above: policySchema.shape.ceiling,
  may: groupMaySchema,
})

const policyNote = z.string().trim().max(500).default('')
const appliedSchema = policyPreviewSchema.extend({ applied: z.object({ version: z.number().int() }) })

export const groupRoutes = {
  listGroups: {
    method: 'GET',
    path: '/api/identity/experiments/:experiment/groups',
    summary: 'Tree of groups of an experiment, for those who are in it',
    permission: 'signed-in',
    params: z.object({ experiment: nameSchema }),
    query: z.object({ archived: queryFlag.default(false) }),
    answer: z.object({ items: z.array(groupSchema) }),
  },
  createGroup: {
    method: 'POST',
    path: '/api/identity/groups',
    summary: 'New group below an existing one',
    permission: { action: 'experiment.admin', of: 'loaded' },
    body: z.object({
      group: groupPathSchema,
      title: z.string().trim().max(100).default(''),
      optional: z.boolean().default(false),
      /** Absent: what a group usually has, cut by the ceiling above. */
      policy: policySchema.optional(),
    }),
    answer: groupSchema,
  },
  archiveGroup: {
    method: 'POST',
    path: '/api/identity/groups/archive',
    summary: 'Archive a group and everything below it: memberships stay and give nothing; or take it out again',
    permission: { action: 'experiment.admin', of: 'loaded' },
    body: z.object({ group: groupPathSchema, archived: z.boolean().default(true) }),
    answer: groupSchema,
  },
  listMembers: {
    method: 'GET',
    path: '/api/identity/groups/members',
    summary: 'Members of a group: names for its members, everything for its managers',
    permission: 'signed-in',
    query: groupQuery,
    answer: z.object({ items: z.array(memberSchema) }),
  },
  setMember: {
    method: 'PUT',
    path: '/api/identity/groups/members',
    summary: 'Give a person a role in a group, change its end, or remove him (role null)',
    permission: { action: 'people.manage', of: 'loaded' },
    body: z.object({
      group: groupPathSchema,
      person: personReference,
      role: personRoleSchema.nullable(),
      /** Null or absent: as long as the policy allows. */
      untilMs: timeMs.nullable().optional(),
    }),
    answer: z.object({ items: z.array(memberSchema) }),
  },
  listExperimentPeople: {
    method: 'GET',
    path: '/api/identity/experiments/:experiment/people',
    summary: 'People of an experiment with their groups, roles and ends; for managers, of what they manage',
    permission: { action: 'people.manage', of: 'loaded' },
    params: z.object({ experiment: nameSchema }),
    query: pageQuery.extend({
      /** Part of the name or the account. */
      search: z.string().max(100).optional(),
      group: groupPathSchema.optional(),
      role: personRoleSchema.optional(),
    }),
    answer: pageOf(experimentPersonSchema).extend({
      /** Groups in which the caller may change something, with the roles he may give there. */
      manages: z.array(z.object({ group: groupPathSchema, give: z.array(personRoleSchema) })),
    }),
  },
  myGroups: {
    method: 'GET',
    path: '/api/identity/my-groups',
    summary: 'Groups I am in, until when, and what that lets me do',
    permission: 'signed-in',
    answer: z.object({
      items: z.array(
        membershipSchema.extend({ title: z.string(), optional: z.boolean(), capabilities: z.array(z.string()) }),
      ),
    }),
  },
  showPolicy: {
    method: 'GET',
    path: '/api/identity/policies',
    summary: 'Policy of a group: its document, what is left of it below the ceilings, and who may edit what',
    permission: 'signed-in',
    query: groupQuery,
    answer: shownPolicySchema,
  },
  listPolicyVersions: {
    method: 'GET',
    path: '/api/identity/policies/versions',
    summary: 'Every version of a policy, newest first, with what changed in words',
    permission: 'signed-in',
    query: pageQuery.extend(groupQuery.shape),
    answer: pageOf(policyVersionSchema),
  },
  previewPolicy: {
    method: 'POST',
    path: '/api/identity/policies/preview',
    summary: 'Who would gain or lose what, and which sessions, jobs and keys are touched; changes nothing',
    permission: { action: 'policy.edit', of: 'loaded' },
    body: z.object({ group: groupPathSchema, policy: policySchema }),
    answer: policyPreviewSchema,
  },
  applyPolicy: {
    method: 'PUT',
    path: '/api/identity/policies',
    summary: 'A new version of a policy; refused when somebody else was faster, or it reaches beyond the ceiling above',
    permission: { action: 'policy.edit', of: 'loaded' },
    body: z.object({
      group: groupPathSchema,
      policy: policySchema,
      /** The version that was edited. */
      ifVersion: z.number().int().min(0),
      note: policyNote,
    }),
    answer: appliedSchema,
  },
  undoPolicy: {
    method: 'POST',
    path: '/api/identity/policies/undo',
    summary: 'A new version equal to an older one',
    permission: { action: 'policy.edit', of: 'loaded' },
    body: z.object({
      group: groupPathSchema,
      toVersion: z.number().int().min(0),
      ifVersion: z.number().int().min(0),
      note: policyNote,
    }),
    answer: appliedSchema,
  },
} as const satisfies Routes
