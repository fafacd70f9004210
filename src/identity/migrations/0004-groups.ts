import { sql } from 'kysely'
import type { AnyKysely } from '../../foundation/database.ts'

/** Roles in experiments become memberships of their root groups; machines need no row, they have their experiment. */
export async function up(database: AnyKysely): Promise<void> {
  const { schema } = database
  await schema
    .createTable('identity_group')
    .addColumn('path', 'text', (column) => column.primaryKey())
    .addColumn('experiment', 'text', (column) => column.notNull())
    .addColumn('title', 'text', (column) => column.notNull())
    .addColumn('optional', 'integer', (column) => column.notNull())
    .addColumn('archived', 'integer', (column) => column.notNull())
    .addColumn('gid', 'integer', (column) => column.unique())
    .addColumn('created_at_ms', 'bigint', (column) => column.notNull())
    .addColumn('created_by', 'text', (column) => column.notNull())
    .execute()
  await schema.createIndex('identity_group_experiment').on('identity_group').column('experiment').execute()
  await schema
    .createTable('identity_membership')
    .addColumn('person_id', 'text', (column) => column.notNull())
    .addColumn('group_path', 'text', (column) => column.notNull())
    .addColumn('role', 'text', (column) => column.notNull())
    .addColumn('source', 'text', (column) => column.notNull())
    .addColumn('until_ms', 'bigint')
    .addColumn('granted_by', 'text', (column) => column.notNull())
    .addColumn('granted_at_ms', 'bigint', (column) => column.notNull())
    .addPrimaryKeyConstraint('identity_membership_key', ['person_id', 'group_path', 'role', 'source'])
    .execute()
  await schema.createIndex('identity_membership_group').on('identity_membership').column('group_path').execute()
  await schema
    .createTable('identity_policy')
    .addColumn('group_path', 'text', (column) => column.notNull())
    .addColumn('version', 'integer', (column) => column.notNull())
    .addColumn('document', 'text', (column) => column.notNull())
    .addColumn('author_id', 'text', (column) => column.notNull())
    .addColumn('author_name', 'text', (column) => column.notNull())
    .addColumn('at_ms', 'bigint', (column) => column.notNull())
    .addColumn('note', 'text', (column) => column.notNull())
    .addPrimaryKeyConstraint('identity_policy_key', ['group_path', 'version'])
    .execute()
  await sql`
    insert into identity_group (path, experiment, title, optional, archived, gid, created_at_ms, created_by)
    select '/' || experiment, experiment, '', 0, 0, null, coalesce(min(nullif(at_ms, 0)), 0), 'platform' from (
      select experiment, granted_at_ms as at_ms from identity_role
      union all select experiment, 0 from identity_experiment_gid
    ) as known group by experiment`.execute(database)
  await sql`
    insert into identity_membership (person_id, group_path, role, source, until_ms, granted_by, granted_at_ms)
    select r.subject_id, '/' || r.experiment, r.role, 'direct', null, r.granted_by, r.granted_at_ms
    from identity_role r join identity_subject s on s.id = r.subject_id where s.kind = 'person'`.execute(database)
  await schema.dropTable('identity_role').execute()
}
