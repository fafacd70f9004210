/**
 * Reads ROOT files: the directory, and the bytes of any record. What the bytes mean is in `root-object.ts`.
 * Nothing in a file makes it throw anything but a Fault, or take more memory than the file's records may honestly need.
 */
import { open, type FileHandle } from 'node:fs/promises'
import { inflateRawSync, inflateSync, zstdDecompressSync } from 'node:zlib'
import { Fault } from '../../foundation/errors.ts'
import { detectorFaults } from '../errors.ts'
import { unpackLz4 } from './lz4-block.ts'
import { readStreamers, type Streamers } from './root-object.ts'
import { RootInput } from './root-input.ts'

export interface RootKey {
  /** With the folders it lies in: `folder/name`. */
  name: string
  title: string
  className: string
  cycle: number
  position: number
  keyBytes: number
  storedBytes: number
  objectBytes: number
}

export interface RootFile {
  path: string
  /** Newest cycle of each name, in the order of the file, folders opened. */
  keys: RootKey[]
  streamers: Streamers
  /** The bytes of an object. Positions inside count from the beginning of its key: see `RootInput.origin`. */
  read(key: Pick<RootKey, 'position'>): Promise<{ key: RootKey; object: Uint8Array; behindKey: Uint8Array }>
  close(): Promise<void>
}

/** No object of a physics file is larger; a claim beyond it is damage. */
const mostObjectBytes = 1 << 30
const mostKeys = 1_000_000
const deepestFolder = 16

/** Opens a file and reads its directory. Throws `noSuchFile` or `badRootFile`. */
export async function openRootFile(path: string): Promise<RootFile> {
  const handle = await open(path, 'r').catch((cause: Error) => {
    throw detectorFaults.noSuchFile(`${path} cannot be opened (${cause.message}).`, { cause })
  })
  try {
    const { size } = await handle.stat()
    const source = { path, handle, size }
    const head = new RootInput(await readBytes(source, 0, Math.min(size, 100)), 0, badFile(path))
    if (head.text(4) !== 'root')
      throw detectorFaults.badRootFile(`${path} is no ROOT file: it begins with other letters.`)
    const isBig = head.i32() >= 1_000_000
    const first = head.i32()
    const wide = (): number => (isBig ? head.i64() : head.i32())
    wide() // End of the file as it was when written: what is missing shows where it is needed.
    wide() // Free segments.
    head.skip(8)
    const nameBytes = head.i32()
    head.skip(5)
    const streamerPosition = wide()
    const streamerRecord = streamerPosition === 0 ? undefined : await readRecord(source, streamerPosition)
    const streamers = readStreamers(
      streamerRecord && new RootInput(streamerRecord.object, streamerRecord.key.keyBytes, badFile(path)),
    )
    const keys = await readFolder(source, first + nameBytes, '', 0)
    return {
      path,
      keys: newestOf(keys),
      streamers,
      read: ({ position }) => readRecord(source, position),
      close: () => handle.close(),
    }
  } catch (error) {
    await handle.close()
    throw error instanceof Fault ? error : badFile(path)(error instanceof Error ? error.message : String(error), 0)
  }
}

interface Source {
  path: string
  handle: FileHandle
  size: number
}

export const badFile =
  (path: string) =>
  (what: string, byte: number): Fault =>
    detectorFaults.badRootFile(`${path}: ${what}, at byte ${byte}.`, {
      hint: 'Open it with ROOT to see whether it recovers; copy it again from where it was made.',
    })

async function readBytes({ path, handle, size }: Source, position: number, length: number): Promise<Uint8Array> {
  if (!(position >= 0 && length >= 0 && position + length <= size))
    throw badFile(path)(`${length} bytes are needed and the file ends at ${size}`, position)
  const bytes = new Uint8Array(length)
  let done = 0
  while (done < length) {
    const { bytesRead } = await handle.read(bytes, done, length - done, position + done)
    if (bytesRead === 0) throw badFile(path)('the file became shorter while it was read', position + done)
    done += bytesRead
  }
  return bytes
}

/** The keys of a directory whose own record of positions stands at `position`. */
async function readFolder(source: Source, position: number, folder: string, depth: number): Promise<RootKey[]> {
  const head = new RootInput(
    await readBytes(source, position, Math.min(60, source.size - position)),
    position,
    badFile(source.path),
  )
  const version = head.i16()
  head.skip(8 + 8)
  const wide = (): number => (version > 1000 ? head.i64() : head.i32())
  wide()
  wide()
  const keysPosition = wide()
  if (keysPosition === 0) return []
  const { object } = await readRecord(source, keysPosition)
  const list = new RootInput(object, keysPosition, badFile(source.path))
  const count = list.i32()
  if (count < 0 || count > mostKeys) throw badFile(source.path)(`a directory claims ${count} keys`, keysPosition)
  const keys: RootKey[] = []
  for (let index = 0; index < count; index++) {
    const key = { ...readKey(list), path: source.path }
    const named = { ...key, name: folder + key.name }
    if (!/^TDirectory(File)?$/.test(key.className)) keys.push(named)
    else if (depth < deepestFolder)
      keys.push(...(await readFolder(source, key.position + key.keyBytes, `${named.name}/`, depth + 1)))
  }
  return keys
}

function newestOf(keys: RootKey[]): RootKey[] {
  const newest = new Map<string, RootKey>()
  for (const key of keys) if ((newest.get(key.name)?.cycle ?? -1) < key.cycle) newest.set(key.name, key)
  return [...newest.values()]
}

function readKey(input: RootInput): RootKey {
  const storedWithKey = input.i32()
  const version = input.i16()
  const objectBytes = input.i32()
  input.skip(4)
  const keyBytes = input.i16()
  const cycle = input.i16()
  const position = version > 1000 ? input.i64() : input.i32()
  input.skip(version > 1000 ? 8 : 4)
  const [className, name, title] = [input.string(), input.string(), input.string()]
  return { name, title, className, cycle, position, keyBytes, storedBytes: storedWithKey - keyBytes, objectBytes }
}

async function readRecord(
  source: Source,
  position: number,
): Promise<{ key: RootKey; object: Uint8Array; behindKey: Uint8Array }> {
  const bad = badFile(source.path)
  const sizes = new DataView((await readBytes(source, position, 18)).buffer)
  const whole = sizes.getInt32(0)
  const keyBytes = sizes.getInt16(14)
  if (whole < 18 || keyBytes < 18 || keyBytes > whole) throw bad('what stands here is no record', position)
  const bytes = await readBytes(source, position, whole)
  const input = new RootInput(bytes.subarray(0, keyBytes), 0, bad)
  const key = { ...readKey(input), position }
  const stored = bytes.subarray(keyBytes)
  if (key.objectBytes < 0 || key.objectBytes > mostObjectBytes)
    throw bad(`a record claims ${key.objectBytes} bytes`, position)
  const object = key.objectBytes > stored.length ? unpacked(stored, key.objectBytes, bad, position) : stored
  return { key, object, behindKey: bytes.subarray(input.at, keyBytes) }
}

/** Blocks of a two-letter name, a method, and two sizes of three bytes, little-endian; then the packed bytes. */
function unpacked(
  stored: Uint8Array,
  objectBytes: number,
  bad: ReturnType<typeof badFile>,
  position: number,
): Uint8Array {
  const object = new Uint8Array(objectBytes)
  let [at, filled] = [0, 0]
  while (filled < objectBytes) {
    if (at + 9 > stored.length) throw bad('a compressed record ends early', position + at)
    const name = String.fromCharCode(stored[at]!, stored[at + 1]!)
    const packedBytes = stored[at + 3]! | (stored[at + 4]! << 8) | (stored[at + 5]! << 16)
    const plainBytes = stored[at + 6]! | (stored[at + 7]! << 8) | (stored[at + 8]! << 16)
    const packed = stored.subarray(at + 9, at + 9 + packedBytes)
    if (packed.length !== packedBytes || plainBytes === 0 || filled + plainBytes > objectBytes)
      throw bad('the sizes of a compressed block do not fit', position + at)
    let plain: Uint8Array
    try {
      plain = unpackBlock(name, packed, plainBytes)
    } catch (cause) {
      throw cause instanceof Fault ? cause : bad(`a block (${name}) does not unpack`, position + at)
    }
    if (plain.length !== plainBytes) throw bad('a block unpacks to another size than it says', position + at)
    object.set(plain, filled)
    filled += plainBytes
    at += 9 + packedBytes
  }
  return object
}

function unpackBlock(name: string, packed: Uint8Array, plainBytes: number): Uint8Array {
  const limit = { maxOutputLength: plainBytes }
  if (name === 'ZL') return inflateSync(packed, limit)
  if (name === 'ZS') return zstdDecompressSync(packed, limit)
  // Eight bytes of checksum stand before the block.
  if (name === 'L4') return unpackLz4(packed.subarray(8), plainBytes)
  if (name === 'CS') return inflateRawSync(packed, limit)
  throw detectorFaults.badRootFile(`The file is compressed by a method (${name}) that is not read here.`, {
    hint: 'Copy it with ROOT to another compression: hadd -f101 new.root old.root',
  })
}
