/** How rows lie in the index: keys and values in fixed binary, because a listing reads a thousand of them. */

/** A row as the index knows the file; compared with lstat before anybody sees it. */
export interface IndexRow {
  inode: bigint
  size: bigint
  mtimeNs: bigint
  /** MD5 or MD5-parts; undefined for a foreign file. */
  etag: string | undefined
  isAttic: boolean
}

export interface DirectoryRow {
  /** Time of change of the folder at which the rows below it were true; -1n: unknown. */
  mtimeNs: bigint
  /** Made by us on behalf of a key: removed when empty. */
  isAuto: boolean
  /** The file system's clock is too coarse to trust `mtimeNs` alone. */
  isRacy: boolean
  /** Not 0 while somebody compares the folder with the rows. */
  scan: number
  /** About how many files, as of the last scan and since. */
  entries: number
}

const foreignFlag = 1
const atticFlag = 2

export function encodeRow(row: IndexRow): Buffer {
  const bytes = Buffer.allocUnsafe(43)
  const match = row.etag === undefined ? null : /^([0-9a-f]{32})(?:-(\d+))?$/.exec(row.etag)
  bytes[0] = (match === null ? foreignFlag : 0) | (row.isAttic ? atticFlag : 0)
  bytes.writeBigUInt64LE(row.inode, 1)
  bytes.writeBigUInt64LE(row.size, 9)
  bytes.writeBigInt64LE(row.mtimeNs, 17)
  bytes.writeUInt16LE(Number(match?.[2] ?? 0), 25)
  if (match === null) bytes.fill(0, 27)
  else bytes.write(match[1]!, 27, 'hex')
  return bytes
}

export function decodeRow(bytes: Buffer): IndexRow {
  const flags = bytes[0]!
  const parts = bytes.readUInt16LE(25)
  return {
    inode: bytes.readBigUInt64LE(1),
    size: bytes.readBigUInt64LE(9),
    mtimeNs: bytes.readBigInt64LE(17),
    etag: (flags & foreignFlag) === 0 ? `${bytes.toString('hex', 27, 43)}${parts === 0 ? '' : `-${parts}`}` : undefined,
    isAttic: (flags & atticFlag) !== 0,
  }
}

export function encodeDirectory(row: DirectoryRow): Buffer {
  const bytes = Buffer.allocUnsafe(17)
  bytes[0] = (row.isAuto ? 1 : 0) | (row.isRacy ? 2 : 0)
  bytes.writeBigInt64LE(row.mtimeNs, 1)
  bytes.writeUInt32LE(row.scan, 9)
  bytes.writeUInt32LE(Math.max(0, row.entries), 13)
  return bytes
}

export function decodeDirectory(bytes: Buffer): DirectoryRow {
  return {
    isAuto: (bytes[0]! & 1) !== 0,
    isRacy: (bytes[0]! & 2) !== 0,
    mtimeNs: bytes.readBigInt64LE(1),
    scan: bytes.readUInt32LE(9),
    entries: bytes.readUInt32LE(13),
  }
}

/** `bucket NUL key`: bucket names have no NUL, so that buckets never mix and keys sort by their UTF-8 bytes. */
export function rowKey(bucket: string, key: string): Buffer {
  return Buffer.from(`${bucket}\0${key}`, 'utf8')
}

export function keyOfRow(bucket: string, rowKeyBytes: Buffer): string {
  return rowKeyBytes.toString('utf8', bucket.length + 1)
}

/** The first position behind everything that begins with these bytes. (0xff does not occur in UTF-8.) */
export function behindPrefix(prefix: Buffer): Buffer {
  const end = Buffer.from(prefix)
  end[end.length - 1]! += 1
  return end
}
