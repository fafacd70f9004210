/**
 * One file that installs without any registry: `cygnet bundle` holds the whole program with its Node.js and the wheels of
 * the notebook environment, `cygnet bundle --agent` what the agent needs on a DAQ machine. The scripts are `packaging/`.
 */
import { createHash } from 'node:crypto'
import { createReadStream, existsSync } from 'node:fs'
import { chmod, copyFile, cp, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join, relative, resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { findPython } from '../../compute/index.ts'
import { runCommand } from '../../foundation/processes.ts'
import { downloadWheels } from '../../notebooks/index.ts'
import { shellFaults } from '../errors.ts'
import { copyProgram } from '../program-copy.ts'

export interface BundleOptions {
  checkout: string
  kind: 'platform' | 'agent'
  /** File or folder to write to; default: the folder one is in. */
  out: string
  /** Pythons of the machines it is for, as '3.11'; default: this machine's. Only for the platform. */
  pythons?: string[]
  /** Without the wheels: notebooks then need a package index at the first start. */
  withoutNotebooks?: boolean
  onProgress?: (message: string) => void
}

/** What the agent loads, beside the program's own files; the packages these need come with them. */
const agentPackages = ['commander', 'h5wasm', 'hyparquet', 'hyparquet-writer', 'pino', 'yaml', 'zod']
const machines: Partial<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }

/** Writes the bundle, complete or not at all; answers its path, size and SHA-256. */
export async function makeBundle(options: BundleOptions): Promise<{ path: string; sizeBytes: number; sha256: string }> {
  const { checkout, kind, onProgress = () => {} } = options
  const packaging = join(checkout, 'packaging')
  if (!existsSync(packaging))
    throw shellFaults.usage(`There is no folder ${packaging}.`, { hint: 'Make bundles from a checkout of Cygnet.' })
  const stage = await mkdtemp(join(tmpdir(), 'cygnet-bundle-'))
  try {
    onProgress('copying the program')
    const { folder: program, version } = await copyProgram(checkout, stage)
    const name = `cygnet-${kind === 'agent' ? 'agent-' : ''}${version}-${process.platform}-${process.arch}`
    const folder = join(stage, name)
    await mkdir(join(folder, 'bin'), { recursive: true })
    await rename(program, join(folder, 'program'))
    await cp(packaging, join(folder, 'packaging'), { recursive: true })
    await copyFile(join(checkout, 'LICENSE'), join(folder, 'LICENSE'))
    await writeFile(join(folder, 'VERSION'), `${version}\n`)
    await writeFile(join(folder, 'MACHINE'), `${machines[process.arch] ?? process.arch}\n`)
    await moveScript(folder, 'cygnet', join('bin', 'cygnet'))
    if (kind === 'platform') {
      await moveScript(folder, 'install.sh', 'install.sh')
      if (existsSync(join(checkout, 'examples')))
        await cp(join(checkout, 'examples'), join(folder, 'program', 'examples'), { recursive: true })
      if (options.withoutNotebooks !== true) await addWheels(folder, options.pythons, onProgress)
    } else {
      await keepForAgent(join(folder, 'program'))
    }
    onProgress('summing')
    await writeFile(join(folder, 'SHA256SUMS'), await sumsOf(folder))
    onProgress('packing')
    return await pack(folder, await fileNamed(options.out, `${name}.tar.gz`))
  } finally {
    await rm(stage, { recursive: true, force: true })
  }
}

async function moveScript(folder: string, name: string, target: string): Promise<void> {
  await rename(join(folder, 'packaging', name), join(folder, target))
  await chmod(join(folder, target), 0o755)
}

async function addWheels(folder: string, pythons: string[] | undefined, told: (step: string) => void): Promise<void> {
  const python = await findPython({ minimum: [3, 9], forOthers: false, searchPath: process.env.PATH ?? '' })
  const versions = pythons ?? [python.version.split('.').slice(0, 2).join('.')]
  const wheels = join(folder, 'wheels')
  await mkdir(wheels)
  for (const version of versions) {
    told(`fetching the wheels of the notebook environment for Python ${version}`)
    await downloadWheels({ python: python.path, version, folder: wheels })
  }
}

/** The web app and the packages of the platform's processes stay at home. */
async function keepForAgent(program: string): Promise<void> {
  await rm(join(program, 'build'), { recursive: true, force: true })
  await rm(join(program, 'python'), { recursive: true, force: true })
  const lock = JSON.parse(await readFile(join(program, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { dependencies?: Record<string, string> }>
  }
  const kept = new Set<string>()
  const waiting = [...agentPackages]
  for (let name = waiting.pop(); name !== undefined; name = waiting.pop()) {
    if (kept.has(name)) continue
    kept.add(name)
    waiting.push(...Object.keys(lock.packages[`node_modules/${name}`]?.dependencies ?? {}))
  }
  const modules = join(program, 'node_modules')
  for (const name of await packagesIn(modules)) {
    if (!kept.has(name)) await rm(join(modules, name), { recursive: true, force: true })
  }
}

async function packagesIn(modules: string): Promise<string[]> {
  const names = await readdir(modules)
  const scoped = names.filter((name) => name.startsWith('@'))
  const inScopes = await Promise.all(
    scoped.map(async (scope) => (await readdir(join(modules, scope))).map((name) => `${scope}/${name}`)),
  )
  return [...names.filter((name) => !name.startsWith('@')), ...inScopes.flat()]
}

async function sumsOf(folder: string): Promise<string> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true })
  const files = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name))
  const lines = []
  for (const file of files.sort()) lines.push(`${await sha256Of(file)}  ./${relative(folder, file)}\n`)
  return lines.join('')
}

async function sha256Of(path: string): Promise<string> {
  const hash = createHash('sha256')
  await pipeline(createReadStream(path), hash)
  return hash.digest('hex')
}

async function fileNamed(out: string, name: string): Promise<string> {
  const path = resolve(out)
  const isFolder = (await stat(path).catch(() => undefined))?.isDirectory() ?? false
  return isFolder ? join(path, name) : path
}

async function pack(folder: string, path: string): Promise<{ path: string; sizeBytes: number; sha256: string }> {
  await mkdir(dirname(path), { recursive: true })
  const unfinished = `${path}.unfinished`
  const options = ['--owner=0', '--group=0', '--numeric-owner', '--sort=name', '-czf', unfinished]
  const { code, stderr } = await runCommand(['tar', '-C', dirname(folder), ...options, basename(folder)], {
    timeoutMs: 1_800_000,
  })
  if (code !== 0) {
    await rm(unfinished, { force: true })
    throw shellFaults.bundleFailed(`tar ended with ${code}: ${stderr.trim().split('\n').at(-1) ?? ''}`)
  }
  await rename(unfinished, path)
  return { path, sizeBytes: (await stat(path)).size, sha256: await sha256Of(path) }
}
