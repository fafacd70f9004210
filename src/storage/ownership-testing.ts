/** For the tests of who owns files: people with real uids, a storage in the account of a gateway, a clean stage. */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process'
import { chmod, mkdir } from 'node:fs/promises'
import { existsSync, lstatSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { onTestFinished } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import type { Order, OwnerNumbers } from './test-service.ts'

/** Why real uids cannot be tried on this machine, or undefined. */
export const noRealUids =
  process.getuid?.() !== 0
    ? 'not run as root'
    : existsSync('/usr/bin/setpriv')
      ? undefined
      : 'setpriv (of util-linux) is not installed'

export const serviceUid = 299_998
export const gids = { demo: 1_000_000, other: 1_000_002 }
export const people = { alice: 300_001, bruno: 300_002, gina: 300_003, eve: 300_004 }
type PersonName = keyof typeof people
/** alice and bruno work in demo, gina may read there, eve works in another experiment. */
const groupsOf: Record<PersonName, number[]> = {
  alice: [gids.demo, gids.demo + 1],
  bruno: [gids.demo, gids.demo + 1],
  gina: [gids.demo],
  eve: [gids.other, gids.other + 1],
}
export const numbers: OwnerNumbers = { serviceUid, people, groups: gids }

export function personCommand(name: PersonName): string[] {
  const uid = people[name]
  return [
    '/usr/bin/setpriv',
    `--reuid=${uid}`,
    `--regid=${uid}`,
    `--groups=${groupsOf[name].join(',')}`,
    '--inh-caps=-all',
    '--',
  ]
}

/** A shell script as that person, in `cwd`; what it printed, or `failed` when its exit code is not 0. */
export function as(name: PersonName, cwd: string, script: string, leaked?: number): string {
  const [program, ...rest] = [
    ...personCommand(name),
    '/bin/sh',
    '-c',
    `umask 077; cd / ; cd "$1" 2>/dev/null; ${script}`,
    'sh',
    cwd,
  ]
  const stdio = ['ignore', 'pipe', 'pipe', ...(leaked === undefined ? [] : [leaked])] as const
  const { status, stdout } = spawnSync(program!, rest, {
    encoding: 'utf8',
    stdio: [...stdio],
    timeout: 20_000,
    env: { PATH: '/usr/bin:/bin' },
    cwd: '/',
  })
  return status === 0 ? stdout.trim() : 'failed'
}

/** Owner, group and mode in one line: '300001:1000000 660'. Of the entry itself. */
export function ownerOf(path: string): string {
  const { uid, gid, mode } = lstatSync(path)
  return `${uid}:${gid} ${(mode & 0o7777).toString(8)}`
}

export interface Service {
  <Answer = unknown>(order: Order): Promise<Answer>
  /** As `(order)`, but answers the code of the error instead of throwing it. */
  refusal(order: Order): Promise<string | undefined>
  process: ChildProcess
  close(): Promise<void>
}

const gatewayCapabilities = '-all,+chown,+fowner,+dac_override'
export const gatewayCommand = [
  '/usr/bin/setpriv',
  `--reuid=${serviceUid}`,
  `--regid=${serviceUid}`,
  '--clear-groups',
  `--inh-caps=${gatewayCapabilities}`,
  `--ambient-caps=${gatewayCapabilities}`,
  `--bounding-set=${gatewayCapabilities}`,
  '--no-new-privs',
  '--',
]

/** A storage in a process of its own; `command` in front of it says with which rights. */
export function startService(root: string, command: string[], given: OwnerNumbers | null = numbers): Service {
  const argv = [...command, process.execPath, '--disable-warning=ExperimentalWarning']
  const file = join(import.meta.dirname, 'test-service.ts')
  const child = spawn(argv[0]!, [...argv.slice(1), file, root, JSON.stringify(given)], {
    stdio: ['pipe', 'pipe', 'inherit'],
    cwd: '/',
  })
  const waiting: ((answer: { result?: unknown; error?: string; message?: string }) => void)[] = []
  createInterface({ input: child.stdout! }).on('line', (line) => waiting.shift()?.(JSON.parse(line)))
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  void ended.then(() => waiting.splice(0).forEach((give) => give({ error: 'ended', message: 'the service ended' })))
  const ask = (order: Order) =>
    new Promise<{ result?: unknown; error?: string; message?: string }>((done) => {
      waiting.push(done)
      child.stdin!.write(`${JSON.stringify(order)}\n`)
    })
  const service = async <Answer>(order: Order): Promise<Answer> => {
    const { result, error, message } = await ask(order)
    if (error !== undefined) throw new Error(`${error}: ${message ?? ''}`)
    return result as Answer
  }
  const close = async () => {
    child.stdin!.end()
    await ended
  }
  onTestFinished(close)
  return Object.assign(service, { refusal: async (order: Order) => (await ask(order)).error, process: child, close })
}

/** A data root that people can come to, and a folder outside of it. */
export async function stage(): Promise<{ root: string; outside: string }> {
  const { path } = await temporaryDirectory('cygnet-owners-')
  await chmod(path, 0o755)
  const [root, outside] = [join(path, 'data'), join(path, 'outside')]
  for (const folder of [root, outside]) {
    await mkdir(folder)
    await chmod(folder, 0o755)
  }
  return { root, outside }
}

/** Buckets of demo and other, in a storage with the rights of a gateway. */
export async function openStage(): Promise<{ root: string; outside: string; service: Service; work: string }> {
  const { root, outside } = await stage()
  const service = startService(root, gatewayCommand)
  for (const experiment of ['demo', 'other'])
    for (const purpose of ['raw', 'reco', 'work'] as const)
      await service({ do: 'bucket', name: `${experiment}-${purpose}`, experiment, purpose })
  return { root, outside, service, work: join(root, 'demo-work') }
}
