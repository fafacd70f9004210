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
  'frame-pool.ts',
  'parameters.ts',
  'payload.ts',
  'pedestal-file.ts',
  'pedestal-payload.ts',
  'products.ts',
  'reconstruction-payload.ts',
  'reconstruction-worker.ts',
  'truth-matching.ts',
]

/** 'builtin-' and 12 hex digits. */
export async function codeVersion(): Promise<string> {
  const kernels = (await readdir(join(room, 'kernels'))).map((name) => join('kernels', name))
  const detector = (await readdir(join(room, '../detector'))).map((name) => join('../detector', name))
  const files = [...deciding, ...kernels, ...detector]
    .filter((name) => name.endsWith('.ts') && !name.endsWith('.test.ts') && !name.endsWith('naive-oracle.ts'))
    .sort()
  const hash = createHash('sha256')
  for (const name of files)
    hash
      .update(`${name}\0`)
      .update(await readFile(join(room, name)))
      .update('\0')
  return `builtin-${hash.digest('hex').slice(0, 12)}`
}
