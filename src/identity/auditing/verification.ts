/** Is the audit whole? Every row against the one before, and all of them against what is kept outside the database. */
import type { AuditRow, Head } from './chain.ts'
import { beginning, faultsOf } from './chain.ts'
import { dailyFiles, lastRowOf, readDailyFile } from './daily-files.ts'

/** A row that was there once, and who says so. */
export interface Mark extends Head {
  from: string
}

export interface Found {
  /** Where in the chain it shows. */
  sequence: number
  what: string
  /** The same for the same fault, however often it is looked for and whatever comes after it. */
  key: string
}

export interface WalkReport {
  rows: number
  head: Head
  faults: Found[]
}

/** After so many, more tell nothing new. */
const mostFaults = 1000

/** Walks over a chain from its beginning, or from `start`. */
export async function walkChain(
  rows: AsyncIterable<AuditRow>,
  { marks = [], start = beginning, onRow }: { marks?: readonly Mark[]; start?: Head; onRow?: (row: AuditRow) => void },
): Promise<WalkReport> {
  const wanted = new Map<number, Mark[]>()
  for (const mark of marks) wanted.set(mark.sequence, [...(wanted.get(mark.sequence) ?? []), mark])
  const faults: Found[] = []
  let [count, head]: [number, Head] = [0, start]
  for await (const row of rows) {
    faults.push(...faultsOf(head, row).map((fault) => keyed(`chain ${row.hash}`, fault)))
    for (const mark of wanted.get(row.sequence) ?? []) {
      const what = `it is not the row that ${mark.from} knows`
      if (mark.hash !== row.hash) faults.push({ sequence: row.sequence, what, key: keyOf(mark) })
    }
    count += 1
    head = { sequence: row.sequence, hash: row.hash }
    onRow?.(row)
    if (faults.length > mostFaults) faults.length = mostFaults
  }
  for (const mark of marks.filter(({ sequence }) => sequence > head.sequence))
    faults.push({ sequence: mark.sequence, what: missingEnd(head, mark), key: keyOf(mark) })
  return { rows: count, head, faults }
}

function keyed(where: string, { sequence, what }: { sequence: number; what: string }): Found {
  return { sequence, what, key: `${where}: ${sequence} ${what}` }
}

/** A row that is no longer there, and one that took its place later, are one fault. */
const keyOf = ({ sequence, hash }: Mark): string => `mark ${sequence} ${hash}`

export function missingEnd(head: Head, { sequence, from }: Mark): string {
  const first = head.sequence + 1
  const which = first === sequence ? `row ${first} is` : `rows ${first} to ${sequence} are`
  return `${which} missing at the end, and ${from} knows of ${first === sequence ? 'it' : 'them'}`
}

/**
 * Compares the daily files with each other; what they say of the chain is for a walk over the database. The oldest file
 * present may follow others that were put away.
 */
export async function checkDailyFiles(
  folder: string,
): Promise<{ files: number; marks: Mark[]; faults: Found[]; hashes: Map<string, string> }> {
  const faults: Found[] = []
  const marks: Mark[] = []
  const hashes = new Map<string, string>()
  let before: { file: string; sha256: string; head: Head } | undefined
  const names = await dailyFiles(folder)
  for (const name of names) {
    const says = (what: string) => faults.push(keyed('file', { sequence: lastRowOf(name), what: `${name}: ${what}` }))
    let count = 0
    let head = undefined as Head | undefined
    const read = await readDailyFile(folder, name, (row) => {
      for (const { what } of faultsOf(head ?? { sequence: row.sequence - 1, hash: row.prev_hash }, row))
        says(`row ${row.sequence}: ${what}`)
      if (count === 0) marks.push({ sequence: row.sequence, hash: row.hash, from: name })
      count += 1
      head = { sequence: row.sequence, hash: row.hash }
    })
    hashes.set(name, read.sha256)
    const { opening, closing } = read
    if (opening === undefined || closing === undefined || read.unreadable > 0) says('it was changed or cut')
    if (closing !== undefined) {
      if (closing.rows !== count || closing.head.hash !== head?.hash) says('it does not hold the rows it says it does')
      marks.push({ ...closing.head, from: name })
    }
    if (opening !== undefined) {
      if (opening.after.sequence > 0) marks.push({ ...opening.after, from: name })
      if (before !== undefined && opening.previous?.file !== before.file)
        says(`the file before it, ${opening.previous?.file ?? 'none'}, is missing`)
      else if (before !== undefined && opening.previous?.sha256 !== before.sha256)
        says('the file before it was changed')
    }
    before = { file: name, sha256: read.sha256, head: closing?.head ?? beginning }
    if (faults.length > mostFaults) faults.length = mostFaults
  }
  return { files: names.length, marks, faults, hashes }
}
