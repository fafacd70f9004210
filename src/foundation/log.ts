/** Logs: one JSON line per event, with the process, the request, the run or the job it belongs to; no secrets. */
import { fstatSync, statSync } from 'node:fs'
import { pino, type DestinationStream, type Logger as PinoLogger } from 'pino'

export type Logger = PinoLogger

const secretNames = [
  'authorization',
  'cookie',
  'password',
  'secret',
  'secretAccessKey',
  'token',
  'accessToken',
  'refreshToken',
  'clientSecret',
  'set-cookie',
]

export interface LoggerOptions {
  /** 'control', 'gateway', 'agent', ... */
  process: string
  /**
   * A file path, or a stream; default: the file that a supervisor names in CYGNET_LOG_FILE, or standard error (standard
   * output belongs to data). A file may be renamed at any time: its name is then written anew within a second.
   */
  destination?: string | DestinationStream
  level?: string
}

/** Children carry context: `log.child({ requestId })`, `{ runRef }`, `{ jobId }`. */
export function createLogger({ process, destination, level = 'info' }: LoggerOptions): Logger {
  const given = destination ?? globalThis.process.env.CYGNET_LOG_FILE
  const stream = typeof given === 'string' ? fileOrStandardError(given) : (given ?? standardError())
  return pino(
    {
      level,
      base: { process },
      timestamp: pino.stdTimeFunctions.isoTime,
      formatters: { level: (label) => ({ level: label }) },
      serializers: { error: pino.stdSerializers.errWithCause, err: pino.stdSerializers.errWithCause },
      redact: {
        paths: secretNames.flatMap((name) => [`["${name}"]`, `*["${name}"]`, `*.*["${name}"]`]),
        censor: '[hidden]',
      },
    },
    stream,
  )
}

const lookForRenameMs = 1_000

function standardError() {
  return pino.destination({ dest: 2, sync: true })
}

/** A supervisor keeps logs small by renaming them (shell/log-rotation.ts). */
function fileOrStandardError(path: string): DestinationStream {
  try {
    const stream = pino.destination({ dest: path, mkdir: true, sync: true })
    setInterval(() => {
      if (isCalled(path, (stream as unknown as { fd: number }).fd)) return
      try {
        stream.reopen()
      } catch {
        // Lines go on into the renamed file.
      }
    }, lookForRenameMs).unref()
    return stream
  } catch {
    return standardError()
  }
}

function isCalled(path: string, handle: number): boolean {
  try {
    const [named, open] = [statSync(path), fstatSync(handle)]
    return named.ino === open.ino && named.dev === open.dev
  } catch {
    return false
  }
}

/** For tests and for tools that speak by other means. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
