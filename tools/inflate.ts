/** node tools/inflate.ts: compiles the AssemblyScript of the detector room's inflater to the committed inflate.wasm. */
import { writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import asc from 'assemblyscript/asc'
import { root } from './sources.ts'

const folder = join(root, 'src/detector/inflate')
export const inflatePath = join(folder, 'inflate.wasm')

/** No runtime, a memory of its own that never grows. */
const options = '-O3 --noAssert --runtime stub --initialMemory 18 --maximumMemory 18 --use abort='.split(' ')

/** Compiles and returns the bytes. Throws with the compiler's words when the source is wrong. */
export async function compileInflate(): Promise<Uint8Array> {
  let bytes: Uint8Array | undefined
  const { error, stderr } = await asc.main(
    [join('assembly', 'inflate.ts'), '--baseDir', folder, '--outFile', 'inflate.wasm', ...options],
    {
      writeFile(name, contents) {
        if (name === 'inflate.wasm') bytes = typeof contents === 'string' ? Buffer.from(contents) : contents
      },
    },
  )
  if (error !== null || bytes === undefined) throw new Error(`the inflater does not compile\n${stderr.toString()}`)
  return bytes
}

if (import.meta.main) {
  const bytes = await compileInflate()
  await writeFile(inflatePath, bytes)
  console.log(`${relative(root, inflatePath)}: ${bytes.length} bytes`)
}
