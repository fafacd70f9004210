/** The Python that runs shims, relays and builds environments: one whose whole path other users may walk. */
import { lstat, readlink, stat } from 'node:fs/promises'
import { delimiter, dirname, join, parse, resolve } from 'node:path'
import { runCommand } from '../../foundation/processes.ts'
import { computeErrors } from '../errors.ts'

export interface Python {
  path: string
  version: string
  /** Installation prefix; what has to be visible in a sandbox for this Python to work. */
  basePrefix: string
}

/**
 * The first usable `python3`: at least `minimum`, and, when `forOthers`, with every folder on its real path open to
 * other users (a pyenv below /root is not). Looks on `searchPath` first, then where systems keep theirs.
 * Throws compute.python_missing, which lists what was tried and why not.
 */
export async function findPython(options: {
  minimum: [number, number]
  forOthers: boolean
  searchPath: string
}): Promise<Python> {
  const folders = [...options.searchPath.split(delimiter), '/usr/bin', '/usr/local/bin', '/opt/python/bin'].filter(
    Boolean,
  )
  const names = ['python3', 'python3.14', 'python3.13', 'python3.12', 'python3.11', 'python3.10', 'python3.9']
  const refused: string[] = []
  const seen = new Set<string>()
  for (const name of names) {
    for (const folder of folders) {
      const path = join(folder, name)
      if (seen.has(path)) continue
      seen.add(path)
      const answer = await examine(path, options)
      if (typeof answer === 'object') return answer
      if (answer !== undefined) refused.push(`${path}: ${answer}`)
    }
  }
  throw computeErrors.pythonMissing(
    refused.length === 0
      ? 'There is no python3 on this machine.'
      : `No python3 here can be used: ${refused.join('; ')}.`,
    {
      hint: `Install Python ${options.minimum.join('.')} or newer for the whole machine (Debian: apt-get install python3).`,
    },
  )
}

async function examine(
  path: string,
  options: { minimum: [number, number]; forOthers: boolean },
): Promise<Python | string | undefined> {
  if ((await stat(path).catch(() => undefined))?.isFile() !== true) return undefined
  if (options.forOthers) {
    const closed = await closedFolder(path)
    if (closed !== undefined) return `${closed} is closed to other users`
  }
  try {
    // In a virtual environment the interpreter behind it is meant: a sandbox sees that one, and not the environment.
    const behind = 'getattr(sys, "_base_executable", "") or sys.executable'
    const script = `import sys; print("%d.%d.%d" % sys.version_info[:3]); print(sys.base_prefix); print(${behind})`
    const { code, stdout } = await runCommand([path, '-I', '-S', '-c', script], { timeoutMs: 10_000 })
    const [version = '', basePrefix = '', executable = ''] = stdout.trim().split('\n')
    if (code !== 0 || executable === '') return 'it does not start'
    const [major = 0, minor = 0] = version.split('.').map(Number)
    if (major < options.minimum[0] || (major === options.minimum[0] && minor < options.minimum[1])) {
      return `version ${version} is older than ${options.minimum.join('.')}`
    }
    // A shim of pyenv and the like is a shell script: what it starts is what counts.
    if (executable !== path && options.forOthers) {
      const closed = (await closedFolder(executable)) ?? (await closedFolder(basePrefix))
      if (closed !== undefined) return `${closed} is closed to other users`
    }
    return { path: executable, version, basePrefix }
  } catch {
    return 'it does not start'
  }
}

/** The first folder on the way to `path`, links followed, that other users may not enter. */
export async function closedFolder(path: string, depth = 0): Promise<string | undefined> {
  if (depth > 20) return path
  const { root } = parse(path)
  let current = root
  for (const segment of path.slice(root.length).split('/').filter(Boolean)) {
    current = join(current, segment)
    const facts = await lstat(current).catch(() => undefined)
    if (facts === undefined) return current
    if (facts.isSymbolicLink()) {
      const target = resolve(dirname(current), await readlink(current))
      const closed = await closedFolder(target, depth + 1)
      if (closed !== undefined) return closed
    } else if (facts.isDirectory() && (facts.mode & 0o001) === 0) {
      return current
    }
  }
  return undefined
}
