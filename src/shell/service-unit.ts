/** The systemd service of an installation: packaging/cygnet.service with the paths of this home. */
import { existsSync } from 'node:fs'
import { readFile, readlink } from 'node:fs/promises'
import { userInfo } from 'node:os'
import { join } from 'node:path'
import type { Output } from '../foundation/command-line.ts'
import { writeFileDurable } from '../foundation/files.ts'
import { runCommand } from '../foundation/processes.ts'
import { prepareHome, type Home } from './home.ts'
import { copyProgram } from './program-copy.ts'
import { firstRelease, readRelease, writeRelease } from './release.ts'

const unitPath = '/etc/systemd/system/cygnet.service'

export async function installService(output: Output, home: Home, checkout: string, onlyPrint: boolean): Promise<void> {
  const unit = await serviceUnit(home, checkout)
  const hasSystemd = existsSync('/run/systemd/system')
  const asRoot = process.getuid?.() === 0
  if (onlyPrint || !hasSystemd || !asRoot) {
    process.stdout.write(unit)
    if (!hasSystemd)
      output.line('systemd does not run here: nothing was installed. In its place: cygnet up --background')
    else if (!asRoot) output.line(`Only root may install it: save it as ${unitPath}.`)
    return
  }
  // The service starts the copy that this home has chosen; a new home has none yet.
  await prepareHome(home)
  if (!(await readRelease(home))) {
    output.progress('copying the program')
    await writeRelease(home, firstRelease((await copyProgram(checkout, home.folder)).version, Date.now()))
  }
  await writeFileDurable(unitPath, unit)
  await runCommand(['systemctl', 'daemon-reload'], { timeoutMs: 60_000 })
  output.progress('')
  output.line(`Written to ${unitPath}. Start it, now and at boot: systemctl enable --now cygnet`)
}

/** The program is named by the link to the present version, so that the unit stays as it is through upgrades. */
async function serviceUnit(home: Home, checkout: string): Promise<string> {
  const template = await readFile(await templatePath(checkout), 'utf8')
  const program = join(home.program, 'current')
  const values: Record<string, string> = {
    HOME: home.folder,
    NODE: join(program, 'bin', 'node'),
    PROGRAM: join(program, 'src', 'shell', 'cli.ts'),
    USER: userInfo().username,
  }
  return template.replaceAll(/@([A-Z]+)@/g, (whole, name: string) => values[name] ?? whole)
}

/** In a copy of the program and in a checkout it is at the same place. */
async function templatePath(checkout: string): Promise<string> {
  const target = await readlink(checkout).catch(() => checkout)
  return join(target, 'packaging', 'cygnet.service')
}
