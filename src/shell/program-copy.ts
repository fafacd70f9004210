/**
 * An immutable copy of the program per version, `HOME/program/<version>`: what runs never changes under its feet when
 * a checkout is updated, and a sandboxed user can read it although the checkout may lie in a private folder.
 */
import { createHash } from 'node:crypto'
import { constants, existsSync, readFileSync } from 'node:fs'
import { chmod, copyFile, cp, link, mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import { checkoutCommit, commitFileName } from '../foundation/git-commit.ts'
import { randomToken } from '../foundation/ids.ts'

/** What a running Cygnet needs of a checkout; tests, benches and the sources of the web app are left out. */
const copiedFolders = ['src', 'python', 'build/web']
const copiedFiles = ['package.json', 'package-lock.json', 'LICENSE']

interface LockEntry {
  dev?: boolean
  devOptional?: boolean
}

/** Copies the program at `checkout` under `home` unless this very version is there already; answers its folder. */
export async function copyProgram(checkout: string, home: string): Promise<{ folder: string; version: string }> {
  const version = await programVersion(checkout)
  const folder = join(home, 'program', version)
  if (existsSync(folder)) return { folder, version }
  const building = join(home, 'program', `.building-${randomToken(6)}`)
  await mkdir(building, { recursive: true, mode: 0o755 })
  try {
    for (const file of copiedFiles) await copyFile(join(checkout, file), join(building, file))
    for (const source of copiedFolders) await copyTree(join(checkout, source), join(building, source))
    for (const module of productionModules(checkout)) {
      const source = join(checkout, module)
      if (existsSync(source)) await copyTree(source, join(building, module))
    }
    await copyNode(join(building, 'bin', 'node'))
    // Results say which commit made them; a changed checkout has none.
    await writeFile(join(building, commitFileName), (await checkoutCommit(checkout)) ?? '')
    await chmod(building, 0o755)
    await rename(building, folder)
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    if (!existsSync(folder)) throw error
  }
  return { folder, version }
}

/** The version in package.json and a hash of what would be copied: two checkouts that differ never share a folder. */
async function programVersion(checkout: string): Promise<string> {
  const hash = createHash('sha256')
  for (const file of copiedFiles) hash.update(await readFile(join(checkout, file)))
  for (const folder of copiedFolders) {
    for (const file of (await filesBelow(join(checkout, folder))).sort()) {
      hash
        .update(relative(checkout, file))
        .update('\0')
        .update(await readFile(file))
    }
  }
  const manifest = JSON.parse(await readFile(join(checkout, 'package.json'), 'utf8')) as { version: string }
  return `${manifest.version}-${hash.digest('hex').slice(0, 12)}`
}

function productionModules(checkout: string): string[] {
  const lock = JSON.parse(readFileSync(join(checkout, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, LockEntry>
  }
  return Object.entries(lock.packages)
    .filter(
      ([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && !path.includes('node_modules/node-linux-'),
    )
    .filter(([path]) => path.lastIndexOf('node_modules/') === 0)
    .map(([path]) => path)
}

async function copyTree(source: string, target: string): Promise<void> {
  await cp(source, target, {
    recursive: true,
    filter: (path) => !isLeftOut(relative(source, path)),
    mode: constants.COPYFILE_FICLONE,
  })
}

/**
 * Left out: tests, maps for debuggers, and of packages for browsers what no process here loads (120 of 140 MB of
 * onnxruntime-web are builds for graphics cards).
 */
const leftOut =
  /\.test\.tsx?$|(^|\/)__pycache__(\/|$)|\.map$|(^|\/)ort(\.(?!node\.min\.mjs|wasm\.(bundle\.)?min\.mjs)[^/]*|-wasm-simd-threaded\.[^/]*\.(mjs|wasm))$/

function isLeftOut(path: string): boolean {
  return leftOut.test(path)
}

/** The running Node is hard-linked where the file system allows it and copied otherwise. */
async function copyNode(target: string): Promise<void> {
  await mkdir(dirname(target), { recursive: true, mode: 0o755 })
  try {
    await link(process.execPath, target)
  } catch {
    await copyFile(process.execPath, target, constants.COPYFILE_FICLONE)
  }
  await chmod(target, 0o755)
}

async function filesBelow(folder: string): Promise<string[]> {
  if (!existsSync(folder)) return []
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath, entry.name))
    .filter((path) => !isLeftOut(relative(folder, path)))
}
