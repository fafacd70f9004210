/** Logs: one JSON line per event, with the process, the request, the run or the job it belongs to; no secrets. */
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
  /** A file path, or a stream; default: standard error (standard output belongs to data). */
  destination?: string | DestinationStream
  level?: string
}

/** Children carry context: `log.child({ requestId })`, `{ runRef }`, `{ jobId }`. */
export function createLogger({ process, destination, level = 'info' }: LoggerOptions): Logger {
  const stream =
    typeof destination === 'string'
      ? pino.destination({ dest: destination, mkdir: true, sync: true })
      : (destination ?? pino.destination({ dest: 2, sync: true }))
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

/** For tests and for tools that speak by other means. */
export function silentLogger(): Logger {
  return pino({ level: 'silent' })
}
