/** From a job that has its slot to a running shim. */
import { join } from 'node:path'
import { ensureDirectory } from '../foundation/files.ts'
import { chown } from 'node:fs/promises'
import { computeErrors } from './errors.ts'
import * as folders from './job-folder.ts'
import type { JobKind, Launch, Mount, RunningJob, Workspace } from './model.ts'
import { wrongMount } from './sandbox/arguments.ts'
import { attemptCgroup } from './sandbox/cgroups.ts'
import { defaultProcesses, type Sandbox } from './sandbox/sandbox.ts'

export interface LaunchContext {
  /** HOME/jobs. */
  jobsFolder: string
  /** HOME/homes. */
  homesFolder: string
  /** HOME/run/gateway, where the gateways listen on unix sockets as well. */
  gatewayFolder: string
  /** Folder that holds shim.py and relay.py. */
  programFolder: string
  shimPath: string
  /** Ports that the payload knows the platform by, on 127.0.0.1. */
  ports: { platform: number; s3: number }
  /** Whose work may run without a sandbox. */
  trustedOwnerIds: () => readonly string[]
  /** Below this much free space no attempt may go on filling a disk that it writes to. */
  diskReserveBytes: number
  workspaceOf(ownerId: string, experiment: string): Promise<Workspace>
  /** Environment of the shim itself: failpoints in tests. */
  shimEnvironment: Record<string, string>
  sandbox: Sandbox
}

/** Refuses work of anybody but the trusted when nothing can isolate it. */
export function requireSandbox(sandbox: Sandbox, ownerId: string, trustedOwnerIds: readonly string[]): void {
  if (sandbox.status.available || trustedOwnerIds.includes(ownerId)) return
  throw computeErrors.sandboxMissing(
    `Without a sandbox only the person who started Cygnet may run code here: ${sandbox.status.reason ?? 'none was found'}.`,
    { hint: 'Install bubblewrap on the machine (Debian: apt-get install bubblewrap) and restart Cygnet.' },
  )
}

/** Who gives way first when the machine is short of memory (0 to 1000) or, without cgroups, of processors. */
const interactiveManners = { oomScore: 300, nice: 0 }
const batchManners = { oomScore: 500, nice: 5 }

export async function launchAttempt(
  context: LaunchContext,
  kind: JobKind,
  job: RunningJob,
  events: { bell: string; isCancelled(): Promise<boolean>; onExit(): void },
): Promise<void> {
  const { sandbox } = context
  requireSandbox(sandbox, job.ownerId, context.trustedOwnerIds())
  if (sandbox.python === undefined) {
    throw computeErrors.pythonMissing(sandbox.status.notes.at(-1) ?? 'There is no usable python3 on this machine.')
  }
  const workspace = await context.workspaceOf(job.ownerId, job.experiment)
  const isRoot = process.getuid?.() === 0
  const launch = await kind.prepare(job)
  const uid = launch.uid ?? workspace.uid
  // With or without a sandbox: nothing of a person runs as root.
  const owner = isRoot ? { uid, gid: uid } : undefined
  await folders.layOutFolder(job.folder, owner, launch.session === true)
  for (const file of launch.files) await folders.writePrivateFile(job.folder, file, owner)
  const home = join(context.homesFolder, workspace.personName)
  if (launch.workspace !== 'none') {
    await ensureDirectory(home, 0o700)
    if (owner !== undefined) await chown(home, owner.uid, owner.gid)
  }
  const complete = withRelay(context, launch)
  const mounts = mountsOf(context, job, complete, workspace, home)
  const environment = environmentOf(context, job, complete, workspace)
  const prepared = sandbox.prepare({
    launch: complete,
    mounts,
    environment,
    person: {
      name: workspace.personName,
      uid,
      // The sources of mounts may lie behind folders that only these may enter.
      groups: workspace.groups,
      home: launch.workspace === 'none' ? '/tmp' : `/home/${workspace.personName}`,
    },
  })
  const attempt = folders.attemptName(job.id, job.attempt)
  await folders.writeSpec(job.folder, {
    ...prepared,
    attempt,
    bell: events.bell,
    cgroup: sandbox.cgroups === undefined ? null : attemptCgroup(sandbox.cgroups, attempt),
    limits: {
      memoryBytes: job.request.memoryMiB * 1024 * 1024,
      cpuMilli: job.request.cpuMilli,
      processes: launch.limits?.processes ?? defaultProcesses,
      walltimeMs: job.request.walltimeMs,
      stopGraceMs: launch.limits?.stopGraceMs ?? 5_000,
      logBytes: launch.limits?.logBytes ?? 256 * 1024 * 1024,
      ...(launch.limits?.fileBytes !== undefined && { fileBytes: launch.limits.fileBytes }),
      ...(launch.limits?.outputFiles !== undefined && { outputFiles: launch.limits.outputFiles }),
      ...(launch.session ? interactiveManners : batchManners),
      diskReserve: {
        bytes: context.diskReserveBytes,
        folders: mounts.filter(({ mode }) => mode === 'rw').map(({ source }) => source),
      },
    },
  })
  if (await events.isCancelled()) await folders.askToStop(job.folder)
  await folders.startShim(sandbox.python.path, context.shimPath, job.folder, context.shimEnvironment, events.onExit)
}

function withRelay(context: LaunchContext, launch: Launch): Launch {
  const { sandbox, ports } = context
  if (launch.network !== 'gateway' || !sandbox.status.available || sandbox.python === undefined) return launch
  const routes = [`${ports.platform}=/run/gateway/platform.sock`, `${ports.s3}=/run/gateway/s3.sock`]
  return {
    ...launch,
    argv: [sandbox.python.path, '-I', '-S', '/run/relay.py', ...routes, '--', ...launch.argv],
    mounts: [
      ...launch.mounts,
      { source: context.gatewayFolder, target: '/run/gateway', mode: 'ro' },
      { source: join(context.programFolder, 'relay.py'), target: '/run/relay.py', mode: 'ro' },
    ],
  }
}

function mountsOf(
  context: LaunchContext,
  job: RunningJob,
  launch: Launch,
  workspace: Workspace,
  home: string,
): Mount[] {
  const mounts: Mount[] = [
    { source: join(job.folder, 'out'), target: '/out', mode: 'rw' },
    { source: join(job.folder, 'private'), target: '/run/cygnet', mode: 'ro' },
    ...(launch.workspace === 'none' ? [] : workspaceMounts(workspace, home)),
    ...(launch.session ? [{ source: join(job.folder, 'session'), target: '/run/session', mode: 'rw' as const }] : []),
    ...launch.mounts,
  ]
  for (const mount of mounts) {
    const problem = wrongMount(mount)
    if (problem !== undefined) throw computeErrors.badLaunch(`A mount of the job is wrong: ${problem}.`)
  }
  return mounts
}

function workspaceMounts(workspace: Workspace, home: string): Mount[] {
  return [
    { source: home, target: `/home/${workspace.personName}`, mode: 'rw' },
    ...workspace.buckets.map((bucket) => ({ source: bucket.path, target: `/data/${bucket.name}`, mode: bucket.mode })),
  ]
}

function environmentOf(
  context: LaunchContext,
  job: RunningJob,
  launch: Launch,
  workspace: Workspace,
): Record<string, string> {
  const withGateway = launch.network === 'gateway'
  return {
    PATH: '/usr/local/bin:/usr/bin:/bin',
    HOME: launch.workspace === 'none' ? '/tmp' : `/home/${workspace.personName}`,
    USER: workspace.personName,
    LOGNAME: workspace.personName,
    SHELL: '/bin/bash',
    LANG: 'C.UTF-8',
    TMPDIR: '/tmp',
    CYGNET_ATTEMPT: folders.attemptName(job.id, job.attempt),
    CYGNET_EXPERIMENT: job.experiment,
    ...(withGateway && {
      CYGNET_URL: `http://127.0.0.1:${context.ports.platform}`,
      CYGNET_S3_URL: `http://127.0.0.1:${context.ports.s3}`,
    }),
    ...launch.environment,
  }
}
