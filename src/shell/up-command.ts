/** `cygnet up`, `cygnet admin-link`, `cygnet status`, `cygnet config print`: one installation on this machine. */
import { Option, type Command } from 'commander'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { describeConfig, printConfig } from '../foundation/config.ts'
import { shellContract } from './contract.ts'
import { homeAt } from './home.ts'
import { addressesAt, callControl } from './platform.ts'
import { readSettings, settingsSchema } from './settings.ts'
import { up, type AdminLink, type UpOptions } from './up.ts'

export function registerPlatformCommands(program: Command, context: CommandContext, checkout: string): void {
  addVerb(program, 'up', {
    summary: 'start the platform in the foreground; Ctrl-C stops it (jobs and notebooks go on)',
    example: 'cygnet up --port 8410',
  })
    .option('--port <number>', 'platform port; S3 is on the next one', Number)
    .option('--public', 'serve beyond this machine; needs http.tls or http.behindProxy in cygnet.yaml')
    .option('--background', 'go on without this terminal; `cygnet down` stops it')
    .addOption(new Option('--quiet', 'say nothing').hideHelp())
    .addOption(new Option('--as <version>', 'the version that was chosen').hideHelp())
    .action((options: UpOptions) => up(context, checkout, options))

  addVerb(program, 'admin-link', {
    summary: 'a new one-time sign-in link of the site admin; only for who owns the home',
    example: 'cygnet admin-link',
  }).action(async () => {
    const link = await callControl<AdminLink>(homeAt(context.home), 'POST', '/internal/admin-link')
    if (context.output.isJson) context.output.json(link)
    else process.stdout.write(`${link.url}\n`)
  })

  addVerb(program, 'status', {
    summary: 'processes, disk, queues and lags of the platform',
    example: 'cygnet status',
  }).action(async () => {
    const status = await context.client(shellContract).status()
    if (context.output.isJson) return context.output.json(status)
    context.output.table(status.processes, [
      'name',
      'pid',
      { title: 'memory', value: ({ memoryBytes }) => `${Math.round(memoryBytes / 1e6)} MB`, align: 'right' },
      { title: 'since', value: ({ startedMs }) => new Date(startedMs).toISOString() },
    ])
    context.output.line(`disk ${status.disk.path}: ${(status.disk.freeBytes / 1e9).toFixed(1)} GB free`)
    context.output.line(`storage ahead of the logbook by ${status.storageLagChanges} changes`)
    context.output.line(
      `background jobs: ${status.backgroundJobs.waiting} waiting, ${status.backgroundJobs.running} running, ${status.backgroundJobs.dead} given up`,
    )
  })

  const config = program.command('config').description('the configuration of this installation')
  addVerb(config, 'print', {
    summary: 'the effective configuration, secrets hidden; --all also says what each line means',
    example: 'cygnet config print --all',
  })
    .option('--all', 'every setting with its meaning')
    .action(async ({ all }: { all?: boolean }) => {
      const home = homeAt(context.home)
      const settings = await readSettings(home, undefined)
      const { output } = context
      if (output.isJson) return output.json({ home: home.folder, settings, addresses: await addressesAt(home) })
      process.stdout.write(`# ${home.config}\n${printConfig(settings)}`)
      if (!all) return
      for (const { path, description } of describeConfig(settingsSchema))
        process.stdout.write(`# ${path}: ${description}\n`)
    })
}
