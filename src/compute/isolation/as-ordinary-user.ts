/** Runs `ordinary-user.ts` as a user of the machine who is nobody, from a test that runs as root; or as ourselves. */
import { accessSync, chmodSync, constants, lchownSync, statSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { runCommand } from '../../foundation/processes.ts'
import type { ProbeReport } from './stand.ts'
import type { TreeReport } from './trees.ts'

const nobody = 65534
const program = join(import.meta.dirname, 'ordinary-user.ts')

/** Why it cannot be done here, or undefined. */
export function whyNotOrdinary(): string | undefined {
  if (process.getuid?.() !== 0) return undefined
  for (const path of [process.execPath, program]) {
    for (let folder = dirname(path); folder !== '/'; folder = dirname(folder))
      if ((statSync(folder).mode & 0o001) === 0) return `other users may not enter ${folder}`
  }
  try {
    accessSync('/usr/bin/setpriv', constants.X_OK)
    return undefined
  } catch {
    return 'there is no setpriv'
  }
}

export async function asOrdinaryUser<Found extends ProbeReport | TreeReport>(
  folder: string,
  wanted: 'probe' | 'trees',
  count = 0,
): Promise<{ identity: string; limits: string; found: Found }> {
  const argv = [process.execPath, '--disable-warning=ExperimentalWarning', program, folder, wanted, String(count)]
  chmodSync(folder, 0o711)
  const isRoot = process.getuid?.() === 0
  if (isRoot) lchownSync(folder, nobody, nobody)
  const wrap = ['/usr/bin/setpriv', `--reuid=${nobody}`, `--regid=${nobody}`, '--clear-groups', '--inh-caps=-all', '--']
  const env = { PATH: process.env.PATH ?? '/usr/bin:/bin', HOME: folder, CYGNET_CACHE: join(folder, 'cache') }
  const answer = await runCommand([...(isRoot ? wrap : []), ...argv], { env, cwd: '/' })
  if (answer.code !== 0) throw new Error(answer.stderr)
  return JSON.parse(answer.stdout) as { identity: string; limits: string; found: Found }
}
