/** `cygnet uninstall`: takes the program away and leaves everything that people made. */
import type { Command } from 'commander'
import { existsSync } from 'node:fs'
import { lstat, readdir, readlink, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { addVerb, type CommandContext } from '../../foundation/command-line.ts'
import { readJsonFile } from '../../foundation/files.ts'
import { isSameProcess, runCommand, type ProcessIdentity } from '../../foundation/processes.ts'
import { shellFaults } from '../errors.ts'
import { cacheFolder, homeAt, type Home } from '../home.ts'

interface Plan {
  /** What goes, in this order. */
  remove: string[]
  /** What stays, and what it is. */
  keep: { path: string; what: string }[]
}

const servicePath = '/etc/systemd/system/cygnet.service'

export function registerUninstallCommand(program: Command, context: CommandContext, checkout: string): void {
  addVerb(program, 'uninstall', {
    summary: 'take the program away and leave the data; without --yes only say what would go and what stays',
    example: 'cygnet uninstall --yes',
  })
    .option('--yes', 'do it')
    .option('--with-cache', 'the Python environments too, which other homes of this machine may share')
    .action(async ({ yes = false, withCache = false }: { yes?: boolean; withCache?: boolean }) => {
      const { output } = context
      const home = homeAt(context.home)
      const plan = await planOf(home, checkout, withCache)
      if (yes) {
        await requireStopped(home)
        if (plan.remove.includes(servicePath))
          await runCommand(['systemctl', 'disable', 'cygnet.service'], { timeoutMs: 30_000 })
        for (const path of plan.remove) await rm(path, { recursive: true, force: true })
        if (existsSync(home.folder)) await writeFile(join(home.folder, 'READ-ME-FIRST.txt'), farewell(home))
      }
      if (output.isJson) return output.json({ ...plan, done: yes })
      for (const path of plan.remove) output.line(`${yes ? 'removed' : 'would remove'}  ${path}`)
      for (const { path, what } of plan.keep) output.line(`${yes ? 'left   ' : 'would leave '}  ${path}  (${what})`)
      if (!yes) output.line('Nothing was changed. Do it with: cygnet uninstall --yes')
    })
}

async function planOf(home: Home, checkout: string, withCache: boolean): Promise<Plan> {
  const installed = await installedFolders(checkout)
  const remove = [
    servicePath,
    home.program,
    home.run,
    join(home.folder, 'cache'),
    ...(withCache ? [cacheFolder()] : []),
    ...installed,
  ].filter((path) => existsSync(path))
  const people: [string, string][] = [
    [home.data, 'every object, as a plain file'],
    [dirname(home.database), 'logbook, people, jobs'],
    [home.homes, 'notebook homes'],
    [home.jobs, 'logs and outputs of jobs'],
    [home.secrets, 'keys of this installation'],
    [home.config, 'settings'],
    [home.logs, 'logs'],
  ]
  return { remove, keep: people.filter(([path]) => existsSync(path)).map(([path, what]) => ({ path, what })) }
}

/** Of an installation from a bundle: the folder of its versions and the link to its command. A checkout is its owner's. */
async function installedFolders(checkout: string): Promise<string[]> {
  const prefix = dirname(dirname(checkout))
  if (!existsSync(join(prefix, 'current', 'bin', 'cygnet'))) return []
  const folders = (process.env.PATH ?? '').split(':').filter(Boolean)
  const links = []
  for (const folder of new Set([...folders, '/usr/local/bin'])) {
    const path = join(folder, 'cygnet')
    const isLink = (await lstat(path).catch(() => undefined))?.isSymbolicLink() ?? false
    if (isLink && (await readlink(path)) === join(prefix, 'current', 'bin', 'cygnet')) links.push(path)
  }
  return [...links, prefix]
}

/** A running platform or job would write into what goes. */
async function requireStopped(home: Home): Promise<void> {
  const records = (await readdir(home.run).catch(() => [])).filter((name) => name.endsWith('.process.json'))
  for (const record of records) {
    const identity = await readJsonFile<ProcessIdentity>(join(home.run, record))
    if (identity !== undefined && isSameProcess(identity)) {
      throw shellFaults.alreadyRunning(`The platform in ${home.folder} runs (process ${identity.pid}).`, {
        hint: 'Stop it first: cygnet down --with-jobs, or end the service.',
      })
    }
  }
  for (const attempt of await readdir(home.jobs).catch(() => [])) {
    const shim = await readJsonFile<ProcessIdentity>(join(home.jobs, attempt, 'claim', 'shim.json'))
    if (shim !== undefined && isSameProcess(shim)) {
      throw shellFaults.alreadyRunning(`A job of ${home.folder} still runs (${attempt}).`, {
        hint: 'End it first: start the platform and cancel it, or cygnet down --with-jobs.',
      })
    }
  }
}

function farewell(home: Home): string {
  return `Cygnet was removed from this machine; everything that people made is here.

data/<bucket>/<key>   every object, a plain file: cp -r is enough
database/             ${existsSync(home.database) ? 'cygnet.sqlite: every SQLite tool opens it' : 'copies; the database itself is where cygnet.yaml says'}
homes/<person>        notebook homes
jobs/                 logs and outputs of jobs
secrets/, cygnet.yaml needed to start this installation again

To start again: install Cygnet and run: cygnet up --home ${home.folder}
`
}
