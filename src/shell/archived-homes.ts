/**
 * What is left of somebody who was archived: waiting and running work is removed, and the home goes to his experiment as
 * one archive, which belongs to its admin. Safe to repeat: the home is removed only when the archive is durable.
 */
import { spawn } from 'node:child_process'
import { rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { z } from 'zod'
import type { Compute } from '../compute/index.ts'
import type { Facts } from '../foundation/facts.ts'
import { enqueueJob, type Jobs } from '../foundation/jobs.ts'
import type { Logger } from '../foundation/log.ts'
import type { Clock } from '../foundation/time.ts'
import type { Identity } from '../identity/index.ts'
import { bucketNameOf, type Storage } from '../storage/index.ts'

export interface ArchivedHomesParts {
  homesFolder: string
  facts: Pick<Facts, 'follow'>
  jobs: Pick<Jobs, 'register'>
  clock: Clock
  log: Logger
  identity: Pick<Identity, 'leftBehind'>
  compute: Pick<Compute, 'living' | 'cancel' | 'ended'>
  storage: Pick<Storage, 'putObject' | 'listBuckets'>
}

const kind = 'shell.archive-home'

export function followArchivedPeople(parts: ArchivedHomesParts): void {
  const { facts, jobs, clock } = parts
  facts.follow('shell.archived-people', ['identity.subject-changed'], async (fact, trx) => {
    const { subjectId, change } = fact.data as { subjectId: string; change: string }
    if (change !== 'archived') return
    await enqueueJob(trx, { kind, payload: { personId: subjectId }, idempotencyKey: subjectId }, clock)
  })
  jobs.register(
    kind,
    z.object({ personId: z.string() }),
    ({ personId }, { signal }) => archiveHome(parts, personId, signal),
    { concurrency: 1, maxAttempts: 20 },
  )
}

export async function archiveHome(parts: ArchivedHomesParts, personId: string, signal: AbortSignal): Promise<void> {
  const { identity, compute, storage, homesFolder, log } = parts
  for (const job of await compute.living([personId])) await compute.cancel(job.id, 'its owner was archived')
  for (const job of await compute.living([personId])) await compute.ended(job.id, signal)
  const left = await identity.leftBehind(personId)
  if (left === undefined) return
  const home = join(homesFolder, left.homeName)
  if ((await stat(home).catch(() => undefined))?.isDirectory() !== true) return
  const bucket = left.experiment === null ? undefined : bucketNameOf(left.experiment, 'work')
  if (bucket === undefined || !storage.listBuckets().some(({ name }) => name === bucket)) {
    // In no experiment: nobody it could belong to. It stays where it is, and only the machine's root reads it.
    log.warn({ personId, home }, 'the home of somebody archived stays: he was in no experiment')
    return
  }
  const key = `former-members/${left.uid}/home.tar`
  await storage.putObject({
    bucket,
    key,
    body: tarOf(homesFolder, left.homeName, signal),
    contentType: 'application/x-tar',
    may: 'replace',
    ...(left.adminId !== null && { ownerId: left.adminId }),
  })
  await rm(home, { recursive: true, force: true })
  log.info({ personId, bucket, key }, 'the home of somebody archived was handed over')
}

/** The archive as it comes; it ends with an error, not as half an archive, when tar does. */
async function* tarOf(folder: string, name: string, signal: AbortSignal): AsyncIterable<Uint8Array> {
  const child = spawn('tar', ['-C', folder, '--numeric-owner', '-cf', '-', '--', name], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal,
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said = `${said}${text}`.slice(-2000)))
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject)
    child.once('close', resolve)
  })
  try {
    for await (const bytes of child.stdout) yield bytes as Uint8Array
    const code = await ended
    if (code !== 0) throw new Error(`tar ended with ${code}: ${said}`)
  } finally {
    child.kill('SIGKILL')
    await ended.catch(() => undefined)
  }
}
