/**
 * Numbers of experiments on this machine: files of an experiment belong to its group. Two numbers each, one after the
 * other: who may read is in `gid`, who may also write in `gid + 1`. Given once, never to another experiment.
 */
import { sql } from 'kysely'
import { experimentGroup, firstExperimentGid, type ExperimentGroup } from './experiment-group.ts'
import type { IdentityKysely, IdentityTransaction } from './tables.ts'

/** The experiment's group; given to it now if it has none. Safe beside other transactions that do the same. */
export async function allotExperimentGid(
  kysely: IdentityKysely | IdentityTransaction,
  experiment: string,
): Promise<number> {
  for (;;) {
    const present = await kysely
      .selectFrom('identity_experiment_gid')
      .select('gid')
      .where('experiment', '=', experiment)
      .executeTakeFirst()
    if (present !== undefined) return present.gid
    // Another transaction may take the number or give the experiment one first; then this does nothing and looks again.
    const given = await sql<{ gid: number }>`
      insert into identity_experiment_gid (gid, experiment)
      select coalesce(max(gid), ${firstExperimentGid - 2}) + 2, ${experiment} from identity_experiment_gid where true
      on conflict do nothing returning gid`.execute(kysely)
    if (given.rows[0] !== undefined) return given.rows[0].gid
  }
}

/** Every experiment that has a group, with its numbers: part of the published snapshot. */
export async function readExperimentGroups(kysely: IdentityKysely): Promise<Record<string, ExperimentGroup>> {
  const rows = await kysely.selectFrom('identity_experiment_gid').selectAll().orderBy('gid').execute()
  return Object.fromEntries(rows.map(({ experiment, gid }) => [experiment, experimentGroup(gid)!]))
}
