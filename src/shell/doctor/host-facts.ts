/** What a machine says about itself, gathered for `host-findings.ts`. Reads only; what cannot be read is undefined. */
import { existsSync } from 'node:fs'
import { mkdtemp, readFile, readdir, readlink, rm, stat, statfs, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { freemem, totalmem } from 'node:os'
import { delimiter, dirname, join } from 'node:path'
import { getAttributeSync, setAttributeSync } from '@napi-rs/xattr'
import { networkFileSystemOf, readJsonFile } from '../../foundation/files.ts'
import { isSameProcess, type ProcessIdentity } from '../../foundation/processes.ts'
import type { Home } from '../home.ts'

export interface HostFacts {
  uid: number
  /** The folder that exists nearest to the home, on whose disk everything will lie. */
  folder: string
  homeExists: boolean
  homeOwnerUid: number | undefined
  secretsMode: number | undefined
  disk: { freeBytes: number; totalBytes: number; freeInodes: number; totalInodes: number }
  networkFileSystem: string | undefined
  mount: { fileSystem: string; options: string[] } | undefined
  /** Undefined where nothing may be written to try it. */
  keepsAttributes: boolean | undefined
  openFiles: number | undefined
  memory: { totalBytes: number; freeBytes: number }
  threadsMax: number | undefined
  /** Undefined where nothing on the machine keeps the clock, or none of the known ones. */
  clockKeeper: string | undefined
  commands: { setpriv: boolean }
  proxy: { url: string | undefined; exceptions: string }
  /** Ports that the platform wants and somebody else has, with that somebody where it can be known. */
  takenPorts: { port: number; holder: string | undefined }[]
  isRunning: boolean
}

export async function gatherHostFacts(home: Home, ports: number[], environment = process.env): Promise<HostFacts> {
  const folder = nearestExisting(home.folder)
  const [disk, homeStat, secrets, isRunning] = await Promise.all([
    statfs(folder),
    stat(home.folder).catch(() => undefined),
    stat(home.secrets).catch(() => undefined),
    runs(home),
  ])
  return {
    uid: process.getuid?.() ?? -1,
    folder,
    homeExists: homeStat !== undefined,
    homeOwnerUid: homeStat?.uid,
    secretsMode: secrets === undefined ? undefined : secrets.mode & 0o777,
    disk: {
      freeBytes: disk.bavail * disk.bsize,
      totalBytes: disk.blocks * disk.bsize,
      freeInodes: disk.ffree,
      totalInodes: disk.files,
    },
    networkFileSystem: await networkFileSystemOf(folder),
    mount: mountOf(folder, await textOf('/proc/self/mountinfo')),
    keepsAttributes: await keepsAttributes(folder),
    openFiles: limitOf(await textOf('/proc/self/limits'), 'Max open files'),
    memory: { totalBytes: totalmem(), freeBytes: freemem() },
    threadsMax: numberOf(await textOf('/proc/sys/kernel/threads-max')),
    clockKeeper: await clockKeeper(),
    commands: { setpriv: (environment.PATH ?? '').split(delimiter).some((path) => existsSync(join(path, 'setpriv'))) },
    proxy: {
      url: environment.HTTPS_PROXY ?? environment.https_proxy ?? environment.HTTP_PROXY ?? environment.http_proxy,
      exceptions: environment.NO_PROXY ?? environment.no_proxy ?? '',
    },
    takenPorts: isRunning ? [] : await takenPorts(ports),
    isRunning,
  }
}

/** The mount that a path lies on, by the longest mount point above it; octal escapes are the kernel's for blanks. */
export function mountOf(path: string, mountinfo: string): HostFacts['mount'] {
  let best: { point: string; fileSystem: string; options: string[] } | undefined
  for (const line of mountinfo.split('\n')) {
    const [front, back] = line.split(' - ')
    if (front === undefined || back === undefined) continue
    const [, , , , escaped = '', options = ''] = front.split(' ')
    const [fileSystem = '', , superOptions = ''] = back.split(' ')
    const point = escaped.replace(/\\([0-7]{3})/g, (_all, octal: string) =>
      String.fromCodePoint(Number.parseInt(octal, 8)),
    )
    const isAbove = point === '/' || path === point || path.startsWith(`${point}/`)
    // A later line of the same mount point covers the earlier one.
    if (isAbove && (best === undefined || point.length >= best.point.length))
      best = { point, fileSystem, options: [...options.split(','), ...superOptions.split(',')] }
  }
  return best
}

/** Soft limit of /proc/PID/limits; undefined for 'unlimited' and what is not there. */
export function limitOf(limits: string, name: string): number | undefined {
  return numberOf(new RegExp(`^${name} +(\\S+)`, 'm').exec(limits)?.[1] ?? '')
}

function numberOf(text: string): number | undefined {
  const value = Number(text.trim())
  return text.trim() !== '' && Number.isFinite(value) ? value : undefined
}

async function textOf(path: string): Promise<string> {
  return await readFile(path, 'utf8').catch(() => '')
}

async function keepsAttributes(folder: string): Promise<boolean | undefined> {
  const place = await mkdtemp(join(folder, '.doctor-')).catch(() => undefined)
  if (place === undefined) return undefined
  try {
    const file = join(place, 'try')
    await writeFile(file, '')
    setAttributeSync(file, 'user.cygnet', 'try')
    return getAttributeSync(file, 'user.cygnet')?.toString() === 'try'
  } catch {
    return false
  } finally {
    await rm(place, { recursive: true, force: true })
  }
}

/** Programs that keep a clock, by the names their processes have. */
async function clockKeeper(): Promise<string | undefined> {
  const known = ['chronyd', 'ntpd', 'systemd-timesyncd', 'systemd-timesyn', 'ptp4l', 'openntpd', 'phc2sys']
  for (const entry of await readdir('/proc')) {
    if (!/^\d+$/.test(entry)) continue
    const name = (await textOf(`/proc/${entry}/comm`)).trim()
    if (known.includes(name)) return name
  }
  return undefined
}

async function takenPorts(ports: number[]): Promise<HostFacts['takenPorts']> {
  const taken = []
  for (const port of ports) if (!(await isFree(port))) taken.push({ port, holder: await holderOf(port) })
  return taken
}

function isFree(port: number): Promise<boolean> {
  return new Promise((done) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) => done(error.code !== 'EADDRINUSE'))
    server.listen(port, '127.0.0.1', () => server.close(() => done(true)))
  })
}

/** Who listens: the inode of the socket in /proc/net/tcp, then whose descriptor it is. As root, or for one's own. */
async function holderOf(port: number): Promise<string | undefined> {
  const hex = port.toString(16).toUpperCase().padStart(4, '0')
  const tables = `${await textOf('/proc/net/tcp')}\n${await textOf('/proc/net/tcp6')}`
  const row = tables.split('\n').find((line) => new RegExp(`^ *\\d+: [0-9A-F]+:${hex} [0-9A-F]+:0000 0A `).test(line))
  const inode = row?.trim().split(/\s+/)[9]
  if (inode === undefined) return undefined
  for (const pid of (await readdir('/proc')).filter((name) => /^\d+$/.test(name))) {
    for (const descriptor of await readdir(`/proc/${pid}/fd`).catch(() => [])) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '')
      if (target === `socket:[${inode}]`) return `${(await textOf(`/proc/${pid}/comm`)).trim()} (process ${pid})`
    }
  }
  return undefined
}

async function runs(home: Home): Promise<boolean> {
  const record = await readJsonFile<ProcessIdentity>(join(home.run, 'control.process.json')).catch(() => undefined)
  return record !== undefined && isSameProcess(record)
}

export function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path))
}
