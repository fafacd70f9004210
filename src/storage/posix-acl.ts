/** POSIX ACLs in the form the kernel takes them as an extended attribute: version 2, then {tag, rights, id} each. */

export const accessAcl = 'system.posix_acl_access'
/** What new entries of a folder begin with, whatever the umask of who makes them. */
export const defaultAcl = 'system.posix_acl_default'

const version = 2
const noId = 0xffff_ffff
const tags = { owner: 0x01, owningGroup: 0x04, group: 0x08, mask: 0x10, other: 0x20 }

/** Rights as in a mode: 4 read, 2 write, 1 execute. */
export interface GroupAcl {
  owner: number
  owningGroup: number
  /** One more group with rights of its own. */
  group: { gid: number; rights: number }
}

/** `mask` lets everything through that is given here; others get nothing. */
export function aclBytes({ owner, owningGroup, group }: GroupAcl): Buffer {
  const entries: [tag: number, rights: number, id: number][] = [
    [tags.owner, owner, noId],
    [tags.owningGroup, owningGroup, noId],
    [tags.group, group.rights, group.gid],
    [tags.mask, owningGroup | group.rights, noId],
    [tags.other, 0, noId],
  ]
  const bytes = Buffer.alloc(4 + entries.length * 8)
  bytes.writeUInt32LE(version, 0)
  for (const [index, [tag, rights, id]] of entries.entries()) {
    bytes.writeUInt16LE(tag, 4 + index * 8)
    bytes.writeUInt16LE(rights, 6 + index * 8)
    bytes.writeUInt32LE(id, 8 + index * 8)
  }
  return bytes
}
