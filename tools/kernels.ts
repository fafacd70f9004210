/** npm run kernels: compiles the AssemblyScript of the reconstruction kernels to the committed kernels.wasm. */
import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import asc from 'assemblyscript/asc'
import { root } from './sources.ts'

const folder = join(root, 'src/reconstruction/kernels')
export const kernelsPath = join(folder, 'kernels.wasm')

/**
 * SIMD, and nothing whose result may differ between machines (no relaxed SIMD, no threads). No runtime and no memory of
 * its own: the caller lays out and imports the memory.
 */
const options = [
  '--optimizeLevel',
  '3',
  '--shrinkLevel',
  '0',
  '--converge',
  '--noAssert',
  '--runtime',
  'stub',
  '--enable',
  'simd',
  '--importMemory',
  '--use',
  'abort=',
]

/** Compiles and returns the bytes. Throws with the compiler's words when the source is wrong. */
export async function compileKernels(): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    [join('assembly', 'index.ts'), '--baseDir', folder, '--outFile', 'kernels.wasm', ...options],
    {
      writeFile(name, contents) {
        if (name === 'kernels.wasm') bytes = typeof contents === 'string' ? Buffer.from(contents) : contents
      },
    },
  )
  if (error !== null || bytes === undefined) throw new Error(`the kernels do not compile\n${stderr.toString()}`)
  return bytes
}

if (import.meta.main) {
  const bytes = await compileKernels()
  await writeFile(kernelsPath, bytes)
  console.log(`${relative(root, kernelsPath)}: ${bytes.length} bytes`)
}
