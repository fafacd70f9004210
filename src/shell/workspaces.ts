/** Which files of an experiment a person's jobs and sessions see, and as whom they run on this machine. */
import type { Workspace } from '../compute/index.ts'
import { decide, subjectOf, activeSubject, type Identity, type Subject } from '../identity/index.ts'
import type { Storage } from '../storage/index.ts'
import { dataGroup } from './home.ts'

/** Work that the platform does by itself; its code is ours, not a person's. */
export const platformOwner = { id: 'platform', name: 'cygnet' }
/** Work of the platform itself runs as a uid of its own, far above the people's, which are counted from 300000. */
const platformUid = 2_000_000

/** The person who started this Cygnet: its first site admin, who got the link that `up` printed. */
export function starterIds({ subjects }: Pick<ReturnType<Identity['snapshotPart']>, 'subjects'>): string[] {
  const admins = Object.values(subjects).filter(({ siteAdmin, state }) => siteAdmin && state === 'active')
  return admins
    .map(({ id }) => id)
    .sort()
    .slice(0, 1)
}

export function workspaces({ identity, storage }: { identity: Identity; storage: Storage }) {
  return async (ownerId: string, experiment: string): Promise<Workspace> => {
    const { gid, writersGid } = await identity.experimentGroupOf(experiment)
    if (ownerId === platformOwner.id)
      return { personName: platformOwner.name, uid: platformUid, groups: [dataGroup, gid], buckets: [] }
    const person = activeSubject(identity.snapshotPart(), ownerId)
    const uid = await identity.platformUidOf(ownerId)
    if (person === undefined) return { personName: ownerId, uid, groups: [dataGroup], buckets: [] }
    const subject = subjectOf(person)
    const buckets = []
    for (const bucket of storage.listBuckets().filter((each) => each.experiment === experiment)) {
      const resource = { experiment, bucket: bucket.name }
      if (!decide(subject, 'data.read', resource).allow) continue
      const writable = bucket.purpose === 'work' && decide(subject, 'data.modify', resource).allow
      buckets.push({
        name: bucket.name,
        path: storage.bucketPath(bucket.name),
        mode: writable ? ('rw' as const) : ('ro' as const),
      })
    }
    // What the modes of files give is what `decide` gives: see "Whose the files are" in storage's README.
    const groups = [dataGroup, ...groupNumbers(identity.snapshotPart(), subject, experiment)]
    if (buckets.length > 0) groups.push(gid)
    if (buckets.some(({ mode }) => mode === 'rw')) groups.push(writersGid)
    return { personName: person.name, uid, groups, buckets }
  }
}

/** Numbers on this machine of the groups within the experiment that the person is in now. */
function groupNumbers(
  { groups = {} }: Pick<ReturnType<Identity['snapshotPart']>, 'groups'>,
  { roles }: Pick<Subject, 'roles'>,
  experiment: string,
): number[] {
  const nowMs = Date.now()
  const paths = roles
    .filter((grant) => grant.experiment === experiment && (grant.untilMs ?? Infinity) > nowMs)
    .flatMap(({ group }) => (group !== undefined && Object.hasOwn(groups, group) ? [group] : []))
  return [...new Set(paths)].map((path) => groups[path]!.gid)
}
