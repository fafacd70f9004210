/** Columns of numbers out of a TTree: one value per entry, or a list counted by another column. */
import { detectorFaults } from '../errors.ts'
import { RootInput } from './root-input.ts'
import { itemsOf, readRootObject } from './root-object.ts'
import type { RootObject } from './root-object.ts'
import { badFile } from './root-reader.ts'
import type { RootFile, RootKey } from './root-reader.ts'

export interface RootTreeReader {
  name: string
  entries: number
  columns: { name: string; isList: boolean }[]
  /** Branches that hold something else than numbers (objects, strings, vectors of vectors). */
  skipped: string[]
  /**
   * Values of some columns, piece by piece in the order of the entries; not more than a basket of each column is held.
   * Throws `badRootFile` for a column the tree does not have.
   */
  rows(columns: readonly string[]): AsyncGenerator<{ firstEntry: number; entries: number; values: ColumnValues[] }>
}

export interface ColumnValues {
  values: Float64Array
  /** Of a list: where the values of each entry begin, one more than entries. */
  offsets?: Int32Array
}

interface Branch {
  name: string
  isList: boolean
  bytes: number
  read(input: RootInput): number
  entries: number
  positions: Float64Array
  firstEntries: Float64Array
  baskets: number
}

const leafReaders: Record<string, { bytes: number; read: [signed: Reader, unsigned: Reader] }> = {
  TLeafO: { bytes: 1, read: [(input) => input.u8(), (input) => input.u8()] },
  TLeafB: { bytes: 1, read: [(input) => input.i8(), (input) => input.u8()] },
  TLeafS: { bytes: 2, read: [(input) => input.i16(), (input) => input.u16()] },
  TLeafI: { bytes: 4, read: [(input) => input.i32(), (input) => input.u32()] },
  TLeafL: { bytes: 8, read: [(input) => input.i64(), (input) => input.u64()] },
  TLeafG: { bytes: 8, read: [(input) => input.i64(), (input) => input.u64()] },
  TLeafF: { bytes: 4, read: [(input) => input.f32(), (input) => input.f32()] },
  TLeafD: { bytes: 8, read: [(input) => input.f64(), (input) => input.f64()] },
}
type Reader = (input: RootInput) => number

/** Opens a tree by its key. Throws `badRootFile`. */
export async function openRootTree(file: RootFile, key: RootKey): Promise<RootTreeReader> {
  if (key.className !== 'TTree')
    throw detectorFaults.badRootFile(`${key.name} in ${file.path} is ${key.className}, not a tree.`, {
      hint: 'Write it as a TTree (an RNTuple is not read here yet), or as CSV or Parquet.',
    })
  const { object, key: found } = await file.read(key)
  const bad = badFile(file.path)
  const tree = readRootObject('TTree', new RootInput(object, found.keyBytes, bad), file.streamers)
  const entries = Number(tree.fEntries)
  if (!Number.isSafeInteger(entries) || entries < 0)
    throw bad(`the tree ${key.name} does not say how many entries it has`, key.position)
  const branches = new Map<string, Branch>()
  const skipped: string[] = []
  for (const item of itemsOf(tree.fBranches)) {
    const branch = item && branchOf(item, entries)
    if (branch === undefined) skipped.push(String(item?.fName ?? '?'))
    else branches.set(branch.name, branch)
  }
  return {
    name: key.name,
    entries,
    columns: [...branches.values()].map(({ name, isList }) => ({ name, isList })),
    skipped,
    async *rows(columns) {
      const chosen = columns.map((name) => {
        const branch = branches.get(name)
        if (branch !== undefined) return branch
        throw detectorFaults.badRootFile(`The tree ${key.name} has no column of numbers called ${name}.`, {
          hint: `It has: ${[...branches.keys()].join(', ')}.`,
        })
      })
      const cursors = chosen.map((branch) => new Cursor(file, branch))
      for (let entry = 0; entry < entries;) {
        for (const cursor of cursors) await cursor.reach(entry)
        const end = Math.min(entries, ...cursors.map((cursor) => cursor.end))
        if (end <= entry) throw bad(`baskets of the tree ${key.name} do not cover entry ${entry}`, key.position)
        yield { firstEntry: entry, entries: end - entry, values: cursors.map((cursor) => cursor.slice(entry, end)) }
        entry = end
      }
    },
  }
}

/** Undefined for what is not one leaf of numbers. */
function branchOf(object: RootObject, treeEntries: number): Branch | undefined {
  const leaves = itemsOf(object.fLeaves)
  const leaf = leaves[0]
  const kind = leaf && leafReaders[leaf.className]
  if (object.className !== 'TBranch' || leaves.length !== 1 || leaf === undefined || kind === undefined)
    return undefined
  const counted = leaf.fLeafCount !== undefined
  if (!counted && Number(leaf.fLen) !== 1) return undefined
  const { fBasketSeek: positions, fBasketEntry: firstEntries } = object
  if (!(positions instanceof Float64Array) || !(firstEntries instanceof Float64Array)) return undefined
  return {
    name: String(object.fName),
    isList: counted,
    bytes: kind.bytes,
    read: kind.read[leaf.fIsUnsigned === 1 ? 1 : 0],
    entries: Number(object.fEntries ?? treeEntries),
    positions,
    firstEntries,
    baskets: Number(object.fWriteBasket),
  }
}

/** The basket of a branch that holds an entry. */
class Cursor {
  readonly #file: RootFile
  readonly #branch: Branch
  #basket = -1
  #first = 0
  #values = new Float64Array(0)
  #offsets: Int32Array | undefined
  end = 0

  constructor(file: RootFile, branch: Branch) {
    this.#file = file
    this.#branch = branch
  }

  async reach(entry: number): Promise<void> {
    const { baskets, positions, firstEntries, entries, name } = this.#branch
    while (entry >= this.end) {
      if (++this.#basket >= baskets || (positions[this.#basket] ?? 0) <= 0)
        throw detectorFaults.badRootFile(`Values of ${name} from entry ${entry} on are not in baskets of their own.`, {
          hint: 'The file was not closed well, or is very old: copy it with ROOT (hadd new.root old.root).',
        })
      this.#first = firstEntries[this.#basket] ?? 0
      this.end = this.#basket + 1 < baskets ? (firstEntries[this.#basket + 1] ?? entries) : entries
    }
    if (this.#values.length === 0 || this.#loaded !== this.#basket) await this.#load()
  }

  #loaded = -1

  async #load(): Promise<void> {
    const { bytes, read, isList, positions, name } = this.#branch
    const bad = badFile(this.#file.path)
    const { key, object, behindKey } = await this.#file.read({ position: positions[this.#basket]! })
    const head = new RootInput(behindKey, 0, bad)
    head.skip(2 + 4 + 4)
    const entries = head.i32()
    const border = head.i32() - key.keyBytes
    if (entries !== this.end - this.#first || border < 0 || border > object.length)
      throw bad(`a basket of ${name} does not fit its tree`, positions[this.#basket]!)
    const input = new RootInput(object, key.keyBytes, bad)
    this.#values = Float64Array.from({ length: Math.floor(border / bytes) }, () => read(input))
    this.#offsets = isList ? offsetsOf(object.subarray(border), entries, key.keyBytes, border, bytes) : undefined
    if (this.#offsets === undefined && (isList || this.#values.length !== entries))
      throw bad(`a basket of ${name} holds ${this.#values.length} values for ${entries} entries`, key.position)
    this.#loaded = this.#basket
  }

  slice(begin: number, end: number): ColumnValues {
    const [from, to] = [begin - this.#first, end - this.#first]
    if (this.#offsets === undefined) return { values: this.#values.subarray(from, to) }
    const start = this.#offsets[from]!
    const offsets = this.#offsets.slice(from, to + 1).map((offset) => offset - start)
    return { values: this.#values.subarray(start, this.#offsets[to]!), offsets }
  }
}

function offsetsOf(
  bytes: Uint8Array,
  entries: number,
  keyBytes: number,
  border: number,
  size: number,
): Int32Array | undefined {
  if (bytes.length < 4 + 4 * entries) return undefined
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  const offsets = new Int32Array(entries + 1)
  for (let entry = 0; entry < entries; entry++) offsets[entry] = (view.getInt32(4 + 4 * entry) - keyBytes) / size
  offsets[entries] = Math.floor(border / size)
  const isOrdered = offsets.every((offset, entry) => offset >= (entry === 0 ? 0 : offsets[entry - 1]!))
  return isOrdered ? offsets : undefined
}
