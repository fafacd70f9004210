/**
 * Whose the files are. Run by root, Cygnet gives every object to a person (or the service account) and the experiment's
 * group, so that what the machine lets a person's processes do with a file is what the decision function lets the
 * person do over S3. Otherwise all files have the one uid and nothing here is more than a mode.
 *
 * Owner, group and mode are changed on descriptors, or on a name in a folder that only the platform can enter: whoever
 * swaps names in his own folder moves nothing.
 */
import { getAttributeSync, setAttributeSync } from '@napi-rs/xattr'
import {
  closeSync,
  constants,
  fchmodSync,
  fchownSync,
  fstatSync,
  linkSync,
  lstatSync,
  mkdirSync,
  openSync,
  rmSync,
  statSync,
  type BigIntStats,
} from 'node:fs'
import type { Logger } from '../foundation/log.ts'
import { experimentGroup, isExperimentGid, type ExperimentGroup } from '../identity/contract.ts'
import type { Bucket, Purpose } from './model.ts'
import { accessAcl, aclBytes, defaultAcl } from './posix-acl.ts'
import type { SafeDirectory } from './safe-directory.ts'
import type { Temporary, Volume } from './volume.ts'

/** Numbers of people and experiments on this machine. Given only when the process may change owners. */
export interface FileOwners {
  /** Owner of what no person put there. */
  serviceUid: number
  /** Of a person; undefined for machines, which have none. */
  uidOf(subjectId: string): number | undefined
  groupOf(experiment: string): ExperimentGroup | undefined
}

/** Makes a folder that is not there yet, with its owner, group and mode. */
export type MakeFolder = (parent: SafeDirectory, name: string) => void

export interface Ownership {
  /** False where all files have one uid. */
  readonly isPerPerson: boolean
  /** Before the file is synced and gets its name. `mayModify`: who may only create does not own what he created. */
  handOver(file: Pick<Temporary, 'fd' | 'path'>, bucket: Bucket, owner: FileOwner): void
  folderMaker(bucket: Bucket | 'attic', owner: FileOwner): MakeFolder
  /** Top folder of a bucket: the wall before everything in it. */
  shapeTop(bucket: Bucket): void
  /** Is this regular file in the bucket's tree one of its objects? No for what was only hard-linked into it. */
  belongs(bucket: string, stat: BigIntStats): boolean
  /** Brings a file that came from outside of Cygnet, or from before people had files, in line with the rule. */
  takeIn(file: { fd: number; directory: SafeDirectory; name: string }, bucket: Bucket): void
  takeInFolder(directory: SafeDirectory, bucket: Bucket): void
}

export interface FileOwner {
  ownerId?: string | undefined
  mayModify: boolean
}

/** Below are accounts of the machine, from here on the platform's (service account, groups, people). */
const firstOwnId = 299_998
const firstPersonUid = 300_000
/** A top folder changes its group once in its life; other processes see that after this time. */
const groupKnownMs = 2000

const folderFlags = constants.O_RDONLY | constants.O_DIRECTORY | constants.O_NOFOLLOW

export function createOwnership(volume: Volume, owners: FileOwners | undefined, log: Logger): Ownership {
  if (owners === undefined) return oneUid(volume)
  const ability = probe(volume, owners)
  if (ability.reason !== undefined) {
    log.warn({ reason: ability.reason }, 'files cannot be given to people here; all of them stay with one account')
    return oneUid(volume)
  }
  if (!ability.acls)
    log.warn('the data disk keeps no ACLs; in work buckets guests are held back by read-only mounts alone')
  return perPerson(volume, owners, ability.acls)
}

function oneUid(volume: Volume): Ownership {
  return {
    isPerPerson: false,
    handOver: ({ fd }) => fchmodSync(fd, 0o644),
    folderMaker: (bucket) => (parent, name) => {
      mkdirSync(parent.at(name))
      onFolder(parent.at(name), (fd) => fchmodSync(fd, bucket === 'attic' ? 0o700 : 0o755))
    },
    shapeTop: ({ name }) => onFolder(volume.bucketRoot(name), (fd) => fchmodSync(fd, 0o755)),
    belongs: () => true,
    takeIn() {},
    takeInFolder() {},
  }
}

function perPerson(volume: Volume, owners: FileOwners, hasAcls: boolean): Ownership {
  const ownUid = process.geteuid!()
  const ownGid = process.getegid!()
  const groups = new Map<string, { group: ExperimentGroup | undefined; untilMs: number }>()

  /** The group of the bucket's top folder: every process sees the same, whatever snapshot it has. */
  function groupOfFolder(bucket: string): ExperimentGroup | undefined {
    const known = groups.get(bucket)
    const nowMs = performance.now()
    if (known !== undefined && known.untilMs > nowMs) return known.group
    const gid = statSync(volume.bucketRoot(bucket), { throwIfNoEntry: false })?.gid
    const group = gid === undefined ? undefined : experimentGroup(gid)
    groups.set(bucket, { group, untilMs: nowMs + groupKnownMs })
    return group
  }

  function groupOf(bucket: Bucket): ExperimentGroup | undefined {
    return groupOfFolder(bucket.name) ?? owners.groupOf(bucket.experiment)
  }

  function uidOf(purpose: Purpose, { ownerId, mayModify }: FileOwner): number {
    if (ownerId === undefined || (purpose === 'raw' && !mayModify)) return owners.serviceUid
    return owners.uidOf(ownerId) ?? owners.serviceUid
  }

  /** Folders belong to people only where people work together; in the others everything changes over S3 alone. */
  function shapeOf(bucket: Bucket, uid: number): FolderShape {
    const group = groupOf(bucket)
    const isShared = bucket.purpose === 'work' && group !== undefined
    return {
      uid: bucket.purpose === 'work' ? uid : owners.serviceUid,
      gid: group?.gid ?? ownGid,
      mode: isShared ? 0o2770 : group === undefined ? 0o700 : 0o2750,
      acl: isShared && hasAcls ? folderAcl(group) : undefined,
    }
  }

  function setFileMode(path: string | undefined, fd: number, group: ExperimentGroup | undefined, mode: number): void {
    if (path !== undefined && hasAcls && group !== undefined && mode & 0o020) {
      // The mode comes with it; the group's own rights are read and execute, those of the writers the mode's.
      setAttributeSync(path, accessAcl, fileAcl(group, mode))
    } else fchmodSync(fd, mode)
  }

  return {
    isPerPerson: true,
    handOver({ fd, path }, bucket, owner) {
      const group = groupOf(bucket)
      setFileMode(path, fd, group, group === undefined ? 0o600 : bucket.purpose === 'work' ? 0o660 : 0o440)
      fchownSync(fd, uidOf(bucket.purpose, owner), group?.gid ?? ownGid)
    },
    folderMaker(bucket, owner) {
      if (bucket === 'attic') return (parent, name) => mkdirSync(parent.at(name), 0o700)
      const shape = shapeOf(bucket, uidOf(bucket.purpose, owner))
      return (parent, name) => {
        mkdirSync(parent.at(name), shape.mode & 0o777)
        onFolder(parent.at(name), (fd) => {
          // Somebody else's by now: it was moved away and another one put there.
          if (fstatSync(fd).uid === ownUid) shapeFolder(fd, shape, ownGid)
        })
      }
    },
    shapeTop(bucket) {
      groups.delete(bucket.name)
      const group = owners.groupOf(bucket.experiment)
      if (group === undefined) return
      groups.set(bucket.name, { group, untilMs: performance.now() + groupKnownMs })
      onFolder(volume.bucketRoot(bucket.name), (fd) => shapeFolder(fd, shapeOf(bucket, owners.serviceUid), ownGid))
    },
    belongs(bucket, stat) {
      const gid = Number(stat.gid)
      const group = groupOfFolder(bucket)
      if (group === undefined || gid === group.gid || gid === group.writersGid) return true
      if (isExperimentGid(gid) || stat.nlink > 1n) return false
      // Brought along by a person from his own place, or nothing that is secret on this machine.
      return (Number(stat.uid) >= firstPersonUid && stat.uid === stat.gid) || (stat.mode & 0o004n) !== 0n
    },
    takeIn({ fd, directory, name }, bucket) {
      const group = groupOf(bucket)
      const stat = fstatSync(fd)
      if (group === undefined || stat.nlink > 1) return
      const execute = stat.mode & 0o100 ? 0o110 : 0
      const mode =
        bucket.purpose === 'work' ? (stat.mode & 0o600) | 0o060 | execute : (stat.mode & 0o400) | 0o040 | execute
      const uid = stat.uid < firstOwnId ? owners.serviceUid : stat.uid
      const isRight = stat.gid === group.gid && stat.uid === uid && (stat.mode & 0o7070) === (mode & 0o070)
      if (isRight) return
      // The group first: from here on a second name, ours below too, is no reason for doubt.
      if (stat.uid !== uid || stat.gid !== group.gid) fchownSync(fd, uid, group.gid)
      if (stat.mode & 0o7000) fchmodSync(fd, mode)
      const own = privateName(volume, directory, name, fd)
      // It has got another name meanwhile: whoever looks there next goes on.
      if (own === undefined && hasAcls) return
      try {
        setFileMode(own, fd, group, mode)
      } finally {
        if (own !== undefined) rmSync(own, { force: true })
      }
    },
    takeInFolder({ fd }, bucket) {
      const stat = fstatSync(fd)
      const isNarrow = bucket.purpose === 'work' && (stat.mode & 0o070) !== 0o070
      const group = groupOf(bucket)
      if (group === undefined || (stat.gid === group.gid && stat.mode & 0o2000 && !isNarrow)) return
      shapeFolder(fd, shapeOf(bucket, stat.uid < firstOwnId ? owners.serviceUid : stat.uid), ownGid)
    },
  }
}

interface FolderShape {
  uid: number
  gid: number
  mode: number
  acl: Buffer | undefined
}

/**
 * Chmod keeps the setgid bit only for members of the folder's group (or with a capability that gateways do not have),
 * chown of a folder always keeps it: so the group comes last.
 */
function shapeFolder(fd: number, { uid, gid, mode, acl }: FolderShape, ownGid: number): void {
  const here = `/proc/self/fd/${fd}/.`
  const stat = fstatSync(fd)
  const isShaped =
    stat.gid === gid &&
    (stat.mode & 0o7777) === mode &&
    (acl === undefined || getAttributeSync(here, defaultAcl)?.equals(acl) === true)
  if (!isShaped) {
    fchownSync(fd, -1, ownGid)
    fchmodSync(fd, mode)
    if (acl !== undefined) {
      setAttributeSync(here, accessAcl, acl)
      setAttributeSync(here, defaultAcl, acl)
    }
  }
  if (!isShaped || stat.uid !== uid) fchownSync(fd, uid, gid)
}

/** Writers get what the mode says of the group, the group itself never to write. */
function fileAcl(group: ExperimentGroup, mode: number): Buffer {
  const shared = (mode >> 3) & 7
  return aclBytes({
    owner: (mode >> 6) & 7,
    owningGroup: shared & 5,
    group: { gid: group.writersGid, rights: shared },
  })
}

function folderAcl(group: ExperimentGroup): Buffer {
  return aclBytes({ owner: 7, owningGroup: 5, group: { gid: group.writersGid, rights: 7 } })
}

/**
 * A second name, in a folder that nobody else can enter, for the very file that is open: what is done to it is done to
 * no other file. Undefined when the name no longer is that file, or the disk has no links. The caller removes it.
 */
export function privateName(volume: Volume, directory: SafeDirectory, name: string, fd: number): string | undefined {
  const own = volume.newTemporaryPath()
  try {
    linkSync(directory.at(name), own)
  } catch {
    return undefined
  }
  const [file, linked] = [fstatSync(fd, { bigint: true }), lstatSync(own, { bigint: true })]
  if (file.ino === linked.ino && file.dev === linked.dev) return own
  rmSync(own, { force: true })
  return undefined
}

/** Opens the folder itself, never what a link points to; nothing happens if it has gone or is none any more. */
function onFolder(path: string, work: (fd: number) => void): void {
  let fd: number
  try {
    fd = openSync(path, folderFlags)
  } catch (error) {
    if (['ENOENT', 'ENOTDIR', 'ELOOP'].includes((error as NodeJS.ErrnoException).code ?? '')) return
    throw error
  }
  try {
    work(fd)
  } finally {
    closeSync(fd)
  }
}

/** Tried for real, once: a container may be root and yet unable to give files away. */
function probe(volume: Volume, owners: FileOwners): { reason?: string; acls: boolean } {
  const folder = volume.newTemporaryPath()
  mkdirSync(folder, 0o700)
  const fd = openSync(folder, folderFlags)
  const acl = aclBytes({ owner: 7, owningGroup: 5, group: { gid: firstOwnId, rights: 7 } })
  let acls = true
  try {
    try {
      setAttributeSync(`/proc/self/fd/${fd}/.`, defaultAcl, acl)
    } catch {
      acls = false
    }
    fchownSync(fd, firstPersonUid, owners.serviceUid)
    fchmodSync(fd, 0o700)
    return { acls }
  } catch (error) {
    return { reason: (error as Error).message, acls }
  } finally {
    closeSync(fd)
    rmSync(folder, { recursive: true, force: true })
  }
}
