/**
 * Writes ROOT files with trees of numbers, in a stream: baskets go to disk as they fill, only their positions are kept.
 * Layout of the format: the ROOT manual's description of TFile, TKey, TTree and TBasket (root.cern), checked in the tests
 * with uproot. The bytes depend on what is written only: time and identity are given by the caller.
 */
import { createHash } from 'node:crypto'
import { open, type FileHandle } from 'node:fs/promises'
import { basename } from 'node:path'
import { detectorFaults } from '../errors.ts'
import { RootBytes } from './root-bytes.ts'
import { compressed, compressionSettings, dateTimeCode, keyLength, stringLength, writeKey } from './root-record.ts'
import type { KeyFields, RecordName } from './root-record.ts'
import { leafKinds, treeObject } from './root-tree.ts'
import type { BranchState, RootColumn } from './root-tree.ts'

export type { RootColumn } from './root-tree.ts'

/** Values of some entries, one array per column; a list's values stand one after the other, its counter says how many each. */
export type RootRows = Readonly<Record<string, ArrayLike<number>>>

export interface RootTree {
  /** Adds entries. Columns must fit each other, or nothing is written and `badTable` is thrown. */
  fill(entries: number, rows: RootRows): Promise<void>
}

export interface RootWriter {
  /** Begins a tree. Counters stand before the lists they count. */
  tree(name: string, title: string, columns: readonly RootColumn[]): RootTree
  /** A text beside the trees (TObjString), e.g. the version of the code. */
  text(name: string, text: string): Promise<void>
  /** Ends the file; without it there is none to read. */
  close(): Promise<void>
}

export interface RootFileOptions {
  /** UTC ms that stand as the time of every record. */
  atMs: number
}

const firstRecord = 100
/** ROOT 6.24, and a million for 64-bit positions. */
const fileVersion = 1_062_400
const directoryVersion = 1005
/** A tree's pending values are written when they take this much. */
const flushBytes = 1 << 20

interface PendingTree {
  name: string
  title: string
  entries: number
  pendingEntries: number
  pendingBytes: number
  branches: (BranchState & { values: number[]; ends: number[] })[]
}

/** Creates the file at `path`; an existing one is replaced. */
export async function createRootFile(path: string, options: RootFileOptions): Promise<RootWriter> {
  const handle = await open(path, 'w')
  const file = new RecordFile(handle, basename(path), dateTimeCode(options.atMs))
  await file.begin()
  const trees: PendingTree[] = []
  return {
    tree(name, title, columns) {
      const tree = newTree(name, title, columns)
      trees.push(tree)
      return {
        async fill(entries, rows) {
          take(tree, entries, rows)
          if (tree.pendingBytes >= flushBytes) await flush(file, tree)
        },
      }
    },
    async text(name, text) {
      const object = new RootBytes()
      object.object(1, () => object.tObject().string(text))
      await file.addObject({ className: 'TObjString', name, title: 'Collectable string class' }, () => object.take())
    },
    async close() {
      try {
        for (const tree of trees) {
          await flush(file, tree)
          const { name, title, entries, branches } = tree
          await file.addObject({ className: 'TTree', name, title }, (keyBytes) =>
            treeObject(name, title, entries, branches, keyBytes),
          )
        }
        await file.end()
      } finally {
        await handle.close()
      }
    },
  }
}

function newTree(name: string, title: string, columns: readonly RootColumn[]): PendingTree {
  const known = new Map<string, RootColumn>()
  for (const column of columns) {
    if (known.has(column.name)) throw detectorFaults.badTable(`The tree ${name} has two columns ${column.name}.`)
    if (column.counter !== undefined && known.get(column.counter)?.kind !== 'int')
      throw detectorFaults.badTable(`${column.name} is counted by ${column.counter}, which is no int column before it.`)
    known.set(column.name, column)
  }
  const branches = columns.map((column) => ({ column, baskets: [], maximum: 0, values: [], ends: [] }))
  return { name, title, entries: 0, pendingEntries: 0, pendingBytes: 0, branches }
}

function take(tree: PendingTree, entries: number, rows: RootRows): void {
  for (const { column } of tree.branches) {
    const values = rows[column.name]
    const counts = column.counter === undefined ? undefined : rows[column.counter]
    let wanted = entries
    if (counts !== undefined) {
      wanted = 0
      for (let entry = 0; entry < entries; entry++) wanted += counts[entry]!
    }
    if (values?.length !== wanted)
      throw detectorFaults.badTable(
        `Column ${column.name} of the tree ${tree.name} has ${values?.length ?? 'no'} values; ${wanted} belong to these entries.`,
      )
  }
  for (const branch of tree.branches) {
    const values = rows[branch.column.name]!
    for (let index = 0; index < values.length; index++) branch.values.push(values[index]!)
    tree.pendingBytes += values.length * leafKinds[branch.column.kind].bytes
    if (branch.column.counter === undefined) continue
    const counts = rows[branch.column.counter]!
    const counter = tree.branches.find(({ column }) => column.name === branch.column.counter)!
    let end = branch.ends.at(-1) ?? 0
    for (let entry = 0; entry < entries; entry++) {
      end += counts[entry]!
      branch.ends.push(end)
      counter.maximum = Math.max(counter.maximum, counts[entry]!)
    }
  }
  tree.pendingEntries += entries
}

async function flush(file: RecordFile, tree: PendingTree): Promise<void> {
  if (tree.pendingEntries === 0) return
  for (const branch of tree.branches) {
    const { column, values, ends } = branch
    const kind = leafKinds[column.kind]
    const name = { className: 'TBasket', name: column.name, title: tree.name }
    // What a basket knows of itself stands between its key and its values.
    const keyBytes = keyLength(name) + 19
    const object = new RootBytes()
    for (const value of values) kind.write(object, value)
    const valueBytes = object.length
    if (column.counter !== undefined) {
      object.i32(ends.length + 1).i32(keyBytes)
      for (let entry = 0; entry < ends.length - 1; entry++) object.i32(keyBytes + ends[entry]! * kind.bytes)
      object.i32(0)
    }
    const written = await file.addRecord(name, object.take(), keyBytes, (bytes) => {
      const entrySize = column.counter === undefined ? kind.bytes : ends.length + 1
      bytes
        .i16(3)
        .i32(32_000)
        .i32(entrySize)
        .i32(tree.pendingEntries)
        .i32(keyBytes + valueBytes)
        .u8(0)
    })
    branch.baskets.push({ ...written, plainBytes: keyBytes + object.length, firstEntry: tree.entries })
    branch.values = []
    branch.ends = []
  }
  tree.entries += tree.pendingEntries
  tree.pendingEntries = 0
  tree.pendingBytes = 0
}

/** Records one after the other; the header, which needs to know the end, is written last. */
class RecordFile {
  readonly #handle: FileHandle
  readonly #name: string
  readonly #dateTime: number
  readonly #keys: KeyFields[] = []
  #end = firstRecord

  constructor(handle: FileHandle, name: string, dateTime: number) {
    this.#handle = handle
    this.#name = name
    this.#dateTime = dateTime
  }

  async begin(): Promise<void> {
    this.#end += this.#directory(0, 0).length
  }

  /** A record with no entry in the directory. `behindKey` fills the bytes by which `keyBytes` is longer than the key. */
  async addRecord(
    name: RecordName,
    object: Uint8Array,
    keyBytes: number,
    behindKey: (bytes: RootBytes) => void = () => {},
    cycle = 0,
  ): Promise<{ position: number; storedBytes: number; key: KeyFields }> {
    const stored = compressed(object)
    const key: KeyFields = {
      ...name,
      objectBytes: object.length,
      storedBytes: stored.length,
      position: this.#end,
      parent: firstRecord,
      cycle,
      dateTime: this.#dateTime,
      length: keyBytes,
    }
    const bytes = new RootBytes()
    writeKey(bytes, key)
    behindKey(bytes)
    bytes.raw(stored)
    await this.#write(bytes.take(), key.position)
    this.#end += bytes.length
    return { position: key.position, storedBytes: bytes.length, key }
  }

  async addObject(name: RecordName, object: (keyBytes: number) => Uint8Array): Promise<void> {
    const keyBytes = keyLength(name)
    this.#keys.push((await this.addRecord(name, object(keyBytes), keyBytes, undefined, 1)).key)
  }

  async end(): Promise<void> {
    const list = new RootBytes()
    list.object(5, () => list.tObject().string('').i32(0))
    // No class here needs a description: ROOT, uproot and JSROOT know these versions of TTree and its parts.
    const streamers = await this.#plain(
      { className: 'TList', name: 'StreamerInfo', title: 'Doubly linked list' },
      list.take(),
    )
    const keys = new RootBytes().i32(this.#keys.length)
    for (const key of this.#keys) writeKey(keys, key)
    const own = { className: 'TFile', name: this.#name, title: '' }
    const directory = await this.#plain(own, keys.take())
    const freeBytes = keyLength(own) + 18
    const end = this.#end + freeBytes
    const free = new RootBytes()
      .i16(1001)
      .i64(end)
      .i64(Math.max(2e9, end + 1e9))
    const segments = await this.#plain(own, free.take())
    await this.#write(this.#directory(directory.position, directory.storedBytes), firstRecord)
    await this.#write(this.#header({ end: this.#end, segments, streamers }), 0)
  }

  /** Small records are not compressed, so that their size is known before. */
  async #plain(name: RecordName, object: Uint8Array): Promise<{ position: number; storedBytes: number }> {
    const bytes = new RootBytes()
    const length = keyLength(name)
    const position = this.#end
    const sizes = { objectBytes: object.length, storedBytes: object.length, length }
    writeKey(bytes, { ...name, ...sizes, position, parent: firstRecord, cycle: 1, dateTime: this.#dateTime })
    bytes.raw(object)
    await this.#write(bytes.take(), position)
    this.#end += bytes.length
    return { position, storedBytes: bytes.length }
  }

  #header(at: {
    end: number
    segments: { position: number; storedBytes: number }
    streamers: { position: number; storedBytes: number }
  }): Uint8Array {
    const { end, segments, streamers } = at
    const bytes = new RootBytes().raw(new TextEncoder().encode('root')).i32(fileVersion).i32(firstRecord)
    bytes.i64(end).i64(segments.position).i32(segments.storedBytes).i32(1).i32(this.#nameBytes()).u8(8)
    bytes.i32(compressionSettings).i64(streamers.position).i32(streamers.storedBytes)
    bytes.i16(1).raw(this.#identity())
    return bytes.raw(new Uint8Array(firstRecord - bytes.length)).take()
  }

  #directory(keysPosition: number, keysBytes: number): Uint8Array {
    const own = { className: 'TFile', name: this.#name, title: '' }
    const object = new RootBytes().string(this.#name).string('')
    object.i16(directoryVersion).u32(this.#dateTime).u32(this.#dateTime).i32(keysBytes).i32(this.#nameBytes())
    object.i64(firstRecord).i64(0).i64(keysPosition).i16(1).raw(this.#identity())
    const bytes = new RootBytes()
    const sizes = { objectBytes: object.length, storedBytes: object.length, length: keyLength(own) }
    writeKey(bytes, { ...own, ...sizes, position: firstRecord, parent: 0, cycle: 1, dateTime: this.#dateTime })
    return bytes.raw(object.take()).take()
  }

  #nameBytes(): number {
    return keyLength({ className: 'TFile', name: this.#name, title: '' }) + stringLength(this.#name) + stringLength('')
  }

  /** The file's UUID: of its name and time, so that the same content gives the same bytes. */
  #identity(): Uint8Array {
    return createHash('sha256').update(`${this.#name}\0${this.#dateTime}`).digest().subarray(0, 16)
  }

  async #write(bytes: Uint8Array, position: number): Promise<void> {
    let done = 0
    while (done < bytes.length)
      done += (await this.#handle.write(bytes, done, bytes.length - done, position + done)).bytesWritten
  }
}
