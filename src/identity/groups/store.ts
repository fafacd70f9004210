/** Groups, policies and memberships as they lie in the database. Reading only. */
import { roles, type PersonRole, type Role } from '../subject.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import type { MachineTerms } from '../tokens/machine-terms.ts'
import type { Group, Groups, Membership } from './grants.ts'
import { defaultPolicy, policySchema, type Policy } from './policy.ts'

export type Reading = IdentityKysely | IdentityTransaction

/** Every group with its newest policy, of one experiment or of all. */
export async function readGroups(kysely: Reading, experiment?: string): Promise<Groups> {
  let query = kysely.selectFrom('identity_group').selectAll().orderBy('path')
  if (experiment !== undefined) query = query.where('experiment', '=', experiment)
  let newest = kysely
    .selectFrom('identity_policy as policy')
    .select(['policy.group_path', 'policy.version', 'policy.document'])
    .where((row) =>
      row(
        'policy.version',
        '=',
        row
          .selectFrom('identity_policy as later')
          .select(({ fn }) => fn.max('later.version').as('version'))
          .whereRef('later.group_path', '=', 'policy.group_path'),
      ),
    )
  if (experiment !== undefined) {
    const own = kysely.selectFrom('identity_group').select('path').where('experiment', '=', experiment)
    newest = newest.where('policy.group_path', 'in', own)
  }
  const rows = await query.execute()
  const policies = new Map((await newest.execute()).map((row) => [row.group_path, row]))
  return new Map(
    rows.map((row) => {
      const policy = policies.get(row.path)
      const group: Group = {
        group: row.path,
        title: row.title,
        optional: row.optional === 1,
        archived: row.archived === 1,
        gid: row.gid,
        version: policy?.version ?? 0,
        policy: policy === undefined ? defaultPolicy : documentOf(policy.document),
      }
      return [row.path, group]
    }),
  )
}

/** A stored document. One that a newer version wrote may say more than this one knows; it then gives nothing. */
export function documentOf(text: string): Policy {
  const parsed = policySchema.safeParse(JSON.parse(text))
  if (parsed.success) return parsed.data
  return { ...defaultPolicy, ceiling: { ...defaultPolicy.ceiling, capabilities: [], guestAllowed: false } }
}

interface MembershipFilter {
  personId?: string
  /** Of the experiment itself and every group in it. */
  experiment?: string
  group?: string
}

export interface MembershipRow extends Membership {
  role: PersonRole
  source: string
  grantedBy: string
}

/** Roles that this version does not know give nothing and are left out. */
export async function readMemberships(kysely: Reading, filter: MembershipFilter = {}): Promise<MembershipRow[]> {
  const { personId, experiment, group } = filter
  let query = kysely.selectFrom('identity_membership').selectAll().orderBy('group_path').orderBy('granted_at_ms')
  if (personId !== undefined) query = query.where('person_id', '=', personId)
  if (group !== undefined) query = query.where('group_path', '=', group)
  if (experiment !== undefined) {
    const own = kysely.selectFrom('identity_group').select('path').where('experiment', '=', experiment)
    query = query.where('group_path', 'in', own)
  }
  return (await query.execute()).flatMap(membershipOf)
}

function membershipOf(row: IdentityTables['identity_membership']): MembershipRow[] {
  if (!(roles as readonly string[]).includes(row.role)) return []
  return [
    {
      personId: row.person_id,
      group: row.group_path,
      role: row.role as PersonRole,
      untilMs: row.until_ms,
      grantedAtMs: row.granted_at_ms,
      source: row.source,
      grantedBy: row.granted_by,
    },
  ]
}

/** Machines hold the one role of machines in the experiment they were registered for. */
export function machineMembership(row: IdentityTables['identity_subject'], terms?: MachineTerms): Membership[] {
  if (row.kind !== 'client' || row.experiment === null) return []
  const role: Role = 'client'
  return [
    {
      personId: row.id,
      group: `/${row.experiment}`,
      role,
      untilMs: terms?.untilMs ?? null,
      grantedAtMs: row.created_at_ms,
      ...(terms !== undefined && { declared: terms.declared }),
    },
  ]
}
