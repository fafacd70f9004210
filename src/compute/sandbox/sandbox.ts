/** What isolates user code on this machine, found out once, and the command that runs one attempt inside it. */
import { existsSync } from 'node:fs'
import { lstat, readlink, realpath } from 'node:fs/promises'
import { join } from 'node:path'
import { runCommand } from '../../foundation/processes.ts'
import { computeErrors } from '../errors.ts'
import type { SandboxStatus } from '../contract.ts'
import type { Launch, Mount } from '../model.ts'
import { sandboxCommand, sandboxOptions, translatePaths, type Descriptor, type SandboxBase } from './arguments.ts'
import { findBubblewrap, type Bubblewrap } from './bubblewrap.ts'
import { detectCgroups, type Cgroups } from './cgroups.ts'
import { gatherHostFacts } from './host-facts.ts'
import { isolationFindings } from './host-findings.ts'
import { closedFolder, findPython, type Python } from './python.ts'
import { syscallFilterHex } from './syscall-filter.ts'

export interface SandboxOptions {
  cacheFolder: string
  searchPath: string
  /** Tells installations on one machine apart in the cgroup tree. */
  label: string
  /** off: as if this machine had no sandbox. */
  mode: 'auto' | 'off'
  /** off: as if this machine had no cgroups. */
  cgroups?: 'auto' | 'off'
}

/** What the shim executes. */
export interface PreparedCommand {
  command: string[]
  environment: Record<string, string>
  descriptors: Descriptor[]
  /** Working directory for a payload without a sandbox; null inside one. */
  directory: string | null
  sandboxed: boolean
}

export interface Sandbox {
  status: SandboxStatus
  python: Python | undefined
  cgroups: Cgroups | undefined
  /** Mounts of the machine itself, for kinds that want to know what is there. */
  base: SandboxBase
  prepare(input: {
    launch: Launch
    mounts: Mount[]
    environment: Record<string, string>
    person: { name: string; uid: number; groups: number[]; home: string }
  }): PreparedCommand
}

/** Findings that the notes put in their own words, knowing more. */
const saidAbove = new Set(['bubblewrap', 'limits', 'users'])

const asRoot = process.getuid?.() === 0
const ownUid = process.getuid?.() ?? 0
/** What the platform may hand out on a machine; a smaller number could be an account of the machine. */
const smallestUid = 300_000
const prlimit = '/usr/bin/prlimit'
export const defaultProcesses = 1024

/** Finds bubblewrap (fetching it if it must), tries it for real, and finds cgroups and Python. Never throws. */
export async function openSandbox(options: SandboxOptions): Promise<Sandbox> {
  const [cgroups, foundPython] = await Promise.all([
    options.cgroups === 'off' ? undefined : detectCgroups(options.label).catch(() => undefined),
    findPython({ minimum: [3, 9], forOthers: asRoot, searchPath: options.searchPath }).catch(
      (error: Error) => error.message,
    ),
  ])
  const python = typeof foundPython === 'string' ? undefined : foundPython
  const base = await sandboxBase(python)
  const notes: string[] = []
  let bubblewrap: Bubblewrap | string = 'switched off by the configuration'
  if (options.mode === 'auto') {
    bubblewrap = await findBubblewrap({
      ...options,
      python: python?.path,
      findPip: () => pipOf(python, options.searchPath),
    })
    if (typeof bubblewrap !== 'string') {
      const problem = await tryOut(bubblewrap, base)
      if (problem !== undefined) bubblewrap = problem
    }
  }
  const available = typeof bubblewrap !== 'string'
  if (!asRoot)
    notes.push(
      "Cygnet does not run as root: everybody's work has the same uid on this machine, kept apart by namespaces only.",
    )
  if (cgroups === undefined)
    notes.push(
      `No cgroup can be used: memory is limited by watching it, ${existsSync(prlimit) ? '' : 'process counts and '}cpu are not limited.`,
    )
  if (cgroups !== undefined && cgroups.version === 1)
    notes.push('cgroup v1: works, but the machine is of an older set-up.')
  const filterHex = syscallFilterHex(process.arch)
  if (filterHex === undefined) notes.push(`No system call filter for ${process.arch}.`)
  const trial = typeof bubblewrap === 'string' ? (options.mode === 'off' ? null : bubblewrap) : undefined
  const facts = await gatherHostFacts({ searchPath: options.searchPath, programFolders: [options.cacheFolder], trial })
  for (const { what, verdict, detail, hint } of isolationFindings(facts))
    if (verdict !== 'good' && !saidAbove.has(what)) notes.push(`${what}: ${detail}. ${hint}`)
  const status: SandboxStatus = {
    available,
    reason: typeof bubblewrap === 'string' ? bubblewrap : null,
    bubblewrap: typeof bubblewrap === 'string' ? null : bubblewrap,
    identity: asRoot ? 'own-uid' : 'same-uid',
    limits: cgroups === undefined ? 'none' : cgroups.version === 2 ? 'cgroup-v2' : 'cgroup-v1',
    python: python === undefined ? null : { path: python.path, version: python.version },
    notes: typeof foundPython === 'string' ? [...notes, foundPython] : notes,
  }
  return {
    status,
    python,
    cgroups,
    base,
    prepare({ launch, mounts, environment, person }) {
      const uid = asRoot ? checkedUid(person.uid) : ownUid
      if (typeof bubblewrap === 'string') return withoutSandbox(launch, mounts, environment, { ...person, uid })
      const { descriptors } = sandboxOptions({
        base,
        launch,
        mounts,
        environment,
        person: { ...person, uid },
        filterHex,
      })
      const inner = sandboxCommand(bubblewrap.path, [
        ...(cgroups === undefined ? processLimit(launch.limits?.processes ?? defaultProcesses) : []),
        ...launch.argv,
      ])
      return {
        command: asRoot ? [...setpriv(uid, person.groups), ...inner] : inner,
        // What bubblewrap itself runs with; the payload gets `environment` by --setenv.
        environment: { PATH: '/usr/bin:/bin', CYGNET_ATTEMPT: environment.CYGNET_ATTEMPT ?? '' },
        descriptors,
        directory: null,
        sandboxed: true,
      }
    },
  }
}

/**
 * Without cgroups the kernel counts by user, and a user of the sandbox's own namespace has only what is in it (since
 * Linux 5.14): so this is said inside, where nobody else's processes count.
 */
function processLimit(processes: number): string[] {
  return existsSync(prlimit) ? [prlimit, `--nproc=${processes}:${processes}`, '--'] : []
}

/** Nothing but the person's own uid, where we may give one. */
function withoutSandbox(
  launch: Launch,
  mounts: Mount[],
  environment: Record<string, string>,
  person: { uid: number; groups: number[] },
): PreparedCommand {
  const translate = (text: string) => translatePaths(text, mounts)
  const [program = '', ...rest] = launch.argv.map(translate)
  const command = program.startsWith('/') ? [program, ...rest] : ['/usr/bin/env', program, ...rest]
  return {
    command: asRoot ? [...setpriv(person.uid, person.groups), ...command] : command,
    environment: Object.fromEntries(Object.entries(environment).map(([name, value]) => [name, translate(value)])),
    descriptors: [],
    directory: translate(launch.directory ?? '/out'),
    sandboxed: false,
  }
}

function setpriv(uid: number, groups: readonly number[]): string[] {
  return [
    '/usr/bin/setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    groups.length === 0 ? '--clear-groups' : `--groups=${groups.join(',')}`,
    '--inh-caps=-all',
    '--ambient-caps=-all',
    '--no-new-privs',
    '--',
  ]
}

function checkedUid(uid: number): number {
  if (!Number.isInteger(uid) || uid < smallestUid) {
    throw computeErrors.badLaunch(`The uid ${uid} is not one of the platform's (${smallestUid} and above).`)
  }
  return uid
}

export async function sandboxBase(python: Python | undefined): Promise<SandboxBase> {
  const system: Mount[] = [{ source: '/usr', target: '/usr', mode: 'ro' }]
  const links: SandboxBase['links'] = []
  for (const path of ['/bin', '/sbin', '/lib', '/lib32', '/lib64', '/libx32']) {
    const facts = await lstat(path).catch(() => undefined)
    if (facts?.isSymbolicLink()) links.push({ target: await readlink(path), path })
    else if (facts?.isDirectory()) system.push({ source: path, target: path, mode: 'ro' })
  }
  for (const path of [
    '/etc/ld.so.cache',
    '/etc/ld.so.conf',
    '/etc/ld.so.conf.d',
    '/etc/alternatives',
    '/etc/localtime',
    '/etc/mime.types',
    '/etc/ssl/certs',
    '/etc/ssl/openssl.cnf',
    '/etc/pki/tls/certs',
    '/etc/pki/ca-trust/extracted',
    '/etc/fonts',
  ]) {
    if (existsSync(path)) system.push({ source: await realpath(path), target: path, mode: 'ro' })
  }
  if (python !== undefined && !`${python.basePrefix}/`.startsWith('/usr/')) {
    system.push({ source: python.basePrefix, target: python.basePrefix, mode: 'ro' })
  }
  return { system, links }
}

/** One start with every option that is used, as the uid that is used: nothing else shows that it works here. */
export async function tryOut(bubblewrap: Bubblewrap, base: SandboxBase): Promise<string | undefined> {
  if (asRoot && !existsSync('/usr/bin/setpriv')) return 'setpriv (of util-linux) is not installed'
  if (asRoot) {
    const closed = await closedFolder(bubblewrap.path)
    if (closed !== undefined) return `${bubblewrap.path} cannot be run by other users: ${closed} is closed to them`
  }
  try {
    const binds = base.system.flatMap((mount) => ['--ro-bind', mount.source, mount.target])
    const links = base.links.flatMap((link) => ['--symlink', link.target, link.path])
    const command = [
      ...(asRoot ? setpriv(smallestUid, []) : []),
      bubblewrap.path,
      '--unshare-all',
      '--unshare-user',
      '--disable-userns',
      '--die-with-parent',
      '--new-session',
      '--cap-drop',
      'ALL',
      ...binds,
      ...links,
      '--proc',
      '/proc',
      '--dev',
      '/dev',
      '--size',
      '1048576',
      '--tmpfs',
      '/tmp',
      '--',
      '/bin/sh',
      '-c',
      'echo inside',
    ]
    const { stdout, stderr } = await runCommand(command, {
      timeoutMs: 10_000,
      cwd: '/',
      env: { PATH: '/usr/bin:/bin' },
    })
    if (stdout.trim() === 'inside') return undefined
    return `bubblewrap does not work on this machine: ${stderr.trim().split('\n').at(-1) ?? 'no message'}`
  } catch (error) {
    return `bubblewrap does not work on this machine: ${(error as Error).message}`
  }
}

/** Any python with pip does for a download; it need not be the one that runs jobs. */
async function pipOf(python: Python | undefined, searchPath: string): Promise<string[] | undefined> {
  const candidates = [python?.path, ...searchPath.split(':').map((folder) => join(folder, 'python3'))]
  for (const path of candidates) {
    if (path === undefined || !existsSync(path)) continue
    const { code } = await runCommand([path, '-m', 'pip', '--version'], { timeoutMs: 20_000 }).catch(() => ({
      code: 1,
    }))
    if (code === 0) return [path, '-m', 'pip']
  }
  return undefined
}
