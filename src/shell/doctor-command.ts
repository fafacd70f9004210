/** `cygnet doctor`: what this machine lacks, in words, with what to do about it. Changes nothing. */
import type { Command } from 'commander'
import { existsSync } from 'node:fs'
import { statfs } from 'node:fs/promises'
import { dirname } from 'node:path'
import { addVerb, type CommandContext } from '../foundation/command-line.ts'
import { networkFileSystemOf } from '../foundation/files.ts'
import { findPython } from '../compute/index.ts'
import type { statusSchema } from './contract.ts'
import { cacheFolder, homeAt, type Home } from './home.ts'
import { addressesAt, callControl } from './platform.ts'
import type { EnvironmentStatus } from '../notebooks/index.ts'
import { shellFaults } from './errors.ts'
import type { z } from 'zod'

interface Finding {
  what: string
  verdict: 'good' | 'warning' | 'bad'
  detail: string
  hint: string
}

const gigabyte = 1e9
const comfortableBytes = 20 * gigabyte
const leastBytes = 2 * gigabyte

export function registerDoctorCommand(program: Command, context: CommandContext): void {
  addVerb(program, 'doctor', {
    summary: 'look this machine over for Cygnet; exit code 1 when something must be mended',
    example: 'cygnet doctor',
  }).action(async () => {
    const home = homeAt(context.home)
    const findings = (
      await Promise.all([nodeVersion(), python(), diskSpace(home), localDisk(home), platform(home)])
    ).flat()
    if (context.output.isJson) context.output.json(findings)
    else {
      context.output.table(findings, ['verdict', 'what', 'detail'])
      for (const { hint, what } of findings.filter((each) => each.hint !== '')) context.output.line(`${what}: ${hint}`)
    }
    if (findings.some((finding) => finding.verdict === 'bad'))
      throw shellFaults.needsMending('Something must be mended before Cygnet can be relied on.')
  })
}

async function nodeVersion(): Promise<Finding[]> {
  return [{ what: 'Node', verdict: 'good', detail: `${process.version} from ${process.execPath}`, hint: '' }]
}

async function python(): Promise<Finding[]> {
  try {
    const { path, version } = await findPython({
      minimum: [3, 9],
      forOthers: process.getuid?.() === 0,
      searchPath: process.env.PATH ?? '',
    })
    return [{ what: 'Python', verdict: 'good', detail: `${version} from ${path}`, hint: '' }]
  } catch (error) {
    const detail = error instanceof Error ? error.message : String(error)
    return [
      {
        what: 'Python',
        verdict: 'bad',
        detail,
        hint: 'Install python3 (3.9 or later) under /usr, where every user can read it.',
      },
    ]
  }
}

async function diskSpace(home: Home): Promise<Finding[]> {
  const folder = nearestExisting(home.folder)
  const { bavail, bsize } = await statfs(folder)
  const freeBytes = bavail * bsize
  const detail = `${(freeBytes / gigabyte).toFixed(1)} GB free at ${folder}`
  const verdict = freeBytes < leastBytes ? 'bad' : freeBytes < comfortableBytes ? 'warning' : 'good'
  const hint =
    verdict === 'good'
      ? ''
      : 'A day of data taking is 70 GB at the median. Free some, or choose another disk with --home.'
  return [{ what: 'disk', verdict, detail, hint }]
}

async function localDisk(home: Home): Promise<Finding[]> {
  const network = await networkFileSystemOf(nearestExisting(home.folder))
  if (network === undefined) return [{ what: 'file system', verdict: 'good', detail: 'local', hint: '' }]
  const hint = 'The database and the index need a local disk: choose one with --home.'
  return [{ what: 'file system', verdict: 'bad', detail: `${home.folder} is on ${network}`, hint }]
}

/** What only a running platform can tell; a platform that does not run is a fact, not a fault. */
async function platform(home: Home): Promise<Finding[]> {
  const { publicUrl } = await addressesAt(home)
  try {
    const { sandbox, environment } = await callControl<Report>(home, 'GET', '/internal/report')
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
      {
        what: 'notebooks',
        verdict: environment.state === 'failed' ? 'bad' : environment.state === 'ready' ? 'good' : 'warning',
        detail: environment.reason ?? `${environment.state} in ${cacheFolder()}`,
        hint:
          environment.state === 'failed'
            ? 'The Python environment is made from the package index: check the network, then start again.'
            : '',
      },
    ]
  } catch {
    return [
      {
        what: 'platform',
        verdict: 'warning',
        detail: `nothing runs in ${home.folder}`,
        hint: `Start it with cygnet up; it will serve ${publicUrl}.`,
      },
    ]
  }
}

interface Report {
  sandbox: z.infer<typeof statusSchema>['sandbox']
  environment: EnvironmentStatus
}

function nearestExisting(path: string): string {
  return existsSync(path) ? path : nearestExisting(dirname(path))
}
