/**
 * Selected rows as a ROOT file: one tree with a branch per column, one entry per row. Branches have the names of the
 * reference (`sc_*`, `pmt_*`) where it has one with the same meaning. What depends on the axes keeps our names
 * (`x_mean_px`, `theta_deg`, ...): a row does not know the size of its image, so ours cannot be turned into those of the
 * reference, as `root-products.ts` does. Our axes: x = column, y = row of the stored frame; the title of the tree says so.
 *
 * A ROOT file can only be sent when it is whole: its header is written last. It grows in a file without a name, which is
 * gone with the last handle, whatever becomes of the thread.
 */
import { mkdtemp, open, rm } from 'node:fs/promises'
import type { FileHandle } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createRootFile } from '../../detector/index.ts'
import type { RootColumn } from '../../detector/index.ts'
import { clusterColumns } from '../cluster-columns.ts'
import { waveformColumns } from '../waveform-columns.ts'
import type { Quantity } from './expression.ts'
import { eventColumns } from './quantities.ts'
import type { RowBatch, RowWriter } from './row-writers.ts'

const kinds = {
  INT32: { kind: 'int', bytes: 4 },
  FLOAT: { kind: 'float', bytes: 4 },
  DOUBLE: { kind: 'double', bytes: 8 },
  BOOLEAN: { kind: 'boolean', bytes: 1 },
} as const satisfies Record<Quantity['storage'], { kind: RootColumn['kind']; bytes: number }>

const onAxes = new Set(['sc_theta'])
const branches = new Map(
  [...clusterColumns, ...waveformColumns, ...eventColumns].flatMap(({ name, branch }) =>
    branch === null || onAxes.has(branch) ? [] : [[name, branch] as const],
  ),
)
const trees: Record<string, string> = { cluster: 'Clusters', event: 'Images', waveform: 'Waveforms' }

/** Values before compression: the disk a single export may take. */
const mostBytes = 1024 ** 3
const chunkBytes = 256 * 1024

/** The branch that holds a quantity. */
export function branchOf({ name, column }: Pick<Quantity, 'name' | 'column'>): string {
  return branches.get(name) ?? column ?? name
}

export function rootWriter(limitBytes = mostBytes): RowWriter {
  return {
    contentType: 'application/x-root',
    extension: 'root',
    open(columns, about) {
      const rowBytes = columns.reduce((sum, { storage }) => sum + kinds[storage].bytes, 0)
      const state = { rows: 0 }
      let begun: Promise<Begun> | undefined
      const file = () => (begun ??= begin(columns, about))
      return {
        async *rows(batch) {
          state.rows += batch.rows
          if (state.rows * rowBytes > limitBytes)
            throw new Error(
              `as a ROOT file the rows take more than ${Math.round(limitBytes / 1024 ** 2)} MiB; take fewer runs or columns, or Parquet`,
            )
          await (await file()).tree.fill(batch.rows, valuesOf(columns, batch))
          // Nothing can be sent before the end.
          yield* []
        },
        async *end() {
          const { root, reading } = await file()
          await root.close()
          for (;;) {
            const { bytesRead, buffer } = await reading.read(new Uint8Array(chunkBytes), 0, chunkBytes)
            if (bytesRead === 0) break
            yield bytesRead === chunkBytes ? buffer : buffer.slice(0, bytesRead)
          }
        },
        async close() {
          const opened = await begun?.catch(() => undefined)
          // It may have been closed at the end; what is not whole is not wanted either.
          await opened?.root.close().catch(() => undefined)
          await opened?.reading.close()
        },
      }
    },
  }
}

type Root = Awaited<ReturnType<typeof createRootFile>>
interface Begun {
  root: Root
  tree: ReturnType<Root['tree']>
  reading: FileHandle
}

async function begin(columns: readonly Quantity[], about: Readonly<Record<string, string>>): Promise<Begun> {
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-rows-'))
  try {
    const path = join(folder, `${about['source'] ?? 'row'}s.root`)
    // The time in the file is that of the epoch: the same rows give the same bytes.
    const root = await createRootFile(path, { atMs: Date.UTC(2000) })
    const reading = await open(path, 'r')
    for (const [name, text] of Object.entries(about)) await root.text(`cygnet_${name}`, text)
    const source = about['source'] ?? ''
    const tree = root.tree(
      trees[source] ?? 'Rows',
      source === 'cluster' ? 'clusters; x = column, y = row of the stored frame' : `${source}s`,
      columns.map((column) => ({ name: branchOf(column), kind: kinds[column.storage].kind })),
    )
    return { root, tree, reading }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

function valuesOf(columns: readonly Quantity[], { values }: RowBatch): Record<string, Float64Array> {
  return Object.fromEntries(columns.map((column, index) => [branchOf(column), values[index]!]))
}
