/**
 * The command line's own sign-in: one file per profile, readable by its owner only. Renewing is done under a lock, because a
 * refresh token works once: two commands at the same moment must not spend the same one.
 */
import { rm } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { Fault } from '../foundation/errors.ts'
import { ensureDirectory, readJsonFile, writeFileDurable } from '../foundation/files.ts'
import { acquireLock, type Lock } from '../foundation/lock.ts'
import { identityFaults } from './errors.ts'

const signInSchema = z.object({
  platformUrl: z.string(),
  /** Where its S3 endpoint is, as the platform says. */
  s3Url: z.string().optional(),
  personName: z.string(),
  accessToken: z.string(),
  expiresAtMs: z.number(),
  refreshToken: z.string().optional(),
})
export type SignIn = z.infer<typeof signInSchema>

export interface SignInFile {
  readonly path: string
  read(): Promise<SignIn | undefined>
  write(signIn: SignIn): Promise<void>
  remove(): Promise<void>
  /** For `createClient`: `headers: () => file.headers()`. Renews when the token is about to end; empty if signed out. */
  headers(): Promise<Record<string, string>>
}

/** Renewed this long before its end. */
const marginMs = 60_000
const lockWaitMs = 10_000

/** `~/.config/cygnet/<profile>.json` */
export function signInFile(profileName: string, directory: string = join(homedir(), '.config', 'cygnet')): SignInFile {
  const path = join(directory, `${profileName}.json`)
  const read = async () => await readJsonFile(path, signInSchema)
  const write = async (signIn: SignIn) => {
    await ensureDirectory(directory, 0o700)
    await writeFileDurable(path, `${JSON.stringify(signIn, null, 2)}\n`, { mode: 0o600 })
  }

  async function renewed(): Promise<SignIn | undefined> {
    const lock = await waitForLock(`${path}.lock`)
    try {
      const present = await read()
      if (present === undefined || present.expiresAtMs - marginMs > Date.now() || present.refreshToken === undefined)
        return present
      const next = await renew(present)
      await write(next)
      return next
    } finally {
      await lock.release()
    }
  }

  return {
    path,
    read,
    write,
    remove: () => rm(path, { force: true }),
    async headers(): Promise<Record<string, string>> {
      const present = await read()
      if (present === undefined) return {}
      const fresh = present.expiresAtMs - marginMs > Date.now() ? present : await renewed()
      return fresh === undefined ? {} : { authorization: `Bearer ${fresh.accessToken}` }
    },
  }
}

const renewalSchema = z.object({
  access_token: z.string(),
  expires_in: z.number(),
  refresh_token: z.string().optional(),
})

async function renew(signIn: SignIn): Promise<SignIn> {
  const fields = { grant_type: 'refresh_token', client_id: 'cli', refresh_token: signIn.refreshToken ?? '' }
  const url = `${signIn.platformUrl}/oidc/token`
  const response = await fetch(url, { method: 'POST', body: new URLSearchParams(fields) }).catch((cause: unknown) => {
    throw identityFaults.unreachable(`${signIn.platformUrl} does not answer.`, { cause })
  })
  if (response.status === 400 || response.status === 401) {
    throw identityFaults.signInNeeded(`You are no longer signed in at ${signIn.platformUrl}.`, {
      hint: 'Sign in again: cygnet login.',
    })
  }
  const answer = renewalSchema.safeParse(response.ok ? await response.json() : undefined)
  if (!answer.success)
    throw identityFaults.unreachable(`${signIn.platformUrl} answered ${response.status} to the renewal.`)
  const { access_token, expires_in, refresh_token } = answer.data
  return {
    ...signIn,
    accessToken: access_token,
    expiresAtMs: Date.now() + expires_in * 1000,
    ...(refresh_token === undefined ? {} : { refreshToken: refresh_token }),
  }
}

async function waitForLock(path: string): Promise<Lock> {
  const untilMs = Date.now() + lockWaitMs
  for (;;) {
    try {
      return await acquireLock(path)
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'foundation.locked' || Date.now() > untilMs) throw error
      await new Promise((resolve) => setTimeout(resolve, 100))
    }
  }
}
