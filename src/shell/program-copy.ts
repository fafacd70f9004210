/**
 * An immutable copy of the program per version, `HOME/program/<version>`: what runs never changes under its feet when
 * a checkout is updated, and a sandboxed user can read it although the checkout may lie in a private folder.
 */
import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { constants, existsSync, readFileSync, realpathSync } from 'node:fs'
import {
  chmod,
  copyFile,
  cp,
  link,
  mkdir,
  open,
  readdir,
  readFile,
  rename,
  rm,
  stat,
  writeFile,
} from 'node:fs/promises'
import { basename, dirname, join, relative } from 'node:path'
import { promisify } from 'node:util'
import { checkoutCommit, commitFileName } from '../foundation/git-commit.ts'
import { freeBytes, fsyncDirectory, writeFileDurable } from '../foundation/files.ts'
import { randomToken } from '../foundation/ids.ts'
import type { Logger } from '../foundation/log.ts'
import { shellFaults } from './errors.ts'
import type { Home } from './home.ts'
import { readRelease } from './release.ts'

/** What a running Cygnet needs of a checkout; tests, benches and the sources of the web app are left out. */
const copiedFolders = ['src', 'python', 'build/web']
const copiedFiles = ['package.json', 'package-lock.json', 'LICENSE', 'packaging/cygnet.service']

/** Written last: a copy without it was torn by a power cut, or its removal was. */
const completeName = '.complete'

const youngMs = 10 * 60_000
const run = promisify(execFile)

interface LockEntry {
  dev?: boolean
  devOptional?: boolean
}

/** Whether the copy of a version is all there, also after a power cut. */
export function isComplete(folder: string): boolean {
  return existsSync(join(folder, completeName))
}

/**
 * Copies the program at `checkout` under `home` unless this very version is there already; answers its folder, which is
 * on the disk when it is answered.
 */
export async function copyProgram(checkout: string, home: string): Promise<{ folder: string; version: string }> {
  const version = await programVersion(checkout)
  const folder = join(home, 'program', version)
  if (isComplete(folder)) return { folder, version }
  const building = join(home, 'program', `.building-${randomToken(6)}`)
  await mkdir(building, { recursive: true, mode: 0o755 })
  try {
    for (const file of copiedFiles) {
      await mkdir(dirname(join(building, file)), { recursive: true, mode: 0o755 })
      await copyFile(join(checkout, file), join(building, file))
    }
    for (const source of copiedFolders) await copyTree(join(checkout, source), join(building, source))
    const present = join(home, 'program', 'current')
    const common = modulesInCommon(checkout, present)
    for (const module of productionModules(lockOf(checkout))) {
      const source = join(checkout, module)
      if (common.has(module)) await linkTree(join(present, module), join(building, module))
      else if (existsSync(source)) await copyTree(source, join(building, module))
    }
    await copyNode(join(building, 'bin', 'node'))
    // Results say which commit made them; a changed checkout has none.
    await writeFile(join(building, commitFileName), (await checkoutCommit(checkout)) ?? '')
    await chmod(building, 0o755)
    await syncTree(building)
    await writeFileDurable(join(building, completeName), '')
    // A torn one. Whoever should run from it finds its files at the same place again.
    if (existsSync(folder) && !isComplete(folder)) await rename(folder, `${building}-torn`)
    await rename(building, folder)
    await fsyncDirectory(join(home, 'program'))
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    if (!isComplete(folder)) throw error
  } finally {
    await rm(`${building}-torn`, { recursive: true, force: true })
  }
  return { folder, version }
}

/** Twice what a copy takes, and room for a copy of the database. */
export async function requireRoomForCopy(home: Home): Promise<void> {
  const database = await stat(home.database).catch(() => undefined)
  const neededBytes = 500_000_000 + (database?.size ?? 0)
  const freeNow = await freeBytes(home.program)
  if (freeNow >= neededBytes) return
  const megabytes = (bytes: number) => `${Math.ceil(bytes / 1e6)} MB`
  throw shellFaults.noRoom(
    `A new version needs ${megabytes(neededBytes)} in ${home.folder}, and ${megabytes(freeNow)} are free.`,
  )
}

/** The version of the copy that this program itself runs from, when that is one of this home. */
export function versionOfCopy(checkout: string, home: Home): string | undefined {
  return existsSync(home.program) && realpathSync(dirname(checkout)) === realpathSync(home.program)
    ? basename(realpathSync(checkout))
    : undefined
}

/**
 * Removes copies that nobody needs: neither the present version nor the one before, nor one that a process or a job
 * still uses (sandboxes have it mounted as /program, and it must not vanish under them).
 */
export async function removeOldCopies(home: Home, log: Logger): Promise<void> {
  try {
    const release = await readRelease(home)
    if (!release) return
    const chosen = [release.current, release.previous, release.next?.version, release.switching?.to]
    const used = await namesInUse(home)
    for (const entry of await readdir(home.program, { withFileTypes: true })) {
      const path = join(home.program, entry.name)
      if (!entry.isDirectory() || chosen.includes(entry.name) || used.includes(`${path}/`)) continue
      // Somebody may be making it at this moment, or be about to choose it.
      if ((await stat(path)).mtimeMs > Date.now() - youngMs) continue
      log.info({ version: entry.name }, 'nobody uses this version any more; removing its copy')
      await rm(join(path, completeName), { force: true })
      await fsyncDirectory(path)
      await rm(path, { recursive: true, force: true })
    }
  } catch (error) {
    log.error({ err: error }, 'old versions could not be removed')
  }
}

/** Command lines of all processes, and what unfinished jobs have mounted, as one text to search in. */
async function namesInUse(home: Home): Promise<string> {
  const texts: string[] = []
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name)))
    texts.push(await readFile(`/proc/${pid}/cmdline`, 'latin1').catch(() => ''))
  for (const job of await readdir(home.jobs).catch(() => [])) {
    const folder = join(home.jobs, job)
    if (!existsSync(join(folder, 'done.json')))
      texts.push(await readFile(join(folder, 'spec.json'), 'utf8').catch(() => ''))
  }
  return texts.join('\n')
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

type Lock = Record<string, LockEntry>

function lockOf(folder: string): Lock {
  const text = readFileSync(join(folder, 'package-lock.json'), 'utf8')
  return (JSON.parse(text) as { packages: Lock }).packages
}

function productionModules(lock: Lock): string[] {
  return Object.entries(lock)
    .filter(
      ([path, entry]) => path !== '' && !entry.dev && !entry.devOptional && !path.includes('node_modules/node-linux-'),
    )
    .filter(([path]) => path.lastIndexOf('node_modules/') === 0)
    .map(([path]) => path)
}

/** Packages that the present copy has as well, by the sums in both lock files; none when it was copied by other rules. */
function modulesInCommon(checkout: string, present: string): Set<string> {
  const rules = join('src', 'shell', 'program-copy.ts')
  const ofRules = (folder: string) => readFileSync(join(folder, rules), 'utf8')
  if (!isComplete(present) || !existsSync(join(present, rules)) || ofRules(present) !== ofRules(checkout))
    return new Set()
  const locks = [lockOf(checkout), lockOf(present)] as const
  const entriesOf = (lock: Lock, module: string) =>
    JSON.stringify(Object.entries(lock).filter(([path]) => path === module || path.startsWith(`${module}/`)))
  return new Set(
    productionModules(locks[0]).filter(
      (module) => existsSync(join(present, module)) && entriesOf(locks[0], module) === entriesOf(locks[1], module),
    ),
  )
}

/** The same files under another name: neither copy is ever written to. */
async function linkTree(source: string, target: string): Promise<void> {
  await mkdir(target, { recursive: true, mode: 0o755 })
  for (const entry of await readdir(source, { withFileTypes: true })) {
    const [from, to] = [join(source, entry.name), join(target, entry.name)]
    if (entry.isDirectory()) await linkTree(from, to)
    else await link(from, to).catch(() => cp(from, to, { mode: constants.COPYFILE_FICLONE }))
  }
}

/** The whole file system at once where that can be asked for, and file by file where it cannot. */
async function syncTree(folder: string): Promise<void> {
  try {
    await run('sync', ['-f', folder])
  } catch {
    for (const entry of await readdir(folder, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile() && !entry.isDirectory()) continue
      const file = await open(join(entry.parentPath, entry.name), 'r')
      await file.sync().finally(() => file.close())
    }
    await fsyncDirectory(folder)
  }
}

async function copyTree(source: string, target: string): Promise<void> {
  await cp(source, target, {
    recursive: true,
    filter: (path) => !isLeftOut(relative(source, path)),
    mode: constants.COPYFILE_FICLONE,
  })
}

/**
 * Left out: tests and the folders only they enter, maps for debuggers, and of packages for browsers what no process here loads (120 of 140 MB of
 * onnxruntime-web are builds for graphics cards).
 */
const leftOut =
  /\.test\.tsx?$|^[a-z]+\/(faults|isolation|simulation)\/|(^|\/)__pycache__(\/|$)|\.map$|(^|\/)ort(\.(?!node\.min\.mjs|wasm\.(bundle\.)?min\.mjs)[^/]*|-wasm-simd-threaded\.[^/]*\.(mjs|wasm))$/

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
