/** How a session is launched: JupyterLab from the pinned environment, in the sandbox of its person. */
import { join } from 'node:path'
import type { Action } from '../foundation/contract.ts'
import type { Identity } from '../identity/index.ts'
import type { JobKind, Mount, ResolvedEnvironment, RunningJob } from '../compute/index.ts'
import type { PythonEnvironment, ReadyEnvironment } from './environment/environment.ts'
import { basePathOf, endSession, sessionOfJob, type NotebookKysely } from './session-store.ts'

export type Credentials = Pick<Identity, 'mintToken' | 'createAccessKey' | 'revokeAccessKeysOf'>

/** Renewed at a third of its life. */
export const tokenLifetimeMs = 60 * 60_000
const accessKeyLifetimeMs = 7 * 24 * 3_600_000

/** What a person's own code may do in their name; people, keys and the site are never among it. */
export const sessionActions: readonly Action[] = [
  'logbook.read',
  'logbook.write',
  'data.read',
  'data.create',
  'data.modify',
  'jobs.submit',
  'jobs.read',
  'jobs.cancel',
  'reconstruction.run',
]

export interface PayloadContext {
  environment: PythonEnvironment
  credentials: Credentials
  /** The program copy: the Python client is in python/src below it. */
  programFolder: string
  ports: { platform: number; s3: number }
  s3Region: string
}

/** Access of one session or job: a token for the API, a key for S3, and a page that says where both are. */
export async function accessFiles(
  context: PayloadContext,
  actor: { kind: 'session' | 'job'; id: string; ownerId: string; experiment: string },
): Promise<{ name: string; content: string }[]> {
  const { credentials, ports } = context
  // A second attempt must not leave the first one's key alive.
  await credentials.revokeAccessKeysOf(actor.id)
  const key = await credentials.createAccessKey({
    subjectId: actor.ownerId,
    label: `${actor.kind} ${actor.id}`,
    limits: { actions: sessionActions, experiment: actor.experiment },
    lifetimeMs: accessKeyLifetimeMs,
    actor: { kind: actor.kind, id: actor.id },
  })
  return [
    { name: 'token', content: mintFor(context, actor) },
    {
      name: 'client.json',
      content: JSON.stringify({
        url: `http://127.0.0.1:${ports.platform}`,
        s3Url: `http://127.0.0.1:${ports.s3}`,
        experiment: actor.experiment,
        region: context.s3Region,
        token: '/run/cygnet/token',
        credentials: '/run/cygnet/credentials',
        data: '/data',
      }),
    },
    {
      name: 'credentials',
      content: `[default]\naws_access_key_id = ${key.accessKeyId}\naws_secret_access_key = ${key.secretAccessKey}\n`,
    },
    {
      name: 'aws-config',
      content: `[default]\nregion = ${context.s3Region}\nendpoint_url = http://127.0.0.1:${ports.s3}\ns3 =\n  addressing_style = path\n`,
    },
  ]
}

export function mintFor(
  context: PayloadContext,
  actor: { kind: 'session' | 'job'; id: string; ownerId: string; experiment: string },
): string {
  return context.credentials.mintToken({
    subjectId: actor.ownerId,
    kind: actor.kind,
    actorId: actor.id,
    actions: sessionActions,
    experiment: actor.experiment,
    lifetimeMs: tokenLifetimeMs,
  }).token
}

/** The environment as sessions and command jobs see it. */
export function environmentParts(context: PayloadContext, ready: ReadyEnvironment): ResolvedEnvironment {
  return {
    mounts: [
      { source: ready.folder, target: ready.folder, mode: 'ro' },
      { source: join(context.programFolder, 'python', 'src'), target: '/opt/cygnet/client', mode: 'ro' },
    ],
    pathFolders: [join(ready.folder, 'bin')],
    environment: {
      PYTHONPATH: '/opt/cygnet/client',
      VIRTUAL_ENV: ready.folder,
      PYTHONDONTWRITEBYTECODE: '1',
      AWS_SHARED_CREDENTIALS_FILE: '/run/cygnet/credentials',
      AWS_CONFIG_FILE: '/run/cygnet/aws-config',
      CYGNET_CLIENT: '/run/cygnet/client.json',
    },
  }
}

export function sessionKind(context: PayloadContext & { kysely: NotebookKysely }): JobKind {
  return {
    async prepare(job: RunningJob) {
      const ready = await context.environment.ensure()
      const session = await sessionOfJob(context.kysely, job.id)
      const parts = environmentParts(context, ready)
      const server: Mount = { source: join(import.meta.dirname, 'jupyter'), target: '/opt/cygnet/server', mode: 'ro' }
      return {
        // -s: the person's own packages must not get into the server itself.
        argv: [ready.python, '-s', '-m', 'jupyterlab', '--config=/opt/cygnet/server/jupyter_server_config.py'],
        directory: `/home/${session.owner_name}`,
        mounts: [...parts.mounts, server],
        environment: {
          ...parts.environment,
          PYTHONPATH: '/opt/cygnet/client:/opt/cygnet/server',
          // A random.py in the home must not stop its server (jupyter_server_config.py takes it away again).
          PYTHONSAFEPATH: '1',
          PATH: [...parts.pathFolders, '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
          // The person's configuration is for their work, not for the server that guards it.
          JUPYTER_CONFIG_DIR: '/run/session/config',
          JUPYTER_RUNTIME_DIR: '/run/session/runtime',
          JUPYTERLAB_SETTINGS_DIR: `/home/${session.owner_name}/.local/share/cygnet/lab/settings`,
          JUPYTERLAB_WORKSPACES_DIR: `/home/${session.owner_name}/.local/share/cygnet/lab/workspaces`,
          CYGNET_SESSION: session.id,
          CYGNET_SESSION_BASE: basePathOf(session),
          CYGNET_SESSION_SOCKET: '/run/session/jupyter.sock',
          CYGNET_SESSION_KEY_FILE: '/run/cygnet/session-key',
        },
        network: 'gateway',
        files: [
          ...(await accessFiles(context, {
            kind: 'session',
            id: session.id,
            ownerId: session.owner_id,
            experiment: session.experiment,
          })),
          { name: 'session-key', content: Buffer.from(session.header_key, 'base64url') },
        ],
        session: true,
        limits: { processes: 2048, temporaryMiB: 4096, stopGraceMs: 3_000 },
      }
    },
    async commit(trx, job) {
      await endSession(trx, job.id)
    },
    async ended(trx, job) {
      await endSession(trx, job.id)
    },
  }
}
