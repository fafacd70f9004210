/** This process continues as another version of the program: same pid, same terminal, same rights. */
import { join } from 'node:path'
import type { Home } from './home.ts'
import { programFolder, requireVersion } from './version-process.ts'

/** `cygnet up` of that version, told that it is the chosen one. */
export function commandLineOf(home: Home, version: string, argv: readonly string[]): string[] {
  const program = programFolder(home, version)
  return [
    join(program, 'bin', 'node'),
    '--disable-warning=ExperimentalWarning',
    join(program, 'src', 'shell', 'cli.ts'),
    ...withoutChoice(argv),
    '--as',
    version,
  ]
}

/** An earlier choice of this very command line. */
function withoutChoice(argv: readonly string[]): string[] {
  const at = argv.indexOf('--as')
  return at === -1 ? [...argv] : argv.toSpliced(at, 2)
}

/** Never returns: throws when the program cannot be executed. */
export function becomeVersion(home: Home, version: string, argv: readonly string[] = process.argv.slice(2)): never {
  requireVersion(home, version)
  const command = commandLineOf(home, version, argv)
  process.execve!(command[0]!, command, process.env as Record<string, string>)
  throw new Error(`${command[0]} cannot be executed`)
}
