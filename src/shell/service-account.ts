/**
 * The account of the gateways. As root, Cygnet starts them as a uid of their own with the three capabilities that giving
 * files to people takes, and none that they could win back: what talks to the network is not root.
 */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { serviceUid } from './home.ts'

const setpriv = '/usr/bin/setpriv'
/** chown: give a file away; fowner: chmod, ACL and link it afterwards; dac_override: read what people keep to themselves. */
const needed = ['chown', 'fowner', 'dac_override']

export interface ServiceAccount {
  /** Put in front of a gateway's command; undefined: it runs as who started Cygnet. */
  wrap: string[] | undefined
  /** Why gateways run as root although they need not; undefined where they do not. */
  problem: string | undefined
}

/** Tried for real, because a container may be root without the capabilities. `ports`: what gateways will listen on. */
export function serviceAccount(ports: readonly number[]): ServiceAccount {
  if (process.getuid?.() !== 0) return { wrap: undefined, problem: undefined }
  if (!existsSync(setpriv)) return { wrap: undefined, problem: 'setpriv (of util-linux) is not installed' }
  const wrap = wrapFor(ports)
  const [program, ...rest] = [...wrap, '/bin/true']
  const { status, stderr, error } = spawnSync(program!, rest, { encoding: 'utf8', timeout: 5_000, env: {} })
  if (status === 0) return { wrap, problem: undefined }
  return { wrap: undefined, problem: `setpriv does not work here: ${error?.message ?? stderr.trim()}` }
}

function wrapFor(ports: readonly number[]): string[] {
  const names = ports.some((port) => port < 1024) ? [...needed, 'net_bind_service'] : needed
  const capabilities = ['-all', ...names.map((name) => `+${name}`)].join(',')
  return [
    setpriv,
    `--reuid=${serviceUid}`,
    `--regid=${serviceUid}`,
    '--clear-groups',
    `--inh-caps=${capabilities}`,
    `--ambient-caps=${capabilities}`,
    `--bounding-set=${capabilities}`,
    '--no-new-privs',
    '--',
  ]
}
