/** Processes: who they are beyond a reused pid, and how to start, run and end them. Linux only. */
import { spawn } from 'node:child_process'
import { closeSync, openSync, readFileSync } from 'node:fs'
import { foundationFaults } from './errors.ts'

/** A process for good: pids are reused, a pid with its start time and the boot it belongs to is not. */
export interface ProcessIdentity {
  pid: number
  /** Clock ticks between boot and the start of the process, field 22 of /proc/PID/stat. */
  startTicks: number
  bootId: string
}

/** Who has this pid now; `undefined` if nobody (a zombie is nobody). */
export function processIdentity(pid: number): ProcessIdentity | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the program's name in parentheses and may itself hold spaces and parentheses.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    if (fields[0] === 'Z' || fields[0] === 'X') return undefined
    const bootId = readFileSync('/proc/sys/kernel/random/boot_id', 'latin1').trim()
    return { pid, startTicks: Number(fields[19]), bootId }
  } catch {
    return undefined
  }
}

/** True while that very process runs: same pid, same start, same boot. */
export function isSameProcess(identity: ProcessIdentity): boolean {
  const now = processIdentity(identity.pid)
  return now !== undefined && now.startTicks === identity.startTicks && now.bootId === identity.bootId
}

/** Signals the process group led by that very process; false if it is gone. */
export function killGroup(leader: ProcessIdentity, signal: NodeJS.Signals = 'SIGKILL'): boolean {
  if (!isSameProcess(leader)) return false
  return signalGroup(leader.pid, signal)
}

function signalGroup(pid: number, signal: NodeJS.Signals): boolean {
  try {
    process.kill(-pid, signal)
    return true
  } catch {
    return false
  }
}

export interface DetachedOptions {
  cwd?: string
  env?: NodeJS.ProcessEnv
  /** Standard output and error are appended to this file; default: thrown away. */
  logPath?: string
  uid?: number
  gid?: number
}

/** Starts a program in its own session, so that it outlives us; resolves once it runs. */
export async function spawnDetached(argv: readonly string[], options: DetachedOptions = {}): Promise<ProcessIdentity> {
  const { logPath, ...rest } = options
  const log = logPath === undefined ? undefined : openSync(logPath, 'a', 0o640)
  try {
    const child = spawn(argv[0]!, argv.slice(1), {
      ...rest,
      detached: true,
      stdio: ['ignore', log ?? 'ignore', log ?? 'ignore'],
    })
    await new Promise<void>((resolve, reject) => {
      child.once('spawn', resolve)
      child.once('error', (error) => reject(notStarted(argv, error)))
    })
    child.unref()
    // A program that has already ended is a zombie until Node reaps it; its identity is then only its pid.
    return processIdentity(child.pid!) ?? { pid: child.pid!, startTicks: -1, bootId: '' }
  } finally {
    if (log !== undefined) closeSync(log)
  }
}

export interface RunOptions {
  input?: string | Uint8Array
  timeoutMs?: number
  signal?: AbortSignal
  env?: NodeJS.ProcessEnv
  cwd?: string
  /** Of each of the two outputs; what is over is dropped from the middle of nowhere: the first bytes are kept. */
  maxOutputBytes?: number
}

export interface RunResult {
  /** Exit code; 128 + number when ended by a signal. */
  code: number
  stdout: string
  stderr: string
}

/**
 * Runs a program to its end and returns what it said; a non-zero exit is a result, not an error. At the deadline, or
 * when `signal` aborts, its whole process group is killed and the promise rejects.
 */
export async function runCommand(argv: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const { input, timeoutMs, signal, env, cwd, maxOutputBytes = 16 * 1024 * 1024 } = options
  signal?.throwIfAborted()
  return await new Promise<RunResult>((resolve, reject) => {
    const child = spawn(argv[0]!, argv.slice(1), {
      ...(env === undefined ? {} : { env }),
      ...(cwd === undefined ? {} : { cwd }),
      detached: true,
      stdio: ['pipe', 'pipe', 'pipe'],
    })
    const stdout = collect(child.stdout, maxOutputBytes)
    const stderr = collect(child.stderr, maxOutputBytes)
    let failure: unknown
    const stop = (reason: unknown) => {
      failure ??= reason
      if (child.pid !== undefined) signalGroup(child.pid, 'SIGKILL')
    }
    const timer =
      timeoutMs === undefined
        ? undefined
        : setTimeout(() => {
            stop(foundationFaults.commandTimedOut(`'${argv[0]}' was stopped after ${timeoutMs} ms.`))
          }, timeoutMs)
    const onAbort = () => stop(signal?.reason)
    signal?.addEventListener('abort', onAbort, { once: true })
    child.once('error', (error) => {
      failure ??= notStarted(argv, error)
    })
    child.once('close', (code, endedBy) => {
      clearTimeout(timer)
      signal?.removeEventListener('abort', onAbort)
      if (failure !== undefined) reject(failure)
      else resolve({ code: code ?? 128 + signalNumber(endedBy), stdout: stdout(), stderr: stderr() })
    })
    // The program may end without reading its input.
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

function collect(stream: NodeJS.ReadableStream, maxBytes: number): () => string {
  const chunks: Buffer[] = []
  let sizeBytes = 0
  stream.on('data', (chunk: Buffer) => {
    if (sizeBytes < maxBytes) chunks.push(chunk.subarray(0, maxBytes - sizeBytes))
    sizeBytes += chunk.length
  })
  return () => Buffer.concat(chunks).toString('utf8')
}

function signalNumber(signal: NodeJS.Signals | null): number {
  const numbers: Partial<Record<NodeJS.Signals, number>> = {
    SIGHUP: 1,
    SIGINT: 2,
    SIGKILL: 9,
    SIGSEGV: 11,
    SIGTERM: 15,
  }
  return (signal === null ? undefined : numbers[signal]) ?? 0
}

function notStarted(argv: readonly string[], error: Error): Error {
  if ((error as NodeJS.ErrnoException).code !== 'ENOENT') return error
  return foundationFaults.commandNotFound(`'${argv[0]}' is not installed on this machine.`, { cause: error })
}
