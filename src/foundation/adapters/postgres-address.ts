/** Addresses of PostgreSQL servers and how one proves who one is: never by a password that others can read. */
import { readFile, stat } from 'node:fs/promises'
import { Fault, foundationFaults } from '../errors.ts'

const passwordHint =
  "Write the password into a file of mode 0600 and name it in 'database.passwordFile', or use a .pgpass file (PGPASSFILE), or no password at all (peer, certificate)."

/** True if the address itself carries a password: configuration is shown, logged and backed up, addresses are typed. */
export function addressHoldsPassword(url: string): boolean {
  if (!/^postgres(ql)?:\/\//.test(url)) return false
  const [place, query = ''] = url.split('?', 2)
  const userInfo = place!.slice(place!.indexOf('://') + 3, Math.max(0, place!.lastIndexOf('@')))
  return userInfo.includes(':') || [...new URLSearchParams(query).keys()].some((name) => /password/i.test(name))
}

export function refusePasswordInAddress(url: string): void {
  if (!addressHoldsPassword(url)) return
  throw foundationFaults.badDatabaseUrl('The database address holds a password.', { hint: passwordHint })
}

/** Passwords in the environment are inherited by whatever is started and shown by /proc. */
export function refusePasswordInEnvironment(environment: NodeJS.ProcessEnv): void {
  if (environment.PGPASSWORD === undefined) return
  throw foundationFaults.badDatabaseUrl('PGPASSWORD is set.', { hint: passwordHint })
}

/** The password in that file, which nobody but its owner may read. */
export async function readPasswordFile(path: string): Promise<string> {
  const facts = await stat(path).catch((cause: unknown) => {
    throw foundationFaults.invalidFile(`The password file ${path} cannot be read.`, { cause })
  })
  const own = facts.uid === process.getuid?.() || facts.uid === 0
  if (!facts.isFile() || (facts.mode & 0o077) !== 0 || !own) {
    throw foundationFaults.invalidFile(`The password file ${path} can be read by others.`, {
      hint: `chmod 600 ${path} (and let it belong to who runs Cygnet).`,
    })
  }
  const password = (await readFile(path, 'utf8')).replace(/\r?\n$/, '')
  if (password === '') throw foundationFaults.invalidFile(`The password file ${path} is empty.`)
  return password
}

/** What PostgreSQL means when it refuses a new connection, as far as the one who configures can mend it. */
export function refusalOf(error: unknown): Fault {
  if (error instanceof Fault) return error
  const code = (error as { code?: unknown } | undefined)?.code
  const hints: Record<string, string> = {
    '28P01': `The password is wrong. ${passwordHint}`,
    '28000': 'This user may not connect: see pg_hba.conf of the server.',
    '3D000': 'There is no such database: createdb --encoding UTF8 NAME.',
  }
  return foundationFaults.databaseUnavailable('PostgreSQL does not answer, or refuses us.', {
    cause: error,
    hint: hints[String(code)] ?? "Check 'database.url' in cygnet.yaml and that the server runs.",
  })
}
