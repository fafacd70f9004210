/**
 * What the OIDC provider keeps, in one table of ours. Ids and lookups are hashed and payloads sealed, because an id is
 * itself the secret (refresh token, device code): a copy of the database signs nobody in.
 */
import { errors, type Adapter, type AdapterPayload } from 'oidc-provider'
import { monotonicMsOf } from '../../foundation/time.ts'
import { platformOrigin } from '../audit.ts'
import type { Room } from '../room.ts'
import { hashOf } from '../seal.ts'
import type { IdentityTables } from '../tables.ts'
import { deviceEnded } from '../tokens/devices.ts'

type Row = IdentityTables['identity_oidc']

/** A device that asks again sooner than this is told to slow down; five seconds were agreed, and clocks are not perfect. */
const devicePollMs = 4000

/** Farther ahead, it was made by a clock that was wrong. */
const clockToleranceSeconds = 600

/** One adapter per model, as the provider asks for them. */
export function oidcDatabase(room: Room): (model: string) => Adapter {
  return (model) => {
    const lastPolls = new Map<string, number>()
    const rows = () => room.kysely.selectFrom('identity_oidc').selectAll().where('model', '=', model)

    function payloadOf(row: Row | undefined): AdapterPayload | undefined {
      if (row === undefined || (row.expires_at_ms !== null && row.expires_at_ms <= room.clock.nowMs())) return undefined
      const payload = JSON.parse(room.seal.open(row.sealed_payload, purposeOf(model, row.id_hash))) as AdapterPayload
      if (Number(payload.iat ?? 0) > room.clock.nowMs() / 1000 + clockToleranceSeconds) return undefined
      return row.consumed_at_ms === null ? payload : { ...payload, consumed: Math.floor(row.consumed_at_ms / 1000) }
    }

    function refuseHaste(idHash: string): void {
      const nowMs = monotonicMsOf(room.clock)
      const sinceMs = nowMs - (lastPolls.get(idHash) ?? -Infinity)
      for (const [code, atMs] of lastPolls) if (nowMs - atMs > devicePollMs) lastPolls.delete(code)
      lastPolls.set(idHash, nowMs)
      if (sinceMs < devicePollMs) throw new errors.SlowDown!('slow down, the interval is five seconds')
    }

    return {
      async upsert(id, payload, expiresInSeconds) {
        const idHash = hashOf(id)
        const values = {
          sealed_payload: room.seal.close(JSON.stringify(payload), purposeOf(model, idHash)),
          grant_hash: hashed(payload.grantId),
          user_code_hash: hashed(payload.userCode),
          uid_hash: hashed(payload.uid),
          account_id: payload.accountId ?? null,
          expires_at_ms: expiresInSeconds === undefined ? null : room.clock.nowMs() + expiresInSeconds * 1000,
        }
        await room.kysely
          .insertInto('identity_oidc')
          .values({ model, id_hash: idHash, consumed_at_ms: null, ...values })
          .onConflict((conflict) => conflict.columns(['model', 'id_hash']).doUpdateSet(values))
          .execute()
      },
      async find(id) {
        const payload = payloadOf(await rows().where('id_hash', '=', hashOf(id)).executeTakeFirst())
        if (model === 'DeviceCode' && payload !== undefined) refuseHaste(hashOf(id))
        return payload
      },
      async findByUserCode(userCode) {
        return payloadOf(await rows().where('user_code_hash', '=', hashOf(userCode)).executeTakeFirst())
      },
      async findByUid(uid) {
        return payloadOf(await rows().where('uid_hash', '=', hashOf(uid)).executeTakeFirst())
      },
      async consume(id) {
        // Two requests with one code at the same moment: the row decides which was first.
        const consumed = await room.kysely
          .updateTable('identity_oidc')
          .set({ consumed_at_ms: room.clock.nowMs() })
          .where('model', '=', model)
          .where('id_hash', '=', hashOf(id))
          .where('consumed_at_ms', 'is', null)
          .returning('model')
          .executeTakeFirst()
        if (consumed === undefined) throw new errors.InvalidGrant('already used')
      },
      async destroy(id) {
        await room.kysely
          .deleteFrom('identity_oidc')
          .where('model', '=', model)
          .where('id_hash', '=', hashOf(id))
          .execute()
      },
      async revokeByGrantId(grantId) {
        if (model === 'RefreshToken') await deviceEnded(room, grantId, platformOrigin)
        await room.kysely
          .deleteFrom('identity_oidc')
          .where('model', '=', model)
          .where('grant_hash', '=', hashOf(grantId))
          .execute()
      },
    }
  }
}

function purposeOf(model: string, idHash: string): string {
  return `oidc.${model}.${idHash}`
}

function hashed(value: string | undefined): string | null {
  return value === undefined ? null : hashOf(value)
}
