/** `cygnet up`, `cygnet admin-link`, `cygnet status`, `cygnet config print`: one installation on this machine. */
import type { Command } from 'commander'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { describeConfig, printConfig } from '../foundation/config.ts'
import { stopSignal } from './arguments.ts'
import { shellContract } from './contract.ts'
import { shellFaults } from './errors.ts'
import { homeAt } from './home.ts'
import { addressesAt, callControl, readSettings, startPlatform, type Platform } from './platform.ts'
import { settingsSchema } from './settings.ts'

export interface AdminLink {
  url: string
  expiresAtMs: number
}

/** The one-time link of the site admin, made at the first start and whenever somebody who owns the home asks. */
export async function adminLinkAtFirstStart(platform: Platform): Promise<AdminLink | null> {
  const { link } = await callControl<{ link: AdminLink | null }>(platform.home, 'POST', '/internal/first-admin-link')
  return link
}

export function registerPlatformCommands(program: Command, context: CommandContext, checkout: string): void {
  addVerb(program, 'up', {
    summary: 'start the platform in the foreground; Ctrl-C stops it (jobs and notebooks go on)',
    example: 'cygnet up --port 8410',
  })
    .option('--port <number>', 'platform port; S3 is on the next one', Number)
    .action(async ({ port }: { port?: number }) => {
      if (port !== undefined && !Number.isInteger(port))
        throw shellFaults.usage('--port takes a number, for example --port 8410')
      const { output } = context
      const home = homeAt(context.home)
      const platform = await startPlatform({
        checkout,
        home: home.folder,
        port,
        onProgress: (message) => output.progress(message),
      })
      output.progress('')
      const stop = stopSignal()
      const link = await adminLinkAtFirstStart(platform)
      if (output.isJson) output.json(readyEvent(platform, link))
      else for (const line of welcome(platform, link)) output.line(line)
      await stop
      output.line('stopping; running jobs and notebooks go on')
      await platform.stop()
    })

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

export function readyEvent({ addresses, version, startMs }: Platform, link: AdminLink | null) {
  return {
    event: 'ready',
    version,
    platform: addresses.publicUrl,
    s3: addresses.s3Url,
    platformUpSeconds: Math.round(startMs) / 1000,
    ...(link === null ? {} : { adminLink: link.url }),
  }
}

function welcome({ addresses, home, startMs }: Platform, link: AdminLink | null): string[] {
  return [
    `Cygnet serves after ${(startMs / 1000).toFixed(1)} s.`,
    `  platform  ${addresses.publicUrl}`,
    `  S3        ${addresses.s3Url}`,
    `  home      ${home.folder}`,
    ...(link === null
      ? ['Sign in as before, or get a new link with: cygnet admin-link']
      : ['', 'Sign in as site admin, once, within 30 minutes:', `  ${link.url}`]),
    '',
    'Ctrl-C stops the platform. Running jobs and notebooks go on and are found again at the next start.',
  ]
}
