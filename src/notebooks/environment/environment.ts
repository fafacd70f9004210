/**
 * The pinned Python environment: made once per machine into CACHE/environments/<hash>/, read-only afterwards and
 * shared by installations. Complete or absent: it is built beside and moved. Without network it works if it is there.
 */
import { spawn } from 'node:child_process'
import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { delimiter, join } from 'node:path'
import { createInterface } from 'node:readline'
import { z } from 'zod'
import { closedFolder, findPython, type Python } from '../../compute/index.ts'
import { ensureDirectory, readJsonFile } from '../../foundation/files.ts'
import { acquireLock } from '../../foundation/lock.ts'
import type { Logger } from '../../foundation/log.ts'
import { runCommand } from '../../foundation/processes.ts'
import type { EnvironmentStatus } from '../contract.ts'
import { notebookErrors } from '../errors.ts'
import { notebookPins, offlineOptions, pipWheel } from './wheels.ts'

/** A finished environment. */
export interface ReadyEnvironment {
  folder: string
  /** Its interpreter. */
  python: string
  hash: string
}

export interface PythonEnvironment {
  status(): EnvironmentStatus
  /** The environment if it is there; throws notebooks.environment_not_ready or notebooks.environment_failed. */
  ready(): ReadyEnvironment
  /** Makes it if it is not there. Two callers on one machine: one builds, the other waits. */
  ensure(progress?: (step: string) => void): Promise<ReadyEnvironment>
}

const completeMark = z.object({
  python: z.string(),
  packages: z.array(z.object({ name: z.string(), version: z.string() })),
})
/** The oldest Python that the pins have wheels for. */
const oldestPython: [number, number] = [3, 11]

export async function openEnvironment(options: {
  cacheFolder: string
  searchPath: string
  log: Logger
  /** Another list of pins, for tests. */
  requirementsPath?: string
}): Promise<PythonEnvironment> {
  const requirementsPath = options.requirementsPath ?? notebookPins
  const requirements = await readFile(requirementsPath)
  const top = join(options.cacheFolder, 'environments')
  const wheels = join(options.cacheFolder, 'wheels')
  let base: Python | undefined
  let ready: ReadyEnvironment | undefined
  let building: Promise<ReadyEnvironment> | undefined
  const status: EnvironmentStatus = {
    name: 'notebook',
    hash: '',
    state: 'absent',
    reason: null,
    step: null,
    python: null,
    packages: [],
  }

  async function locate(): Promise<Python> {
    base ??= await findPython({
      minimum: oldestPython,
      forOthers: process.getuid?.() === 0,
      searchPath: options.searchPath,
    })
    const minor = base.version.split('.').slice(0, 2).join('.')
    const hash = createHash('sha256')
      .update(requirements)
      .update(`${minor} ${base.basePrefix} ${process.arch}`)
      .digest('hex')
    status.hash = hash.slice(0, 16)
    return base
  }

  async function adopt(): Promise<boolean> {
    const folder = join(top, status.hash)
    const complete = await readJsonFile(join(folder, 'complete.json'), completeMark)
    if (complete === undefined) return false
    ready = { folder, python: join(folder, 'bin', 'python3'), hash: status.hash }
    Object.assign(status, {
      state: 'ready',
      reason: null,
      step: null,
      python: complete.python,
      packages: complete.packages,
    })
    return true
  }

  async function build(progress: (step: string) => void): Promise<ReadyEnvironment> {
    status.state = 'building'
    const told = (step: string) => {
      status.step = step
      progress(step)
    }
    try {
      const python = await locate()
      if (await adopt()) return ready!
      status.state = 'building'
      await ensureDirectory(top, 0o755)
      if (process.getuid?.() === 0) {
        const closed = await closedFolder(top)
        if (closed !== undefined) {
          throw notebookErrors.environmentFailed(
            `Other users cannot enter ${closed}, so no sandbox could use an environment in ${top}.`,
            {
              hint: 'Choose another cache folder with CYGNET_CACHE, such as /var/cache/cygnet.',
            },
          )
        }
      }
      told('waiting for another installation that makes the environment')
      const lock = await lockFor(join(top, `${status.hash}.lock`))
      try {
        if (!(await adopt())) await make(python, join(top, status.hash), told)
      } finally {
        await lock.release()
      }
      if (!(await adopt())) throw new Error('the environment was made but is not there')
      return ready!
    } catch (error) {
      status.state = 'failed'
      status.reason = (error as Error).message
      status.step = null
      throw error
    }
  }

  async function make(python: Python, folder: string, told: (step: string) => void): Promise<void> {
    await removeOldBuilds(top)
    const work = await mkdtemp(join(top, 'building-'))
    try {
      await chmod(work, 0o755)
      told('preparing Python')
      await checked(
        [python.path, '-m', 'venv', '--without-pip', '--symlinks', work],
        'the virtual environment could not be made',
      )
      const pip = await findPip(python, work, options.searchPath, wheels)
      await install(
        [
          ...pip,
          'install',
          '--no-compile',
          '--no-input',
          '--only-binary=:all:',
          '--require-hashes',
          ...(await offlineOptions(wheels, requirements, python.version)),
          '-r',
          requirementsPath,
        ],
        told,
      )
      told('compiling')
      const inner = join(work, 'bin', 'python3')
      await checked(
        [inner, '-m', 'compileall', '-q', '-j', '0', '-s', work, '-p', folder, join(work, 'lib')],
        'the packages could not be compiled',
      ).catch(
        // Some packages carry files for other Pythons: not being compiled does not make them unusable.
        () => undefined,
      )
      await pointTo(work, folder)
      const listing =
        'import json; from importlib.metadata import distributions; print(json.dumps(sorted(({"name": d.metadata["Name"], "version": d.version} for d in distributions()), key=lambda p: p["name"].lower())))'
      const packages = JSON.parse(
        await checked([inner, '-I', '-c', listing], 'the environment does not start'),
      ) as unknown
      await writeFile(join(work, 'complete.json'), JSON.stringify({ python: python.version, packages }))
      await checked(['chmod', '-R', 'u+rwX,go=rX', work], 'the rights of the environment could not be set')
      await rm(folder, { recursive: true, force: true })
      await rename(work, folder)
    } catch (error) {
      await rm(work, { recursive: true, force: true })
      throw error
    }
  }

  return {
    status: () => ({ ...status }),
    ready() {
      if (ready !== undefined) return ready
      if (status.state === 'failed')
        throw notebookErrors.environmentFailed(status.reason ?? 'It could not be made.', {
          hint: 'See `cygnet doctor`.',
        })
      throw notebookErrors.environmentNotReady(`It is being made: ${status.step ?? 'soon'}.`, {
        hint: 'The first time takes a minute.',
      })
    },
    async ensure(progress = () => undefined) {
      if (ready !== undefined) return ready
      building ??= build(progress).finally(() => {
        building = undefined
      })
      return await building
    },
  }
}

async function lockFor(path: string) {
  for (;;) {
    try {
      return await acquireLock(path)
    } catch (error) {
      if ((error as { code?: string }).code !== 'foundation.locked') throw error
      await new Promise((resolve) => setTimeout(resolve, 500))
    }
  }
}

/** A pip that can install into another environment: any Python's, else the one ensurepip puts into the environment. */
async function findPip(python: Python, environment: string, searchPath: string, wheels: string): Promise<string[]> {
  const inner = join(environment, 'bin', 'python3')
  const carried = await pipWheel(wheels)
  if (carried !== undefined) return [python.path, carried, '--python', inner]
  const candidates = [
    python.path,
    ...searchPath
      .split(delimiter)
      .filter(Boolean)
      .map((folder) => join(folder, 'python3')),
  ]
  for (const path of candidates) {
    const command = [path, '-m', 'pip', '--python', inner]
    if ((await stat(path).catch(() => undefined)) === undefined) continue
    const { code } = await runCommand([...command, '--version'], { timeoutMs: 30_000 }).catch(() => ({ code: 1 }))
    if (code === 0) return command
  }
  const { code, stderr } = await runCommand([inner, '-m', 'ensurepip'], { timeoutMs: 120_000 })
  if (code === 0) return [inner, '-m', 'pip']
  throw notebookErrors.environmentFailed(
    `There is no pip 22.3 or newer on this machine (${stderr.trim().split('\n').at(-1) ?? ''}).`,
    {
      hint: 'Install it (Debian: apt-get install python3-pip).',
    },
  )
}

async function install(command: string[], told: (step: string) => void): Promise<void> {
  const child = spawn(command[0]!, command.slice(1), { stdio: ['ignore', 'pipe', 'pipe'] })
  const errors: string[] = []
  child.stderr.on('data', (chunk: Buffer) => {
    errors.push(chunk.toString())
    if (errors.length > 50) errors.shift()
  })
  const ended = new Promise<number>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', (code) => resolve(code ?? 1))
  })
  let packages = 0
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('Collecting ')) told(`fetching package ${++packages}: ${line.slice(11).split(/[=<>~! ]/)[0]}`)
    else if (line.startsWith('Installing collected packages')) told(`installing ${packages} packages`)
  }
  if ((await ended) === 0) return
  const message =
    errors
      .join('')
      .trim()
      .split('\n')
      .filter((line) => line.startsWith('ERROR'))
      .at(0) ??
    errors.join('').trim().split('\n').at(-1) ??
    ''
  throw notebookErrors.environmentFailed(`The packages could not be installed: ${message}`, {
    hint: 'The first start needs a package index (PyPI or a mirror that pip is configured for).',
  })
}

/** The scripts and kernels name the folder they were made in; they will live in another one. */
async function pointTo(work: string, folder: string): Promise<void> {
  const files = [
    ...(await readdir(join(work, 'bin'))).map((name) => join(work, 'bin', name)),
    ...(await readdir(join(work, 'share', 'jupyter', 'kernels')).catch(() => [])).map((name) =>
      join(work, 'share', 'jupyter', 'kernels', name, 'kernel.json'),
    ),
    join(work, 'pyvenv.cfg'),
  ]
  for (const file of files) {
    const facts = await stat(file).catch(() => undefined)
    if (facts === undefined || !facts.isFile() || facts.size > 1_000_000) continue
    const text = await readFile(file, 'latin1')
    if (text.includes(work)) await writeFile(file, text.replaceAll(work, folder), 'latin1')
  }
}

/** What a builder that was killed left; the lock says that none is at work on this hash, age says it of the others. */
async function removeOldBuilds(top: string): Promise<void> {
  for (const name of await readdir(top)) {
    if (!name.startsWith('building-')) continue
    const facts = await stat(join(top, name)).catch(() => undefined)
    if (facts !== undefined && Date.now() - facts.ctimeMs > 3_600_000)
      await rm(join(top, name), { recursive: true, force: true })
  }
}

async function checked(command: string[], problem: string): Promise<string> {
  const { code, stdout, stderr } = await runCommand(command, { timeoutMs: 300_000 })
  if (code === 0) return stdout
  throw notebookErrors.environmentFailed(`${problem}: ${stderr.trim().split('\n').at(-1) ?? ''}`)
}
