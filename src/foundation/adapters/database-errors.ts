/** What a database says when something is wrong around it, in words of ours; its other errors stay as they are. */
import { Fault, foundationFaults } from '../errors.ts'

interface DatabaseError {
  code?: unknown
  /** node:sqlite: the extended result code. */
  errcode?: unknown
  message?: unknown
}

/** The network or the server is gone; the same call may succeed in a moment. */
const brokenConnection = new Set([
  ...['ECONNREFUSED', 'ECONNRESET', 'EPIPE', 'ENOENT', 'ETIMEDOUT', 'EHOSTUNREACH', 'ENETUNREACH', 'EAI_AGAIN'],
  // Shut down, crashed, starting up; sessions of a whole class; too many of them; idle for too long.
  ...['57P01', '57P02', '57P03', '08000', '08001', '08003', '08004', '08006', '53300', '57P05', '25P03'],
])
/** node-postgres gives these no code. */
const brokenWords =
  /^(Connection terminated|Client has encountered a connection error|timeout exceeded when trying|Connection ended|The server does not support SSL|Client was closed|timeout expired)/

const sqlite = { busy: 5, ioError: 10, corrupt: 11, full: 13, cantOpen: 14, notADatabase: 26 }

/** True when the connection to the database broke or could not be made. */
export function isBrokenConnection(error: unknown): boolean {
  if (error instanceof Fault) return error.code === 'foundation.database_unavailable'
  const { code, message } = (error ?? {}) as DatabaseError
  if (typeof code === 'string' && brokenConnection.has(code)) return true
  return typeof message === 'string' && brokenWords.test(message)
}

/**
 * True when the process must not go on writing: an I/O error of the SQLite file (a failed fsync is not tried again and
 * believed) or a damaged file.
 */
export function isUnsafe(error: unknown): boolean {
  const cause = error instanceof Fault ? error.cause : error
  const primary = primaryCode(cause)
  return primary === sqlite.ioError || primary === sqlite.corrupt || primary === sqlite.notADatabase
}

function primaryCode(error: unknown): number | undefined {
  const { errcode } = (error ?? {}) as DatabaseError
  return typeof errcode === 'number' ? errcode & 0xff : undefined
}

/** The Fault for an error of the surroundings; anything else (a constraint, a bug) comes back as it is. */
export function databaseFault(error: unknown, path?: string): unknown {
  if (error instanceof Fault) return error
  if (isBrokenConnection(error)) {
    return foundationFaults.databaseUnavailable('The database does not answer at the moment.', { cause: error })
  }
  const { code } = (error ?? {}) as DatabaseError
  const where = path === undefined ? 'the database server' : path
  if (code === '53100' || code === '53200') {
    return foundationFaults.diskFull('The database server has no room left.', { cause: error })
  }
  // A zero byte or half a character: SQLite would keep it, PostgreSQL cannot.
  if (code === '22021' || code === '22P05') {
    return foundationFaults.invalidInput('A text holds a character that the database cannot keep.', { cause: error })
  }
  switch (primaryCode(error)) {
    case sqlite.full:
      return foundationFaults.diskFull(`No room is left for the database ${where}; nothing was changed.`, {
        cause: error,
      })
    case sqlite.corrupt:
    case sqlite.notADatabase:
      return databaseDamaged(where, error)
    case sqlite.ioError:
      return foundationFaults.databaseUnavailable(`The disk of the database ${where} fails.`, {
        cause: error,
        hint: 'Look at the kernel log of this machine (dmesg). Cygnet starts again from what the disk holds.',
      })
    case sqlite.busy:
      return foundationFaults.databaseUnavailable(`Another program holds the database ${where}.`, { cause: error })
    default:
      return error
  }
}

/** For a SQLite file that is not whole. */
export function databaseDamaged(path: string, cause: unknown): Fault {
  return foundationFaults.databaseDamaged(`The database ${path} is damaged; nothing in it was changed.`, {
    cause,
    hint: "Keep the file. Copies made before each migration are in the folder 'copies' beside it; newer ones in your backup.",
  })
}
