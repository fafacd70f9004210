/** `cygnet upgrade`, `cygnet rollback`, `cygnet down`, `cygnet install-service`: the life of an installation by one hand. */
import type { Command } from 'commander'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { addVerb, type CommandContext, type Output } from '../foundation/command-line.ts'
import { acquireLock, lockHolder } from '../foundation/lock.ts'
import { isSameProcess } from '../foundation/processes.ts'
import { shellFaults } from './errors.ts'
import { homeAt, prepareHome, type Home } from './home.ts'
import { copyProgram, requireRoomForCopy } from './program-copy.ts'
import { arrivedAt, readRelease, writeRelease, type How, type Release } from './release.ts'
import { installService } from './service-unit.ts'
import { stopProcesses } from './supervisor.ts'
import { askToHandOver, askToStop, supervisorState } from './supervisor-socket.ts'
import { differenceToCopy, plansOf, requireVersion, restoreCopy } from './version-process.ts'

/** A supervisor becomes the new version within this time. */
const becomePatienceMs = 120_000
const stopPatienceMs = 120_000

export function registerUpgradeCommands(program: Command, context: CommandContext, checkout: string): void {
  addVerb(program, 'upgrade', {
    summary: 'bring this version to the installation while it runs; if it does not serve, the one before it stays',
    example: 'cygnet upgrade',
  })
    .option('--to <version>', 'a version that the home already has, instead of the one of this checkout')
    .option(
      '--patience <seconds>',
      'how long the new version may take to serve (migrations of a large database)',
      Number,
    )
    .action(async ({ to, patience }: { to?: string; patience?: number }) => {
      if (patience !== undefined && !(patience > 0)) throw shellFaults.usage('--patience takes a number of seconds.')
      const home = homeAt(context.home)
      await prepareHome(home)
      const version = to ?? (await broughtHere(home, checkout, context.output))
      await change(context.output, home, version, 'upgrade', patience)
    })

  addVerb(program, 'rollback', {
    summary: 'back to the version before this one; refuses when that one cannot read the database any more',
    example: 'cygnet rollback',
  })
    .option(
      '--restore-copy',
      'put back the copy of the database from before the upgrade; what was written since is lost',
    )
    .action(async ({ restoreCopy: restores = false }: { restoreCopy?: boolean }) => {
      await rollBack(context.output, homeAt(context.home), restores)
    })

  addVerb(program, 'down', {
    summary: 'stop the platform of this home; running jobs and notebooks go on',
    example: 'cygnet down',
  })
    .option('--with-jobs', 'end jobs and notebooks too')
    .action(async ({ withJobs = false }: { withJobs?: boolean }) => {
      const home = homeAt(context.home)
      const { output } = context
      await stopPlatform(home, output)
      if (withJobs) output.progress('ending jobs and notebooks')
      const endedJobs = withJobs ? await endWork(home) : 0
      output.progress('')
      if (output.isJson) output.json({ event: 'stopped', endedJobs })
      else
        output.line(withJobs ? 'Stopped, with all jobs and notebooks.' : 'Stopped. Running jobs and notebooks go on.')
    })

  addVerb(program, 'install-service', {
    summary: 'a systemd service that starts this installation at boot; printed when it cannot be written',
    example: 'cygnet install-service',
  })
    .option('--print', 'only print it')
    .action(async ({ print = false }: { print?: boolean }) => {
      await installService(context.output, homeAt(context.home), checkout, print)
    })
}

async function broughtHere(home: Home, checkout: string, output: Output): Promise<string> {
  await requireRoomForCopy(home)
  output.progress('copying the program')
  return (await copyProgram(checkout, home.folder)).version
}

async function change(
  output: Output,
  home: Home,
  version: string,
  how: 'upgrade' | 'rollback',
  patienceSeconds: number | undefined,
  copy?: string,
): Promise<void> {
  requireVersion(home, version)
  const release = await readRelease(home)
  const state = await supervisorState(home)
  if (release?.current === version && release.switching === null && release.next === null && copy === undefined)
    return tell(
      output,
      { event: 'unchanged', version, running: state !== undefined },
      `Version ${version} is the present one; nothing to do.`,
    )
  if (!release) {
    return tell(output, { event: 'chosen', version, running: false }, `This home is new. Start it with: cygnet up`)
  }
  if (state === undefined) return await changeStopped(output, home, release, version, how, copy)
  await askToHandOver(
    home,
    {
      to: version,
      how,
      ...(copy !== undefined && { copy }),
      servePatienceMs: patienceSeconds && patienceSeconds * 1000,
    },
    (step) => (output.isJson ? output.json({ event: 'step', ...step }) : output.progress(step.detail)),
  )
  await untilItIs(home, version)
  output.progress('')
  tell(
    output,
    { event: 'serves', version, previous: release.current, running: true },
    `Version ${version} serves. Back with: cygnet rollback`,
  )
}

async function changeStopped(
  output: Output,
  home: Home,
  release: Release,
  version: string,
  how: How,
  copy: string | undefined,
): Promise<void> {
  const lock = await acquireLock(join(home.run, 'supervisor.lock')).catch((cause: unknown) => {
    throw shellFaults.alreadyRunning(
      `A Cygnet runs in ${home.folder}, and it cannot hand over (a demo, or an older version).`,
      { cause, hint: 'Stop it, then start this version: cygnet up' },
    )
  })
  try {
    await plansOf(home, version, {})
    if (copy !== undefined) {
      await restoreCopy(home, version, copy)
      await writeRelease(home, arrivedAt(release, version, { how, nowMs: Date.now(), migrated: null }))
    } else if (release.current === version) await writeRelease(home, { ...release, next: null })
    else await writeRelease(home, { ...release, next: { version, how } })
  } finally {
    await lock.release()
  }
  tell(output, { event: 'chosen', version, running: false }, `Version ${version} starts with the next: cygnet up`)
}

async function rollBack(output: Output, home: Home, restores: boolean): Promise<void> {
  const release = await readRelease(home)
  if (!release?.previous) throw shellFaults.cannotGoBack('No version ran here before this one.')
  const { previous, migrated } = release
  if (migrated === null) return await change(output, home, previous, 'rollback', undefined)
  const { applied, copy } = migrated
  if (copy === null || !existsSync(copy)) {
    throw shellFaults.cannotGoBack(
      `Version ${release.current} changed the database (${applied.join(', ')}), and the copy from before is not there any more.`,
      { hint: 'Restore a backup of the database that was made before the upgrade, or mend this version.' },
    )
  }
  const tables = await differenceToCopy(home, release.current, copy)
  const lost = tables.map(({ table, now, before }) => `${table} ${now > before ? '+' : ''}${now - before}`).join(', ')
  if (!restores) {
    throw shellFaults.cannotGoBack(
      `Version ${release.current} changed the database (${applied.join(', ')}); ${previous} cannot read it.`,
      {
        hint: `Its copy from before can be put back: cygnet rollback --restore-copy. Lost is what was written since ${new Date(release.sinceMs).toISOString()}: rows ${lost || 'none'}. Files and objects stay.`,
        extra: { tables, copy },
      },
    )
  }
  output.line(`Rows that go: ${lost || 'none'}. The database as it is now is kept beside it.`)
  await change(output, home, previous, 'rollback', undefined, copy)
}

async function untilItIs(home: Home, version: string): Promise<void> {
  const deadlineMs = performance.now() + becomePatienceMs
  while (performance.now() < deadlineMs) {
    const state = await supervisorState(home)
    if (state?.version === version && state.ready) return
    await sleep(50)
  }
  throw shellFaults.switchFailed(`Version ${version} serves, but its supervisor does not answer.`, {
    hint: `Its log says why: ${join(home.logs, 'supervisor.log')}. Start it again with: cygnet up`,
  })
}

async function endWork(home: Home): Promise<number> {
  const { stopWork } = await import('../compute/index.ts')
  return await stopWork(home.jobs)
}

async function stopPlatform(home: Home, output: Output): Promise<void> {
  output.progress('stopping')
  const supervisor = await lockHolder(join(home.run, 'supervisor.lock'))
  if (supervisor === undefined) return await stopProcesses(home)
  await askToStop(home).catch(() => process.kill(supervisor.pid, 'SIGTERM'))
  const deadlineMs = performance.now() + stopPatienceMs
  while (isSameProcess(supervisor)) {
    if (performance.now() > deadlineMs) throw shellFaults.alreadyRunning(`Process ${supervisor.pid} does not end.`)
    await sleep(50)
  }
}

function tell(output: Output, event: object, line: string): void {
  if (output.isJson) output.json(event)
  else output.line(line)
}
