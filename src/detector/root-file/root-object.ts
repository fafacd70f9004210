/**
 * Reads objects of any class by the descriptions (TStreamerInfo) the file carries, so that files of all versions of ROOT
 * and of Geant4's own writer are understood. What it cannot read (user streamers, most containers) it steps over.
 */
import { classesWeWrite } from './root-classes.ts'
import type { RootInput } from './root-input.ts'

/** Members by name, those of base classes among them. Arrays of numbers are Float64Arrays. */
export interface RootObject {
  className: string
  [member: string]: unknown
}

export interface RootElement {
  kind: string
  name: string
  type: number
  typeName: string
  arrayLength: number
  countName: string
}

/** Elements by class and version. */
export type Streamers = ReadonlyMap<string, ReadonlyMap<number, readonly RootElement[]>>

const byteCountMask = 0x40000000
const newClassTag = 0xffffffff
const classMask = 0x80000000
const deepest = 64
const fixedArray = 20
const pointerArray = 40

const numbers: Record<number, { bytes: number; read(input: RootInput): number }> = {
  1: { bytes: 1, read: (input) => input.i8() },
  2: { bytes: 2, read: (input) => input.i16() },
  3: { bytes: 4, read: (input) => input.i32() },
  4: { bytes: 8, read: (input) => input.i64() },
  5: { bytes: 4, read: (input) => input.f32() },
  6: { bytes: 4, read: (input) => input.i32() },
  8: { bytes: 8, read: (input) => input.f64() },
  11: { bytes: 1, read: (input) => input.u8() },
  12: { bytes: 2, read: (input) => input.u16() },
  13: { bytes: 4, read: (input) => input.u32() },
  14: { bytes: 8, read: (input) => input.u64() },
  15: { bytes: 4, read: (input) => input.u32() },
  16: { bytes: 8, read: (input) => input.i64() },
  17: { bytes: 8, read: (input) => input.u64() },
  18: { bytes: 1, read: (input) => input.u8() },
}
/** TArrayD and its sisters: a length, then the numbers. */
const arrayTypes: Record<string, number> = {
  TArrayC: 1,
  TArrayS: 2,
  TArrayI: 3,
  TArrayL: 4,
  TArrayF: 5,
  TArrayD: 8,
  TArrayL64: 16,
}

interface Context {
  input: RootInput
  streamers: Streamers
  /** Objects and classes already read, by the position others refer to them. */
  seen: Map<number, RootObject | string>
  depth: number
}

/** Reads the object a record holds. */
export function readRootObject(className: string, input: RootInput, streamers: Streamers): RootObject {
  const object: RootObject = { className }
  readClass({ input, streamers, seen: new Map(), depth: 0 }, className, object)
  return object
}

/** The record StreamerInfo: a list of descriptions, itself of fixed form. An absent or odd one describes nothing. */
export function readStreamers(input: RootInput | undefined): Streamers {
  const all = new Map<string, Map<number, readonly RootElement[]>>(
    classesWeWrite.map(([name, [version, elements]]) => [name, new Map([[version, elements]])]),
  )
  if (input === undefined) return all
  const context: Context = { input, streamers: describedByHand, seen: new Map(), depth: 0 }
  const list: RootObject = { className: 'TList' }
  readClass(context, 'TList', list)
  for (const info of itemsOf(list)) {
    if (info?.className !== 'TStreamerInfo') continue
    const elements = itemsOf(info.fElements)
    const name = String(info.fName)
    const versions = all.get(name) ?? new Map<number, readonly RootElement[]>()
    versions.set(
      Number(info.fClassVersion),
      elements.filter((one) => one !== undefined).map((one) => elementOf(one)),
    )
    all.set(name, versions)
  }
  return all
}

/** Members of a list read as one; nothing where there is none. */
export function itemsOf(list: unknown): (RootObject | undefined)[] {
  const items = (list as RootObject | undefined)?.items
  return Array.isArray(items) ? (items as (RootObject | undefined)[]) : []
}

function elementOf(object: RootObject): RootElement {
  return {
    kind: object.className,
    name: String(object.fName),
    type: Number(object.fType),
    typeName: String(object.fTypeName),
    arrayLength: Number(object.fArrayLength),
    countName: String(object.fCountName ?? ''),
  }
}

/** Members of a class, with the byte count and version before them; whatever is left of it is stepped over. */
function readClass(context: Context, className: string, object: RootObject): void {
  const { input } = context
  if (++context.depth > deepest) throw input.fault('objects lie in each other without end')
  if (className === 'TObject') readTObject(input)
  else if (className in arrayTypes) object.fArray = readNumbers(input, input.i32(), arrayTypes[className]!)
  else {
    const first = input.u32()
    const counted = (first & byteCountMask) !== 0
    if (!counted) input.at -= 4
    const end = counted ? input.at + ((first & ~byteCountMask) >>> 0) : undefined
    if (end !== undefined && end > input.bytes.length)
      throw input.fault(`an object ${className} is longer than its record`)
    const version = input.i16()
    // A class without number is known by a checksum.
    if (version === 0 && counted) input.skip(4)
    const complete = readMembers(context, className, version, object)
    if (end !== undefined) input.at = end
    else if (!complete) throw input.fault(`an object ${className} of version ${version} is not understood`)
  }
  context.depth--
}

function readTObject(input: RootInput): void {
  const start = input.at
  if ((input.u32() & byteCountMask) === 0) input.at = start
  input.skip(2 + 4)
  const isReferenced = 0x10
  if ((input.u32() & isReferenced) !== 0) input.skip(2)
}

/** False: something in it could not be read, and what follows neither. */
function readMembers(context: Context, className: string, version: number, object: RootObject): boolean {
  const { input, streamers } = context
  if (className === 'TObjArray' || className === 'TList' || className === 'THashList') {
    readTObject(input)
    if (version > 2 || className !== 'TObjArray') object.fName = input.string()
    const count = input.i32()
    if (className === 'TObjArray') input.skip(4)
    if (count < 0 || count > input.left) throw input.fault(`a list claims ${count} members`)
    object.items = Array.from({ length: count }, () => {
      const item = readPointer(context)
      if (className !== 'TObjArray') input.skip(input.u8())
      return item
    })
    return true
  }
  const versions = streamers.get(className)
  const elements = versions?.get(version) ?? (version === 0 ? versions?.values().next().value : undefined)
  if (elements === undefined) return false
  return elements.every((element) => readElement(context, element, object))
}

function readElement(context: Context, element: RootElement, object: RootObject): boolean {
  const { input } = context
  const { name, type, typeName } = element
  if (type === 0 || element.kind === 'TStreamerBase') {
    readClass(context, name, object)
    return true
  }
  if (type in numbers) {
    object[name] = numbers[type]!.read(input)
    return true
  }
  if (type > fixedArray && type - fixedArray in numbers) {
    object[name] = readNumbers(input, element.arrayLength, type - fixedArray)
    return true
  }
  if (type > pointerArray && type - pointerArray in numbers) {
    const isThere = input.u8() !== 0
    const count = Number(object[element.countName] ?? 0)
    object[name] = readNumbers(input, isThere ? count : 0, type - pointerArray)
    return true
  }
  const plainName = typeName.replace(/\*$/, '').trim()
  switch (type) {
    case 61: // An object in place.
    case 62:
    case 66:
    case 67: {
      const part: RootObject = { className: plainName }
      if (plainName !== 'TObject' && !(plainName in arrayTypes) && !isReadable(context, plainName)) {
        // Its byte count leads over it.
        const count = input.u32()
        if ((count & byteCountMask) === 0) return false
        input.skip((count & ~byteCountMask) >>> 0)
        return true
      }
      readClass(context, plainName, part)
      object[name] = part
      return true
    }
    case 63: // Behind a pointer.
    case 64:
    case 68:
    case 69:
      object[name] = readPointer(context)
      return true
    case 65:
      object[name] = input.string()
      return true
    default:
      return false
  }
}

function isReadable({ streamers }: Context, className: string): boolean {
  return streamers.has(className) || /^(TObjArray|TList|THashList)$/.test(className)
}

function readPointer(context: Context): RootObject | undefined {
  const { input, seen } = context
  const start = input.at
  const first = input.u32()
  if (first === 0) return undefined
  if ((first & byteCountMask) === 0 || first === newClassTag) {
    const known = seen.get(first)
    return typeof known === 'object' ? known : undefined
  }
  const end = input.at + ((first & ~byteCountMask) >>> 0)
  if (end > input.bytes.length) throw input.fault('an object is longer than its record')
  const tagAt = input.at
  const tag = input.u32()
  let className: string
  if (tag === newClassTag) {
    className = input.textToZero()
    seen.set(tagAt + input.origin + 2, className)
  } else {
    const named = seen.get((tag & ~classMask) >>> 0)
    if (typeof named !== 'string') {
      input.at = end
      return undefined
    }
    className = named
  }
  const object: RootObject = { className }
  seen.set(start + input.origin + 2, object)
  readClass(context, className, object)
  input.at = end
  return object
}

function readNumbers(input: RootInput, count: number, type: number): Float64Array {
  const { bytes, read } = numbers[type]!
  if (!(count >= 0 && count * bytes <= input.left)) throw input.fault(`an array claims ${count} numbers`)
  return Float64Array.from({ length: count }, () => read(input))
}

function element(name: string, type: number, typeName = '', arrayLength = 0): RootElement {
  return { kind: '', name, type, typeName, arrayLength, countName: '' }
}

/** How descriptions describe themselves: TStreamerInfo and its elements, the same in all files since ROOT 3. */
const describedByHand: Streamers = (() => {
  const named = [element('TObject', 0), element('fName', 65), element('fTitle', 65)]
  const streamerElement = [
    element('TNamed', 0),
    element('fType', 3),
    element('fSize', 3),
    element('fArrayLength', 3),
    element('fArrayDim', 3),
    element('fMaxIndex', fixedArray + 3, '', 5),
    element('fTypeName', 65),
  ]
  const base = element('TStreamerElement', 0)
  const anyVersion = (elements: readonly RootElement[]): ReadonlyMap<number, readonly RootElement[]> =>
    new Map(Array.from({ length: 12 }, (_, version) => [version, elements]))
  const count = [element('fCountVersion', 3), element('fCountName', 65), element('fCountClass', 65)]
  return new Map(
    Object.entries({
      TNamed: named,
      TStreamerInfo: [
        element('TNamed', 0),
        element('fCheckSum', 13),
        element('fClassVersion', 3),
        element('fElements', 64),
      ],
      TStreamerElement: streamerElement,
      TStreamerBase: [base, element('fBaseVersion', 3)],
      TStreamerBasicPointer: [base, ...count],
      TStreamerLoop: [base, ...count],
      TStreamerSTL: [base, element('fSTLtype', 3), element('fCtype', 3)],
      ...Object.fromEntries(
        [
          'BasicType',
          'Object',
          'ObjectPointer',
          'ObjectAny',
          'ObjectAnyPointer',
          'String',
          'STLstring',
          'Artificial',
        ].map((kind) => [`TStreamer${kind}`, [base]]),
      ),
    }).map(([name, elements]) => [name, anyVersion(elements)]),
  )
})()
