/**
 * The version of the code that makes the products: a hash of the files that decide what is in them. A change of a
 * page or of a route leaves it alone; a change of a kernel, of a parameter or of a reader does not.
 */
import { createHash } from 'node:crypto'
import { readdir, readFile } from 'node:fs/promises'
import { join } from 'node:path'

const room = import.meta.dirname
const deciding = [
  'cluster-columns.ts',
  'cluster-detail-columns.ts',
  'cluster-rows.ts',
  'frame-pool.ts',
  'learning/boosted-trees.ts',
  'learning/default-recoil-model.json',
  'learning/dense-network.ts',
  'learning/foreign-model.ts',
  'learning/recoil-features.ts',
  'learning/recoil-model.ts',
  'learning/score-images.ts',
  'model-parameters.ts',
  'page-encodings.ts',
  'parameters.ts',
  'payload.ts',
  'pedestal-file.ts',
  'pedestal-payload.ts',
  'pixel-file.ts',
  'pixel-pages.ts',
  'products.ts',
  'reconstruction-payload.ts',
  'root-products.ts',
  'reconstruction-worker.ts',
  'track-parameters.ts',
  'truth-matching.ts',
  'waveform-columns.ts',
  'waveform-parameters.ts',
]

/** 'builtin-' and 12 hex digits. */
export async function codeVersion(): Promise<string> {
  const folders = ['kernels', 'waveforms', '../detector', '../detector/inflate', '../detector/root-file']
  const found = await Promise.all(
    folders.map(async (folder) => (await readdir(join(room, folder))).map((name) => join(folder, name))),
  )
  const files = [...deciding, ...found.flat()]
    .filter((name) => /\.(ts|wasm|json)$/.test(name) && !name.endsWith('.test.ts') && !name.endsWith('naive-oracle.ts'))
    .sort()
  const hash = createHash('sha256')
  for (const name of files)
    hash
      .update(`${name}\0`)
      .update(await readFile(join(room, name)))
      .update('\0')
  return `builtin-${hash.digest('hex').slice(0, 12)}`
}
