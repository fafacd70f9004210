/**
 * What must hold after the power has come back, looked at through the real room: each acknowledged object is there,
 * what was not acknowledged is there whole or not at all, nothing is left over, and index, log of changes, facts and
 * database say the same as the tree.
 */
import { createHash } from 'node:crypto'
import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { sql } from 'kysely'
import { migrate, openDatabase } from '../../foundation/database.ts'
import { silentLogger } from '../../foundation/log.ts'
import { systemClock } from '../../foundation/time.ts'
import { followStorageChanges } from '../change-follower.ts'
import type { Change, ObjectInfo } from '../model.ts'
import { openStorage, type Storage } from '../storage.ts'
import { storageMigrations } from '../tables.ts'
import { allowedContents, type History } from './history.ts'
import { noise, sha256 } from './random.ts'

const bucket = 'demo-work'

/** Sentences about what should not be; empty if all is well. */
export interface Findings {
  /** Acknowledged and not there. */
  lost: string[]
  /** There, and neither the one nor the other. */
  torn: string[]
  /** Anything else: left over, disagreeing. */
  wrong: string[]
  acknowledged: number
  /** What each key holds now: the `before` of the next cut. */
  contents: Map<string, string | null>
}

export async function findingsOf(options: {
  root: string
  history: History
  before: ReadonlyMap<string, string | null>
  database?: string
}): Promise<Findings> {
  const { root, history, before, database } = options
  const acknowledged = history.operations.filter(({ outcome }) => outcome === 'acknowledged').length
  const findings: Findings = {
    lost: [],
    torn: [],
    wrong: [],
    acknowledged: acknowledged + history.committed.size,
    contents: new Map(before),
  }
  const log = silentLogger()
  const storage = await openStorage({ root, clock: systemClock(), log, macKey: Buffer.alloc(32, 7), freeFloorBytes: 0 })
  try {
    if (!storage.listBuckets().some(({ name }) => name === bucket)) {
      if (acknowledged > 0) findings.lost.push('the bucket')
      return findings
    }
    await checkObjects(storage, history, findings)
    await checkListing(storage, root, findings)
    checkLeftovers(root, history, findings)
    await finishUploads(storage, history, findings)
    if (database !== undefined) await checkDatabase(storage, database, history, findings)
  } finally {
    await storage.close()
  }
  return findings
}

async function contentOf(storage: Storage, key: string): Promise<{ sha256: string | null; promised: string | null }> {
  try {
    const { info, body } = await storage.getObject({ bucket, key })
    const hash = createHash('sha256')
    for await (const chunk of body) hash.update(chunk as Buffer)
    const digest = hash.digest('hex')
    const { sha256: stored = digest, userMetadata } = info
    // What the object says of itself and what its uploader said of it must be the same.
    return { sha256: digest, promised: stored === userMetadata.sha256 ? stored : `${stored}/${userMetadata.sha256}` }
  } catch (error) {
    if ((error as { code?: string }).code === 'storage.no_such_key') return { sha256: null, promised: null }
    throw error
  }
}

async function checkObjects(storage: Storage, { operations }: History, findings: Findings): Promise<void> {
  const byKey = Map.groupBy(operations, ({ key }) => key)
  for (const [key, ofKey] of byKey) {
    const found = await contentOf(storage, key)
    const allowed = allowedContents(ofKey, findings.contents.get(key) ?? null)
    const isKnown =
      found.sha256 === null || ofKey.some((one) => one.sha256 === found.sha256) || allowed.has(found.sha256)
    if (!isKnown || found.promised !== found.sha256)
      findings.torn.push(`${key}: ${found.sha256} with the metadata ${found.promised}`)
    else if (!allowed.has(found.sha256)) findings.lost.push(`${key}: it is ${found.sha256}`)
    findings.contents.set(key, found.sha256)
  }
}

async function checkListing(storage: Storage, root: string, findings: Findings): Promise<void> {
  const listed = new Map<string, string>()
  for (let after: string | undefined; ;) {
    const page = await storage.listObjects({ bucket, limit: 50, ...(after === undefined ? {} : { after }) })
    for (const { key, etag, sizeBytes } of page.objects) {
      listed.set(key, etag)
      const info = headOf(storage, key)
      if (info?.etag !== etag || info.sizeBytes !== sizeBytes || info.isForeign)
        findings.wrong.push(`the listing and the object ${key} differ`)
    }
    if (page.next === undefined) break
    after = page.next
  }
  for (const key of filesBelow(join(root, bucket)))
    if (!listed.has(key)) findings.wrong.push(`${key} is a file and not listed`)
  for (const [key, content] of findings.contents)
    if (listed.has(key) !== (content !== null)) findings.wrong.push(`${key} is ${content === null ? '' : 'not '}listed`)
  const told = lastTold(storage.changes({ limit: 1_000_000 }).items)
  for (const [key, etag] of listed) if (told.get(key) !== etag) findings.wrong.push(`nobody was told of ${key}`)
  for (const [key, etag] of told)
    if (etag !== undefined && !listed.has(key)) findings.wrong.push(`nobody was told that ${key} has gone`)
}

function headOf(storage: Storage, key: string): ObjectInfo | undefined {
  try {
    return storage.headObject(bucket, key)
  } catch (error) {
    if ((error as { code?: string }).code === 'storage.no_such_key') return undefined
    throw error
  }
}

function lastTold(changes: readonly Pick<Change, 'type' | 'key' | 'etag'>[]): Map<string, string | undefined> {
  return new Map(changes.map(({ type, key, etag }) => [key, type === 'created' ? etag : undefined]))
}

function filesBelow(folder: string, base = ''): string[] {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) =>
    entry.isDirectory() ? filesBelow(join(folder, entry.name), `${base}${entry.name}/`) : [`${base}${entry.name}`],
  )
}

function checkLeftovers(root: string, { uploads }: History, findings: Findings): void {
  const workers = readdirSync(join(root, '.cygnet/tmp'))
  if (workers.length !== 1) findings.wrong.push(`temporary folders are left: ${workers.join(' ')}`)
  const [own] = workers
  const files = own === undefined ? [] : readdirSync(join(root, '.cygnet/tmp', own))
  if (files.some((name) => name !== 'worker.json')) findings.wrong.push(`temporary files are left: ${files.join(' ')}`)
  const present = new Set(readdirSync(join(root, '.cygnet/upload', bucket)))
  for (const { uploadId, state } of uploads) {
    if (state === 'ended' && present.has(uploadId)) findings.wrong.push(`an upload that has ended is left: ${uploadId}`)
    if (state === 'open' && !present.has(uploadId)) findings.lost.push(`an open upload: ${uploadId}`)
  }
}

/** Parts that were acknowledged are as safe as objects: an upload goes on after the cut. */
async function finishUploads(storage: Storage, { uploads }: History, findings: Findings): Promise<void> {
  for (const { uploadId, key, parts, state } of uploads) {
    if (state !== 'open') continue
    const address = { bucket, key, uploadId }
    const present = new Map((await storage.listParts(address)).parts.map((part) => [part.number, part]))
    const missing = [...parts].filter(([number, { etag }]) => present.get(number)?.etag !== etag)
    if (missing.length > 0) {
      findings.lost.push(`parts ${missing.map(([number]) => number).join(' ')} of ${uploadId}`)
      continue
    }
    const chosen = [...parts].toSorted(([one], [other]) => one - other)
    if (chosen.length === 0) {
      await storage.abortUpload(address)
      continue
    }
    const wanted = chosen.map(([number, { etag }]) => ({ number, etag }))
    try {
      await storage.completeUpload({ ...address, parts: wanted })
    } catch (error) {
      // A small part that is not the last one: of this upload nothing can be made.
      if ((error as { code?: string }).code !== 'storage.entity_too_small') throw error
      await storage.abortUpload(address)
      continue
    }
    const { body } = await storage.getObject({ bucket, key })
    const whole = Buffer.concat(await body.toArray())
    let at = 0
    for (const [number, { name, sizeBytes }] of chosen) {
      if (sha256(whole.subarray(at, at + sizeBytes)) !== name) findings.torn.push(`part ${number} of ${uploadId}`)
      at += sizeBytes
    }
    findings.contents.set(key, sha256(whole))
    // The name in its metadata is that of the whole it was once meant to be.
    const content = noise(uploadId, 10)
    await storage.putObject({
      bucket,
      key,
      body: (async function* () {
        yield content
      })(),
      userMetadata: { sha256: sha256(content) },
    })
    findings.contents.set(key, sha256(content))
  }
}

async function checkDatabase(storage: Storage, path: string, history: History, findings: Findings): Promise<void> {
  const database = await openDatabase({ url: `sqlite:${path}` })
  try {
    const { rows: checked } = await sql<{ integrity_check: string }>`pragma integrity_check`.execute(database.kysely)
    if (checked[0]?.integrity_check !== 'ok') findings.torn.push(`the database: ${JSON.stringify(checked[0])}`)
    await migrate(database, [storageMigrations])
    const numbersOf = async (query: ReturnType<typeof sql<{ id: string }>>) =>
      new Set((await query.execute(database.kysely)).rows.map(({ id }) => Number(id)))
    const facts = await numbersOf(sql`select subject as id from fact where kind = 'faults.counted'`)
    const jobs = await numbersOf(sql`select idempotency_key as id from background_job where kind = 'faults.counted'`)
    for (const id of history.committed) if (!facts.has(id)) findings.lost.push(`fact ${id}`)
    for (const id of new Set([...facts, ...jobs]))
      if (facts.has(id) !== jobs.has(id)) findings.torn.push(`transaction ${id}`)
    for (const id of history.committing) if (!facts.has(id) && jobs.has(id)) findings.torn.push(`transaction ${id}`)
    const follower = followStorageChanges({ storage, database, clock: systemClock(), log: silentLogger() })
    await follower.settled()
    await follower.close()
    const { rows } = await sql<{ kind: string; subject: string; data: string }>`
      select kind, subject, data from fact where kind like 'storage.object-%' order by sequence`.execute(
      database.kysely,
    )
    const told = lastTold(
      rows.map(({ kind, data }) => ({
        ...(JSON.parse(data) as { key: string; etag: string }),
        type: kind === 'storage.object-created' ? 'created' : 'deleted',
      })),
    )
    for (const [key, content] of findings.contents) {
      if (content === null ? told.get(key) !== undefined : told.get(key) !== headOf(storage, key)?.etag)
        findings.wrong.push(`the facts say something else of ${key}`)
    }
  } finally {
    await database.close()
  }
}
