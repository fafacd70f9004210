/** The built-in kind `command`: a program and its arguments, in an environment, as the person who asked. */
import { z } from 'zod'
import { computeErrors } from './errors.ts'
import type { JobKind, Mount } from './model.ts'
import type { Sandbox } from './sandbox/sandbox.ts'

/** A software environment made by a room above: where it is and what it adds. */
export interface ResolvedEnvironment {
  mounts: Mount[]
  /** Put before the system's PATH. */
  pathFolders: string[]
  environment: Record<string, string>
}

/**
 * Throws a Fault when the environment is not ready; one with `retry` makes the job wait and try again. `access`: with
 * files that let the payload speak to the platform in its owner's name.
 */
export type EnvironmentResolver = (
  job: {
    ownerId: string
    experiment: string
    id: string
    attempt: number
  },
  wanted: { access: boolean },
) => Promise<
  ResolvedEnvironment & {
    files?: { name: string; content: string }[]
  }
>

export const commandPayload = z.object({ argv: z.array(z.string()).min(1), environment: z.string() })
export type CommandPayload = z.infer<typeof commandPayload>

/** How the environment is made ready; undefined for `system`, which always is. Throws `noSuchEnvironment`. */
export function findEnvironment(
  environments: ReadonlyMap<string, EnvironmentResolver>,
  name: string,
): EnvironmentResolver | undefined {
  const resolve = environments.get(name)
  if (resolve !== undefined || name === 'system') return resolve
  throw computeErrors.noSuchEnvironment(`There is no environment called ${name}.`, {
    hint: `There are: ${['system', ...environments.keys()].join(', ')}.`,
  })
}

export function commandKind(context: {
  environments: ReadonlyMap<string, EnvironmentResolver>
  sandbox: () => Promise<Sandbox>
}): JobKind {
  return {
    async prepare(job) {
      const { argv, environment: name } = commandPayload.parse(job.payload)
      const resolved = await findEnvironment(context.environments, name)?.(job, { access: true })
      return {
        // `env` looks the program up on the PATH of inside, and says so in the log when it is not there.
        argv: ['/usr/bin/env', '--', ...argv],
        mounts: resolved?.mounts ?? [],
        environment: {
          ...resolved?.environment,
          PATH: [...(resolved?.pathFolders ?? []), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
        },
        network: resolved === undefined ? 'none' : 'gateway',
        files: resolved?.files ?? [],
      }
    },
  }
}
