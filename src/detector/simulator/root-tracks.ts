import { openRootTree } from '../root-file/root-columns.ts'
import type { ColumnValues, RootTreeReader } from '../root-file/root-columns.ts'
import { openRootFile } from '../root-file/root-reader.ts'
import { badTracks, checkColumns, depositColumns, depositRow, neededColumns } from './deposit-row.ts'
import type { DepositColumn } from './deposit-row.ts'
import type { DepositRow } from './track-source.ts'

/**
 * Rows of the first tree that has the columns of a track file: one entry per deposit, or one per event with lists (single values then hold for all
 * of its deposits). `particle` is a PDG number. Throws `badTracks`; what is wrong with the file itself is `badRootFile`.
 */
export async function* rootRows(
  path: string,
  name: string,
  signal?: AbortSignal,
): AsyncGenerator<{ row: DepositRow; place: string }> {
  const file = await openRootFile(path)
  try {
    let tree: RootTreeReader | undefined
    let other: string[] = []
    for (const key of file.keys) {
      if (key.className !== 'TTree') continue
      const found = await openRootTree(file, key)
      const names = found.columns.map((column) => column.name)
      if (neededColumns.every((column) => names.includes(column))) {
        tree = found
        break
      }
      other = names
    }
    if (!tree) {
      // What ROOT and uproot write by default since 2025.
      const ntuple = file.keys.find(({ className }) => className === 'ROOT::RNTuple')
      if (ntuple !== undefined && other.length === 0)
        throw badTracks(
          name,
          ntuple.name,
          'it is an RNTuple, which is not read.',
          'Write a TTree; with uproot: mktree.',
        )
      checkColumns(name, 'its trees', other)
      throw badTracks(name, 'its directory', 'there is no tree.')
    }
    const names = tree.columns.map((column) => column.name)
    const columns = depositColumns.filter((column) => names.includes(column))
    for await (const piece of tree.rows(columns)) {
      signal?.throwIfAborted()
      for (let entry = 0; entry < piece.entries; entry++)
        yield* rowsOfEntry(name, `entry ${piece.firstEntry + entry + 1}`, columns, piece.values, entry)
    }
  } finally {
    await file.close()
  }
}

function* rowsOfEntry(
  name: string,
  place: string,
  columns: readonly DepositColumn[],
  values: readonly ColumnValues[],
  entry: number,
): Generator<{ row: DepositRow; place: string }> {
  const lengths = values.flatMap(({ offsets }) => (offsets ? [offsets[entry + 1]! - offsets[entry]!] : []))
  const deposits = lengths[0] ?? 1
  if (lengths.some((length) => length !== deposits))
    throw badTracks(name, place, `its lists are ${lengths.join(', ')} long.`, 'All lists of an entry have one length.')
  for (let deposit = 0; deposit < deposits; deposit++) {
    const valueOf = (column: DepositColumn): number | undefined => {
      const found = values[columns.indexOf(column)]
      return found?.values[found.offsets ? found.offsets[entry]! + deposit : entry]
    }
    const at = lengths.length > 0 ? `${place}, deposit ${deposit + 1}` : place
    yield { row: depositRow(name, at, valueOf), place: at }
  }
}
