/**
 * The wheels of the notebook environment as files, for machines without a package index. `CACHE/wheels/` holds them and
 * one mark per (pins, Python) whose wheels are all there; with its mark an environment is made from these files alone.
 */
import { createHash } from 'node:crypto'
import { readFile, readdir, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { bubblewrapRequirement } from '../../compute/index.ts'
import { ensureDirectory } from '../../foundation/files.ts'
import { runCommand } from '../../foundation/processes.ts'
import { notebookErrors } from '../errors.ts'

/** Runs from its file on machines whose Python has no pip (Debian without python3-venv). */
const pipRequirement = 'pip==25.3 --hash=sha256:9655943313a94722b7774661c21049070f6bbb0a1516bf02f7c8d5d9201514cd'
const machines: Partial<Record<string, string>> = { x64: 'x86_64', arm64: 'aarch64' }
export const notebookPins = join(import.meta.dirname, 'requirements.txt')

/**
 * Fetches every wheel that a Python of this `version` ('3.11') on a machine of this kind needs into `folder`, all
 * compared with their pinned sums. Throws notebooks.environment_failed.
 */
export async function downloadWheels({
  python,
  version,
  folder,
}: {
  /** A Python with pip, to fetch with. */
  python: string
  version: string
  folder: string
}): Promise<void> {
  await ensureDirectory(folder, 0o755)
  const machine = machines[process.arch] ?? process.arch
  const platforms = ['manylinux_2_28', 'manylinux_2_17', 'manylinux2014'].map((name) => `${name}_${machine}`)
  // The last patch version there can be: what is pinned for earlier ones is content with it.
  const foreign = ['--only-binary=:all:', '--python-version', `${version}.99`, '--implementation', 'cp', '--no-deps']
  const options = ['--require-hashes', ...foreign, ...platforms.flatMap((name) => ['--platform', name])]
  const pip = [python, '-m', 'pip', 'download', '-q', '--no-input', '--disable-pip-version-check', '-d', folder]
  const tools = [pipRequirement, bubblewrapRequirement() ?? '']
  const list = join(folder, '.requirements.txt')
  for (const requirements of [...(await pinsFor(python, version, machine)), tools]) {
    if (requirements.length === 0) continue
    await writeFile(list, `${requirements.join('\n')}\n`)
    await checked([...pip, ...options, '-r', list], version)
  }
  await rm(list)
  await writeFile(join(folder, markOf(await readFile(notebookPins), version)), '')
}

async function pinsFor(python: string, version: string, machine: string): Promise<string[][]> {
  const script = join(import.meta.dirname, 'pins_for.py')
  return JSON.parse(await checked([python, script, notebookPins, version, machine], version)) as string[][]
}

async function checked(command: string[], version: string): Promise<string> {
  const { code, stdout, stderr } = await runCommand(command, { timeoutMs: 1_800_000 })
  if (code === 0) return stdout
  const reason = stderr.trim().split('\n').at(-1) ?? ''
  throw notebookErrors.environmentFailed(`The wheels for Python ${version} could not be fetched: ${reason}`)
}

/** What pip is told besides: nothing, or to use the wheels of `folder` and no index. */
export async function offlineOptions(folder: string, pins: Buffer, version: string): Promise<string[]> {
  const isComplete = (await stat(join(folder, markOf(pins, version))).catch(() => undefined)) !== undefined
  return isComplete ? ['--no-index', '--find-links', folder] : []
}

/** pip as a program in its wheel, if that is there. */
export async function pipWheel(folder: string): Promise<string | undefined> {
  const name = (await readdir(folder).catch(() => [])).find((each) => /^pip-.*\.whl$/.test(each))
  return name === undefined ? undefined : join(folder, name, 'pip')
}

function markOf(pins: Buffer, version: string): string {
  const minor = version.split('.').slice(0, 2).join('.')
  return `complete-${createHash('sha256').update(pins).update(`${minor} ${process.arch}`).digest('hex').slice(0, 16)}`
}
