/** From what a kind wants to what bubblewrap is told: pure, so that it can be read and tested as data. */
import { posix } from 'node:path'
import type { Launch, Mount } from '../model.ts'

/** What the machine gives every sandbox. */
export interface SandboxBase {
  /** Read-only binds that exist on this machine (/usr, certificates, the loader's cache, a Python outside /usr). */
  system: Mount[]
  /** Links such as /bin -> usr/bin on merged systems. */
  links: { target: string; path: string }[]
}

export interface Descriptor {
  descriptor: number
  text?: string
  hex?: string
}

export interface SandboxCommand {
  /** Options for `--args`, NUL separated on that descriptor: nothing of them is visible in the process list. */
  options: string[]
  descriptors: Descriptor[]
}

const argumentsDescriptor = 10
const passwdDescriptor = 11
const groupDescriptor = 12
const hostsDescriptor = 13
const nsswitchDescriptor = 14
const filterDescriptor = 15

/**
 * The sandbox of one attempt. `environment` and `mounts` are complete; `person` is who `whoami` says it is.
 * Promises: own user, pid, net, ipc, uts and cgroup namespaces; no capability; no new user namespaces; nothing of the
 * host's /etc but certificates and the loader's cache; ends with its parent.
 */
export function sandboxOptions(input: {
  base: SandboxBase
  launch: Launch
  mounts: Mount[]
  environment: Record<string, string>
  person: { name: string; uid: number; home: string }
  /** A compiled seccomp program, when the machine's architecture has one. */
  filterHex: string | undefined
}): SandboxCommand {
  const { base, launch, person } = input
  const temporaryBytes = (launch.limits?.temporaryMiB ?? 1024) * 1024 * 1024
  const options = [
    '--unshare-all',
    '--unshare-user',
    '--disable-userns',
    '--die-with-parent',
    '--new-session',
    '--cap-drop',
    'ALL',
    '--hostname',
    'cygnet',
    '--clearenv',
  ]
  for (const [name, value] of Object.entries(input.environment)) options.push('--setenv', name, value)
  for (const mount of base.system) options.push('--ro-bind', mount.source, mount.target)
  for (const link of base.links) options.push('--symlink', link.target, link.path)
  const accounts = {
    passwd: `root:x:0:0:root:/:/usr/sbin/nologin\n${person.name}:x:${person.uid}:${person.uid}:${person.name}:${person.home}:/bin/bash\nnobody:x:65534:65534:nobody:/:/usr/sbin/nologin\n`,
    group: `root:x:0:\n${person.name}:x:${person.uid}:\nnogroup:x:65534:\n`,
    hosts: '127.0.0.1 localhost cygnet\n::1 localhost\n',
    nsswitch: 'passwd: files\ngroup: files\nhosts: files\n',
  }
  const descriptors: Descriptor[] = [
    { descriptor: passwdDescriptor, text: accounts.passwd },
    { descriptor: groupDescriptor, text: accounts.group },
    { descriptor: hostsDescriptor, text: accounts.hosts },
    { descriptor: nsswitchDescriptor, text: accounts.nsswitch },
  ]
  options.push(
    '--ro-bind-data',
    String(passwdDescriptor),
    '/etc/passwd',
    '--ro-bind-data',
    String(groupDescriptor),
    '/etc/group',
    '--ro-bind-data',
    String(hostsDescriptor),
    '/etc/hosts',
    '--ro-bind-data',
    String(nsswitchDescriptor),
    '/etc/nsswitch.conf',
    '--proc',
    '/proc',
    '--dev',
    '/dev',
    '--perms',
    '1777',
    '--size',
    String(temporaryBytes),
    '--tmpfs',
    '/tmp',
    '--perms',
    '1777',
    '--size',
    String(temporaryBytes),
    '--tmpfs',
    '/dev/shm',
  )
  for (const mount of inOrder(input.mounts)) {
    options.push(mount.mode === 'rw' ? '--bind' : '--ro-bind', mount.source, mount.target)
  }
  if (input.filterHex !== undefined) {
    descriptors.push({ descriptor: filterDescriptor, hex: input.filterHex })
    options.push('--seccomp', String(filterDescriptor))
  }
  // The root and /dev are tmpfs without a size: nobody is to leave things between the mounts.
  options.push('--remount-ro', '/dev', '--remount-ro', '/', '--chdir', launch.directory ?? '/out')
  descriptors.unshift({ descriptor: argumentsDescriptor, text: options.join('\0') + '\0' })
  return { options, descriptors }
}

/** The command line proper: only the program and its arguments are visible to the machine's users. */
export function sandboxCommand(bubblewrap: string, argv: readonly string[]): string[] {
  return [bubblewrap, '--args', String(argumentsDescriptor), '--', ...argv]
}

/** Outer folders before inner ones, so that an inner mount is not hidden by an outer one. */
function inOrder(mounts: readonly Mount[]): Mount[] {
  return [...mounts].sort((one, other) => one.target.split('/').length - other.target.split('/').length)
}

/** Refuses targets that could shadow what the sandbox is made of. Returns what is wrong, or undefined. */
export function wrongMount(mount: Mount): string | undefined {
  const { target, source } = mount
  if (!posix.isAbsolute(target) || posix.normalize(target) !== target || target.endsWith('/'))
    return `the target ${target} is not a plain absolute path`
  if (!posix.isAbsolute(source)) return `the source ${source} is not an absolute path`
  if (target.includes('\0') || source.includes('\0')) return 'a path holds a NUL'
  const first = target.split('/')[1] ?? ''
  if (['proc', 'dev', 'sys', 'etc', 'usr', 'bin', 'sbin', 'lib', 'lib64'].includes(first))
    return `${target} would shadow the sandbox's own /${first}`
  return undefined
}

/**
 * Without a sandbox there is no place inside: every path of a mount is written as its source. Whole path prefixes only;
 * used for argv, environment and small files alike.
 */
export function translatePaths(text: string, mounts: readonly Mount[]): string {
  let result = text
  for (const mount of [...mounts].sort((one, other) => other.target.length - one.target.length)) {
    const target = mount.target.replace(/[.*+?^${}()|[\]\\]/g, '\\$&')
    result = result.replace(
      new RegExp(`(^|[\\s"'=:,;|&<>({[])${target}(?=$|[\\s"':,;|&<>/)}\\]])`, 'g'),
      (_, before: string) => before + mount.source,
    )
  }
  return result
}
