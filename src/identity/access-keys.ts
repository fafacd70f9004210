/** S3 access keys, and the machines that hold create-only ones. The secret is shown once and lies sealed. */
import { randomBytes } from 'node:crypto'
import type { z } from 'zod'
import { actionSchema, nameSchema, type Action } from '../foundation/contract.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Origin } from './audit.ts'
import type { accessKeySchema, clientSchema, newAccessKeySchema } from './contract.ts'
import { isInsidePrefix, personOnlyActions } from './decide.ts'
import { parseCapability } from './decisions/capability.ts'
import { limitsOf } from './directory.ts'
import { identityFaults } from './errors.ts'
import { bumpEpoch, requireSubject } from './people.ts'
import type { Room } from './room.ts'
import type { Capability, Limits } from './subject.ts'
import type { IdentityTables, IdentityTransaction } from './tables.ts'

export type AccessKey = z.infer<typeof accessKeySchema>
export type NewAccessKey = z.infer<typeof newAccessKeySchema>
export type Client = z.infer<typeof clientSchema>

export interface AccessKeyRequest {
  /** Person or client the key acts for. */
  subjectId: string
  label?: string
  limits?: {
    actions?: readonly string[] | undefined
    prefix?: string | undefined
    experiment?: string | undefined
    capabilities?: readonly { action: string; place?: string | undefined }[] | undefined
  }
  /** Absent: until revoked. */
  lifetimeMs?: number | undefined
  /** The key belongs to a session or job of the person: it must then name its actions. */
  actor?: { kind: 'session' | 'job'; id: string }
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567'

/** 'CYG' and 17 letters or digits: 85 random bits, a name and not a secret. */
function newAccessKeyId(): string {
  return `CYG${Array.from(randomBytes(17), (byte) => alphabet[byte & 31]).join('')}`
}

/**
 * Makes a key in the caller's transaction.
 * @throws Fault identity.invalid_limits, identity.no_such_person
 */
export async function createAccessKey(
  room: Room,
  trx: IdentityTransaction,
  request: AccessKeyRequest,
  origin: Origin,
): Promise<NewAccessKey> {
  const owner = await requireOwner(trx, request.subjectId)
  const asked = checkedLimits(request.limits ?? {})
  const limits = owner.kind === 'client' ? withinClient(asked, owner.experiment ?? '') : asked
  if (request.actor !== undefined && limits.actions === undefined) {
    throw identityFaults.invalidLimits('A key of a session or job must name its actions.')
  }
  const accessKeyId = newAccessKeyId()
  const secretAccessKey = randomBytes(30).toString('base64url')
  const createdAtMs = room.clock.nowMs()
  const row: IdentityTables['identity_access_key'] = {
    access_key_id: accessKeyId,
    subject_id: owner.id,
    sealed_secret: room.seal.close(secretAccessKey, `access-key.${accessKeyId}`),
    label: request.label ?? '',
    limits: JSON.stringify(limits),
    actor_kind: request.actor?.kind ?? null,
    actor_id: request.actor?.id ?? null,
    created_at_ms: createdAtMs,
    expires_at_ms: request.lifetimeMs === undefined ? null : createdAtMs + request.lifetimeMs,
    revoked_at_ms: null,
    kind: 'key',
    session_token_hash: null,
    epoch: null,
    source: null,
  }
  await trx.insertInto('identity_access_key').values(row).execute()
  const detail = { subjectId: owner.id, label: row.label, limits, actor: request.actor }
  await room.audit(trx, origin, {
    action: 'access-key-created',
    target: accessKeyId,
    experiment: owner.experiment ?? undefined,
    detail,
  })
  await room.changed(trx, owner.id, 'access-key-created')
  return { ...accessKeyOf(row, owner.name), secretAccessKey }
}

/** Keys of people and clients as such; those of sessions and jobs come and go with them and are not listed. */
export async function listAccessKeys(
  room: Room,
  { subjectId, limit, cursor }: { subjectId: string; limit: number; cursor?: string | undefined },
): Promise<{ items: AccessKey[]; nextCursor: string | null }> {
  const owner = await requireOwner(room.kysely, subjectId)
  let query = room.kysely
    .selectFrom('identity_access_key')
    .selectAll()
    .where('subject_id', '=', subjectId)
    .where('revoked_at_ms', 'is', null)
    .where('actor_kind', 'is', null)
    .where('kind', '=', 'key')
    .orderBy('access_key_id')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('access_key_id', '>', cursor)
  const rows = await query.execute()
  const items = rows.slice(0, limit).map((row) => accessKeyOf(row, owner.name))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.accessKeyId : null }
}

/** Row of a key that is not revoked. @throws Fault identity.no_such_access_key */
export async function requireAccessKey(
  room: Room,
  accessKeyId: string,
): Promise<IdentityTables['identity_access_key']> {
  const row = await room.kysely
    .selectFrom('identity_access_key')
    .selectAll()
    .where('access_key_id', '=', accessKeyId)
    .where('revoked_at_ms', 'is', null)
    .executeTakeFirst()
  if (row === undefined) throw identityFaults.noSuchAccessKey('There is no such access key, or it is already revoked.')
  return row
}

export async function revokeAccessKey(
  room: Room,
  trx: IdentityTransaction,
  accessKeyId: string,
  origin: Origin,
): Promise<void> {
  await revokeWhere(room, trx, { accessKeyId }, origin)
}

/** Ends all keys of a session or job, idempotently. */
export async function revokeAccessKeysOfActor(
  room: Room,
  trx: IdentityTransaction,
  actorId: string,
  origin: Origin,
): Promise<void> {
  await revokeWhere(room, trx, { actorId }, origin)
}

async function revokeWhere(
  room: Room,
  trx: IdentityTransaction,
  which: { accessKeyId?: string; actorId?: string; subjectId?: string },
  origin: Origin,
): Promise<void> {
  let update = trx
    .updateTable('identity_access_key')
    .set({ revoked_at_ms: room.clock.nowMs() })
    .where('revoked_at_ms', 'is', null)
  if (which.accessKeyId !== undefined) update = update.where('access_key_id', '=', which.accessKeyId)
  else if (which.actorId !== undefined) update = update.where('actor_id', '=', which.actorId)
  else update = update.where('subject_id', '=', which.subjectId ?? '')
  const revoked = await update.returning(['access_key_id', 'subject_id']).execute()
  for (const row of revoked) {
    const detail = { subjectId: row.subject_id }
    await room.audit(trx, origin, { action: 'access-key-revoked', target: row.access_key_id, detail })
    await room.changed(trx, row.subject_id, 'access-key-revoked')
  }
}

/** What a DAQ machine may do with its key, and nothing else: put new objects below the raw bucket, report its runs. */
export function daqLimits(experiment: string): Limits {
  return { actions: ['data.create', 'daq.write'], prefix: `${experiment}-raw/`, experiment }
}

/** A machine's key never reaches beyond `daqLimits`, whatever was asked. */
function withinClient(asked: Limits, experiment: string): Limits {
  const most = daqLimits(experiment)
  const [bucket = '', ...rest] = (asked.prefix ?? most.prefix ?? '').split('/')
  if (asked.experiment !== undefined && asked.experiment !== experiment) {
    throw identityFaults.invalidLimits(`This machine belongs to ${experiment}.`)
  }
  if (!isInsidePrefix(most.prefix ?? '', bucket, rest.join('/'))) {
    throw identityFaults.invalidLimits(`A machine of ${experiment} only writes below ${most.prefix}.`)
  }
  const actions = (most.actions ?? []).filter((action) => asked.actions?.includes(action) ?? true)
  return {
    ...most,
    actions,
    ...(asked.prefix === undefined ? {} : { prefix: asked.prefix }),
    ...(asked.capabilities === undefined ? {} : { capabilities: asked.capabilities }),
  }
}

/** @throws Fault identity.name_taken */
export async function registerClient(
  room: Room,
  trx: IdentityTransaction,
  { experiment, name }: { experiment: string; name: string },
  origin: Origin,
): Promise<{ client: Client; accessKey: NewAccessKey }> {
  const nowMs = room.clock.nowMs()
  const id = uuid7(nowMs)
  const inserted = await trx
    .insertInto('identity_subject')
    .values({
      id,
      kind: 'client',
      name: `${experiment}/${name}`,
      display_name: name,
      state: 'active',
      epoch: 1,
      site_admin: 0,
      experiment,
      created_at_ms: nowMs,
      created_by: origin.actor.id,
    })
    .onConflict((conflict) => conflict.columns(['kind', 'name']).doNothing())
    .returning('id')
    .executeTakeFirst()
  if (inserted === undefined) {
    throw identityFaults.nameTaken(`${experiment} already has, or had, a machine named '${name}'.`, {
      hint: 'Choose another name, or make a new key for it.',
    })
  }
  await room.audit(trx, origin, { action: 'client-registered', target: id, experiment, detail: { name } })
  const request = { subjectId: id, label: 'DAQ', limits: daqLimits(experiment) }
  const accessKey = await createAccessKey(room, trx, request, origin)
  const client: Client = {
    id,
    name,
    experiment,
    state: 'active',
    createdAtMs: nowMs,
    accessKeyIds: [accessKey.accessKeyId],
  }
  return { client, accessKey }
}

export async function listClients(
  room: Room,
  { experiment, limit, cursor }: { experiment: string; limit: number; cursor?: string | undefined },
): Promise<{ items: Client[]; nextCursor: string | null }> {
  let query = room.kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where('kind', '=', 'client')
    .where('experiment', '=', experiment)
    .orderBy('name')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('display_name', '>', cursor)
  const rows = await query.execute()
  const keys =
    rows.length === 0
      ? []
      : await room.kysely
          .selectFrom('identity_access_key')
          .select(['access_key_id', 'subject_id'])
          .where(
            'subject_id',
            'in',
            rows.map((row) => row.id),
          )
          .where('revoked_at_ms', 'is', null)
          .execute()
  const items = rows.slice(0, limit).map((row) => ({
    id: row.id,
    name: row.display_name,
    experiment,
    state: row.state === 'active' ? ('active' as const) : ('suspended' as const),
    createdAtMs: row.created_at_ms,
    accessKeyIds: keys.filter((key) => key.subject_id === row.id).map((key) => key.access_key_id),
  }))
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.name : null }
}

export async function revokeClient(
  room: Room,
  trx: IdentityTransaction,
  clientId: string,
  origin: Origin,
): Promise<void> {
  const client = await requireSubject(trx, clientId, 'client')
  await trx.updateTable('identity_subject').set({ state: 'suspended' }).where('id', '=', clientId).execute()
  await revokeWhere(room, trx, { subjectId: clientId }, origin)
  await bumpEpoch(room, trx, clientId, 'suspended')
  const experiment = client.experiment ?? undefined
  await room.audit(trx, origin, {
    action: 'client-revoked',
    target: clientId,
    experiment,
    detail: { name: client.display_name },
  })
}

async function requireOwner(
  kysely: Room['kysely'] | IdentityTransaction,
  subjectId: string,
): Promise<IdentityTables['identity_subject']> {
  const row = await kysely.selectFrom('identity_subject').selectAll().where('id', '=', subjectId).executeTakeFirst()
  if (row === undefined) throw identityFaults.noSuchPerson(`There is no person or client with the id '${subjectId}'.`)
  return row
}

function checkedLimits({ actions, prefix, experiment, capabilities }: NonNullable<AccessKeyRequest['limits']>): Limits {
  const parsed = actions?.map((action): Action => {
    const known = actionSchema.safeParse(action)
    if (!known.success) throw identityFaults.invalidLimits(`There is no action '${action}'.`)
    if (personOnlyActions.has(known.data)) throw identityFaults.invalidLimits(`An access key can never ${known.data}.`)
    return known.data
  })
  if (experiment !== undefined && !nameSchema.safeParse(experiment).success) {
    throw identityFaults.invalidLimits(`'${experiment}' is not the name of an experiment.`)
  }
  if (prefix !== undefined && !/^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](\/|$)/.test(prefix)) {
    throw identityFaults.invalidLimits(`'${prefix}' is not a bucket or bucket/prefix.`)
  }
  if (prefix?.split('/').some((segment) => segment === '.' || segment === '..')) {
    throw identityFaults.invalidLimits('A prefix has no dot segments.')
  }
  return {
    ...(parsed === undefined ? {} : { actions: parsed }),
    ...(prefix === undefined ? {} : { prefix }),
    ...(experiment === undefined ? {} : { experiment }),
    ...(capabilities === undefined ? {} : { capabilities: capabilities.map(checkedCapability) }),
  }
}

function checkedCapability({ action, place }: { action: string; place?: string | undefined }): Capability {
  const text = place === undefined ? action : `${action}:/${place}`
  const known = parseCapability(text)
  if (known === undefined) throw identityFaults.invalidLimits(`'${text}' is not a capability.`)
  if (personOnlyActions.has(known.action))
    throw identityFaults.invalidLimits(`An access key can never ${known.action}.`)
  return known
}

function accessKeyOf(row: IdentityTables['identity_access_key'], subjectName: string): AccessKey {
  return {
    accessKeyId: row.access_key_id,
    subjectId: row.subject_id,
    subjectName,
    label: row.label,
    limits: limitsOf(row.limits),
    createdAtMs: row.created_at_ms,
    expiresAtMs: row.expires_at_ms,
  }
}
