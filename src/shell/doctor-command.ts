/** `cygnet doctor`: what this machine lacks, in words, with what to do about it. Changes nothing. */
import type { Command } from 'commander'
import { delimiter } from 'node:path'
import type { z } from 'zod'
import { findPython, inspectIsolation } from '../compute/index.ts'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { Fault } from '../foundation/errors.ts'
import { showFindings, type Finding } from '../foundation/findings.ts'
import type { EnvironmentStatus } from '../notebooks/index.ts'
import { addressesOf } from './addresses.ts'
import type { statusSchema } from './contract.ts'
import { faceFindings } from './doctor/face-findings.ts'
import { gatherHostFacts } from './doctor/host-facts.ts'
import { hostFindings } from './doctor/host-findings.ts'
import { shellFaults } from './errors.ts'
import { cacheFolder, homeAt, type Home } from './home.ts'
import { addressesAt, callControl } from './platform.ts'
import { readSettings, type Settings } from './settings.ts'

export function registerDoctorCommand(program: Command, context: CommandContext): void {
  addVerb(program, 'doctor', {
    summary: 'look this machine over for Cygnet; exit code 1 when something must be mended',
    example: 'cygnet doctor',
  }).action(async () => {
    if (showFindings(context.output, await findingsAt(homeAt(context.home))))
      throw shellFaults.needsMending('Something must be mended before Cygnet can be relied on.')
  })
}

/** Everything the doctor looks at. */
export async function findingsAt(home: Home): Promise<Finding[]> {
  const settings = await readSettings(home, undefined).catch((error: unknown) => error as Error)
  const found = await Promise.all([
    node(),
    python(),
    machine(home, settings),
    isolation(home),
    faces(settings),
    platform(home),
  ])
  return found.flat()
}

async function node(): Promise<Finding[]> {
  return [{ what: 'Node', verdict: 'good', detail: `${process.version} from ${process.execPath}`, hint: '' }]
}

async function python(): Promise<Finding[]> {
  try {
    const { path, version } = await findPython({
      minimum: [3, 9],
      forOthers: process.getuid?.() === 0,
      searchPath: process.env.PATH ?? `/usr/bin${delimiter}/bin`,
    })
    return [{ what: 'Python', verdict: 'good', detail: `${version} from ${path}`, hint: '' }]
  } catch (error) {
    const hint = 'Install python3 (3.9 or later) under /usr, where every user can read it.'
    return [{ what: 'Python', verdict: 'bad', detail: wordsOf(error), hint }]
  }
}

async function machine(home: Home, settings: Settings | Error): Promise<Finding[]> {
  const ports = settings instanceof Error ? [] : [settings.http.port, settings.http.s3Port ?? settings.http.port + 1]
  return hostFindings(await gatherHostFacts(home, ports))
}

/** What keeps people's code apart on this machine. */
async function isolation(home: Home): Promise<Finding[]> {
  const programFolders = [home.folder, cacheFolder()]
  return await inspectIsolation({ searchPath: process.env.PATH ?? '', cacheFolder: cacheFolder(), programFolders })
}

async function faces(settings: Settings | Error): Promise<Finding[]> {
  try {
    if (settings instanceof Error) throw settings
    return await faceFindings(settings.http, addressesOf(settings.http))
  } catch (error) {
    const hint = (error instanceof Fault ? error.hint : undefined) ?? 'See: cygnet config print --all'
    return [{ what: 'settings', verdict: 'bad', detail: wordsOf(error), hint }]
  }
}

function wordsOf(error: unknown): string {
  return error instanceof Fault ? error.detail : error instanceof Error ? error.message : String(error)
}

interface Report {
  sandbox: z.infer<typeof statusSchema>['sandbox']
  environment: EnvironmentStatus
}

/** What only a running platform can tell; a platform that does not run is a fact, not a fault. */
async function platform(home: Home): Promise<Finding[]> {
  try {
    const [{ environment }, { sandbox, concerns }] = await Promise.all([
      callControl<Report>(home, 'GET', '/internal/report'),
      callControl<z.infer<typeof statusSchema>>(home, 'GET', '/internal/status'),
    ])
    return [
      { what: 'platform', verdict: 'good', detail: `runs in ${home.folder}`, hint: '' },
      {
        what: 'sandbox',
        verdict: sandbox.available ? 'good' : 'warning',
        detail: sandbox.detail,
        hint: sandbox.available
          ? ''
          : 'Without a sandbox nobody may start notebooks or jobs. Install bubblewrap and allow user namespaces.',
      },
      notebooksFinding(environment),
      ...concerns.map(({ grave, what, hint }): Finding => {
        return { what: 'now', verdict: grave ? 'bad' : 'warning', detail: what, hint }
      }),
    ]
  } catch {
    const address = await addressesAt(home).then(
      ({ publicUrl }) => `; it will serve ${publicUrl}`,
      () => '',
    )
    const hint = `Start it with cygnet up${address}.`
    return [{ what: 'platform', verdict: 'warning', detail: `nothing runs in ${home.folder}`, hint }]
  }
}

function notebooksFinding({ state, reason }: EnvironmentStatus): Finding {
  return {
    what: 'notebooks',
    verdict: state === 'failed' ? 'bad' : state === 'ready' ? 'good' : 'warning',
    detail: reason ?? `${state} in ${cacheFolder()}`,
    hint:
      state === 'failed'
        ? 'The Python environment is made from the package index: check the network (HTTPS_PROXY), or install from a bundle, then start again.'
        : '',
  }
}
