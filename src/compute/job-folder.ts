/**
 * The folder of one attempt, HOME/jobs/<job>.<attempt>/: the whole conversation with its shim.
 *
 * spec.json   written first, by control            claim/       appears once, by whoever wins: shim, or control to revoke
 * private/    files for the payload (/run/cygnet)  heartbeat    every 2 s while the payload lives
 * out/        /out of the payload                  log          standard output and error
 * session/    /run/session, for sockets            cancel       written by control before it signals the shim
 * done.json   the end, once, durable
 */
import { spawn } from 'node:child_process'
import { chmod, chown, mkdir, open, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import { Fault } from '../foundation/errors.ts'
import { readJsonFile } from '../foundation/files.ts'
import { isSameProcess, processIdentity, runCommand, type ProcessIdentity } from '../foundation/processes.ts'
import { doneMarker, type DoneMarker } from './model.ts'
import type { AttemptCgroup } from './sandbox/cgroups.ts'
import type { PreparedCommand } from './sandbox/sandbox.ts'

const identity = z.object({ pid: z.number(), startTicks: z.number(), bootId: z.string() })
const shimClaim = identity.extend({ claimedMs: z.number() })
const beat = z.object({ atMs: z.number(), cpuSeconds: z.number().nullable(), peakMemoryBytes: z.number().nullable() })

export interface ShimSpec extends PreparedCommand {
  attempt: string
  bell: string
  cgroup: AttemptCgroup | null
  limits: {
    memoryBytes: number
    cpuMilli: number
    processes: number
    walltimeMs: number
    stopGraceMs: number
    logBytes: number
    fileBytes?: number
    outputFiles?: number
    oomScore: number
    nice: number
    diskReserve: { bytes: number; folders: string[] }
  }
}

export interface FileForPayload {
  name: string
  content: string | Uint8Array
  mode?: number
}

export function attemptName(jobId: string, attempt: number): string {
  return `${jobId}.${attempt}`
}

/** Makes the folder, ready for a shim. `owner` owns what the payload may write or read (root only). */
export async function layOutFolder(
  folder: string,
  owner: { uid: number; gid: number } | undefined,
  session: boolean,
): Promise<void> {
  // A folder without a claim may be left from a control that died here; nothing ever ran in it.
  await rm(folder, { recursive: true, force: true })
  await mkdir(folder, { recursive: true, mode: 0o711 })
  // The payload may not change what it is told; without root it has our uid, and the read-only mount says it instead.
  const privateMode = owner === undefined ? 0o700 : 0o500
  for (const [name, mode] of [
    ['private', privateMode],
    ['out', 0o700],
    ...(session ? [['session', 0o700] as const] : []),
  ] as const) {
    const path = join(folder, name)
    await mkdir(path, { mode })
    if (owner !== undefined) await chown(path, owner.uid, owner.gid)
  }
}

/** Writes or replaces a file of /run/cygnet; a reader sees the old or the new content. */
export async function writePrivateFile(
  folder: string,
  file: FileForPayload,
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  const path = join(folder, 'private', file.name)
  await makeFoldersFor(join(folder, 'private'), file.name, owner)
  const temporary = `${path}.new`
  await rm(temporary, { force: true })
  await writeFile(temporary, file.content, { mode: file.mode ?? 0o400, flag: 'wx' })
  if (owner !== undefined) await chown(temporary, owner.uid, owner.gid)
  await chmod(temporary, file.mode ?? 0o400)
  await rename(temporary, path)
}

/** The folders in the name of a private file, closed like the folder they are in. */
async function makeFoldersFor(
  top: string,
  name: string,
  owner: { uid: number; gid: number } | undefined,
): Promise<void> {
  const parts = name.split('/')
  if (parts.some((part) => part === '' || part === '.' || part === '..')) throw new Error(`not a file name: ${name}`)
  let path = top
  for (const part of parts.slice(0, -1)) {
    path = join(path, part)
    const made = await mkdir(path, { mode: owner === undefined ? 0o700 : 0o500 }).then(
      () => true,
      (error: NodeJS.ErrnoException) => {
        if (error.code === 'EEXIST') return false
        throw error
      },
    )
    if (made && owner !== undefined) await chown(path, owner.uid, owner.gid)
  }
}

export async function writeSpec(folder: string, spec: ShimSpec): Promise<void> {
  await writeFile(join(folder, 'spec.json'), JSON.stringify(spec), { mode: 0o600, flag: 'wx' })
}

/** Starts the shim in a session of its own; `onExit` is a hint, sent only while this process lives. */
export async function startShim(
  python: string,
  shimPath: string,
  folder: string,
  environment: Record<string, string>,
  onExit: () => void,
): Promise<void> {
  const errors = await open(join(folder, 'shim.log'), 'a', 0o600)
  try {
    const child = spawn(python, ['-I', '-S', shimPath, folder], {
      cwd: '/',
      detached: true,
      env: { PATH: '/usr/bin:/bin', ...environment },
      stdio: ['ignore', errors.fd, errors.fd],
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', reject)
    })
    child.once('exit', onExit)
    child.unref()
  } finally {
    await errors.close()
  }
}

export async function readDone(folder: string): Promise<DoneMarker | undefined> {
  return await readJsonFile(join(folder, 'done.json'), doneMarker)
}

export type ShimClaim = ProcessIdentity & { claimedMs: number }

/**
 * Who claimed the attempt. A claim that cannot be read was torn by a power cut, for it appears whole: its shim is of
 * another boot, and dead.
 */
export async function readClaim(folder: string): Promise<ShimClaim | undefined> {
  const path = join(folder, 'claim', 'shim.json')
  try {
    return await readJsonFile(path, shimClaim)
  } catch (error) {
    if (!isTorn(error)) throw error
    const { mtimeMs } = await stat(path)
    return lostClaim(Math.floor(mtimeMs))
  }
}

/** Of a shim that a power cut ended. */
export const lostClaim = (claimedMs: number): ShimClaim => ({ pid: 0, startTicks: 0, bootId: '', claimedMs })

/** False: the machine was started again since, so that nothing of the attempt can be alive. True also when nobody can say now. */
export function isOfThisBoot(claim: ShimClaim): boolean {
  const own = processIdentity(process.pid)
  return own === undefined || own.bootId === claim.bootId
}

export async function readBeat(folder: string): Promise<z.output<typeof beat> | undefined> {
  return await readJsonFile(join(folder, 'heartbeat'), beat).catch((error: unknown) => {
    if (isTorn(error)) return undefined
    throw error
  })
}

function isTorn(error: unknown): boolean {
  return error instanceof Fault && error.code === 'foundation.invalid_file'
}

/** True when the payload was started: the shim writes its identity right after the launch. */
export async function hasPayload(folder: string): Promise<boolean> {
  return (await stat(join(folder, 'claim', 'payload.json')).catch(() => undefined)) !== undefined
}

/** Takes the claim for control, so that a shim which comes later does nothing. False: somebody has it already. */
export async function revoke(folder: string): Promise<boolean> {
  const mine = join(folder, 'claim.control')
  await rm(mine, { recursive: true, force: true })
  await mkdir(mine, { recursive: true, mode: 0o700 })
  await writeFile(join(mine, 'revoked'), '')
  try {
    await rename(mine, join(folder, 'claim'))
    return true
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code !== 'ENOTEMPTY' && code !== 'EEXIST') throw error
    await rm(mine, { recursive: true, force: true })
    return false
  }
}

/** Asks a living shim to stop its payload. The file first: a shim that has not claimed yet finds it. */
export async function askToStop(folder: string): Promise<void> {
  await writeFile(join(folder, 'cancel'), '', { mode: 0o600 })
  const shim = await readClaim(folder)
  if (shim !== undefined && isSameProcess(shim)) {
    try {
      process.kill(shim.pid, 'SIGTERM')
    } catch {
      // It ended in between.
    }
  }
}

/** Ends what a dead shim left behind. True: nothing of the attempt is alive. */
export async function reap(python: string, shimPath: string, folder: string): Promise<boolean> {
  const { code } = await runCommand([python, '-I', '-S', shimPath, '--reap', folder], { timeoutMs: 60_000, cwd: '/' })
  return code === 0
}

/** Reads log bytes [offset, offset + limit). */
export async function readLogPiece(folder: string, offset: number, limitBytes: number): Promise<Buffer> {
  const file = await open(join(folder, 'log'), 'r').catch(() => undefined)
  if (file === undefined) return Buffer.alloc(0)
  try {
    const buffer = Buffer.alloc(limitBytes)
    const { bytesRead } = await file.read(buffer, 0, limitBytes, offset)
    return buffer.subarray(0, bytesRead)
  } finally {
    await file.close()
  }
}

/** What the shim itself complained about; for the reason of a launch that failed. */
export async function shimComplaint(folder: string): Promise<string> {
  const text = await readFile(join(folder, 'shim.log'), 'utf8').catch(() => '')
  return text.trim().split('\n').at(-1) ?? ''
}

export async function attemptFolders(jobsFolder: string): Promise<string[]> {
  return (await readdir(jobsFolder).catch(() => [])).filter((name) => /^[0-9a-f-]+\.\d+$/.test(name))
}
