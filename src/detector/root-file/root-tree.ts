/**
 * The object TTree (class version 20) with its branches (13) and leaves, as ROOT 6 streams them: scalars of one type, and
 * lists whose length per entry stands in another branch (`sc_size[nSc]`).
 */
import { referenceOffset, RootBytes } from './root-bytes.ts'

export interface RootColumn {
  name: string
  kind: 'float' | 'double' | 'int' | 'long' | 'boolean'
  /** Name of the int column that counts how many values an entry has. Absent: one value per entry. */
  counter?: string
}

export interface BasketPlace {
  position: number
  storedBytes: number
  plainBytes: number
  firstEntry: number
}

export interface BranchState {
  column: RootColumn
  baskets: BasketPlace[]
  /** Of a counter: the longest list. ROOT sizes its arrays by it. */
  maximum: number
}

interface LeafKind {
  className: string
  letter: string
  bytes: number
  write(bytes: RootBytes, value: number): void
}

export const leafKinds: Record<RootColumn['kind'], LeafKind> = {
  float: { className: 'TLeafF', letter: 'F', bytes: 4, write: (bytes, value) => bytes.f32(value) },
  double: { className: 'TLeafD', letter: 'D', bytes: 8, write: (bytes, value) => bytes.f64(value) },
  int: { className: 'TLeafI', letter: 'I', bytes: 4, write: (bytes, value) => bytes.i32(value) },
  long: { className: 'TLeafL', letter: 'L', bytes: 8, write: (bytes, value) => bytes.i64(value) },
  boolean: { className: 'TLeafO', letter: 'O', bytes: 1, write: (bytes, value) => bytes.u8(value === 0 ? 0 : 1) },
}

const basketSizeBytes = 32_000
const noPointer = 0
const branchBits = 0x00400000
const mustCleanUp = 8

/** The bytes of the object; `keyBytes` is the length of the key before it, from which references inside are counted. */
export function treeObject(
  name: string,
  title: string,
  entries: number,
  branches: readonly BranchState[],
  keyBytes: number,
): Uint8Array {
  const bytes = new RootBytes()
  const sum = (of: (basket: BasketPlace) => number): number =>
    branches.reduce((total, branch) => branch.baskets.reduce((part, basket) => part + of(basket), total), 0)
  bytes.object(20, () => {
    bytes.tNamed(name, title, mustCleanUp)
    writeAttributes(bytes)
    bytes
      .i64(entries)
      .i64(sum(({ plainBytes }) => plainBytes))
      .i64(sum(({ storedBytes }) => storedBytes))
    bytes.i64(0).i64(0)
    // Weight, timer, columns of a scan, update, default offsets, cluster ranges; then ROOT's own limits.
    bytes.f64(1).i32(0).i32(25).i32(0).i32(1000).i32(0)
    bytes.i64(1e12).i64(1e12).i64(0).i64(-300_000_000).i64(-30_000_000).i64(1_000_000)
    bytes.u8(0).u8(0)
    writeFeatures(bytes)
    const leaves = writeBranches(bytes, branches, entries, keyBytes)
    bytes.tObjArray(leaves.length, () => leaves.forEach((reference) => bytes.u32(reference)))
    // No aliases, index values, index, tree index, friends, user information, branch references.
    for (let member = 0; member < 7; member++) bytes.i32(noPointer)
  })
  return bytes.take()
}

/** TAttLine, TAttFill, TAttMarker: how ROOT draws when nobody says. */
function writeAttributes(bytes: RootBytes): void {
  bytes.object(2, () => bytes.i16(602).i16(1).i16(1))
  writeFill(bytes)
  bytes.object(2, () => bytes.i16(1).i16(1).f32(1))
}

function writeFill(bytes: RootBytes): void {
  bytes.object(2, () => bytes.i16(0).i16(1001))
}

/** TIOFeatures, a class without version number: its checksum stands instead. */
function writeFeatures(bytes: RootBytes): void {
  bytes.object(0, () => bytes.u32(0x1aa12f10).u8(0))
}

/** Answers the references of the leaves, in order of the branches. */
function writeBranches(
  bytes: RootBytes,
  branches: readonly BranchState[],
  entries: number,
  keyBytes: number,
): number[] {
  const leaves = new Map<string, number>()
  bytes.tObjArray(branches.length, () => {
    for (const branch of branches) {
      bytes.pointer('TBranch', () =>
        bytes.object(13, () => {
          const { column, baskets } = branch
          const { letter } = leafKinds[column.kind]
          const list = column.counter === undefined ? '' : `[${column.counter}]`
          bytes.tNamed(column.name, `${column.name}${list}/${letter}`, branchBits)
          writeFill(bytes)
          const capacity = Math.max(10, baskets.length + 1)
          // Said to be uncompressed: ROOT then takes each basket as its key says, and small ones are not worth packing.
          bytes
            .i32(0)
            .i32(basketSizeBytes)
            .i32(column.counter === undefined ? 0 : 1000)
            .i32(baskets.length)
          bytes.i64(entries)
          writeFeatures(bytes)
          bytes.i32(0).i32(capacity).i32(0).i64(entries).i64(0)
          bytes.i64(baskets.reduce((total, { plainBytes }) => total + plainBytes, 0))
          bytes.i64(baskets.reduce((total, { storedBytes }) => total + storedBytes, 0))
          bytes.tObjArray(0, () => {})
          bytes.tObjArray(1, () => leaves.set(column.name, keyBytes + writeLeaf(bytes, branch, leaves)))
          bytes.tObjArray(0, () => {})
          writeBaskets(bytes, baskets, capacity, entries)
          bytes.string('')
        }),
      )
    }
  })
  return branches.map(({ column }) => leaves.get(column.name)! + referenceOffset)
}

function writeLeaf(bytes: RootBytes, { column, maximum }: BranchState, leaves: Map<string, number>): number {
  const kind = leafKinds[column.kind]
  const list = column.counter === undefined ? '' : `[${column.counter}]`
  return bytes.pointer(kind.className, () =>
    bytes.object(1, () => {
      bytes.object(2, () => {
        bytes.tNamed(column.name, `${column.name}${list}`)
        bytes.i32(1).i32(kind.bytes).i32(0)
        bytes.u8(maximum > 0 ? 1 : 0).u8(0)
        bytes.u32(column.counter === undefined ? noPointer : leaves.get(column.counter)! + referenceOffset)
      })
      kind.write(bytes, 0)
      kind.write(bytes, maximum)
    }),
  )
}

function writeBaskets(bytes: RootBytes, baskets: readonly BasketPlace[], capacity: number, entries: number): void {
  const column = (write: (basket: BasketPlace | undefined, index: number) => void): void => {
    bytes.u8(1)
    for (let index = 0; index < capacity; index++) write(baskets[index], index)
  }
  column((basket) => bytes.i32(basket?.storedBytes ?? 0))
  column((basket, index) => bytes.i64(basket?.firstEntry ?? (index === baskets.length ? entries : 0)))
  column((basket) => bytes.i64(basket?.position ?? 0))
}
