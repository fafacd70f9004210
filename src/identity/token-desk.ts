/** Where secrets are exchanged for sessions and tokens. */
import type { z } from 'zod'
import { actions } from '../foundation/contract.ts'
import { transact } from '../foundation/database.ts'
import { uuid7 } from '../foundation/ids.ts'
import type { Origin } from './audit.ts'
import type { tokenSchema } from './contract.ts'
import { identityFaults } from './errors.ts'
import { commandLineClient } from './oidc-settings.ts'
import type { Oidc } from './oidc.ts'
import type { Room } from './room.ts'
import { sameSecret } from './seal.ts'
import { consumeCode, startBrowserSession, type BrowserSession } from './sign-in.ts'
import type { Signer } from './signer.ts'
import { subjectOfAccessKey, type IdentitySnapshot } from './snapshot.ts'
import { ownTables, type CodePurpose, type IdentityTables, type IdentityTransaction } from './tables.ts'

export const accessTokenLifetimeMs = 3_600_000

type Token = z.infer<typeof tokenSchema>
type From = Pick<Origin, 'address' | 'requestId'>
type PersonRow = IdentityTables['identity_subject']

export interface TokenDesk {
  /** @throws Fault identity.invalid_code */
  redeem(code: string, from: From & { userAgent: string }): Promise<{ person: PersonRow; session: BrowserSession }>
  /** @throws Fault identity.invalid_code */
  tokenForCode(code: string, from: From): Promise<Token>
  /** A row for a wrong secret: what was tried, never the secret. */
  recordRefusal(method: string, from: From, target?: string): Promise<void>
  /** @throws Fault identity.wrong_access_key */
  tokenForAccessKey(key: { accessKeyId: string; secretAccessKey: string }, from: From): Promise<Token>
}

export function createTokenDesk(parts: {
  room: Room
  oidc: Oidc
  signer: Signer
  snapshot: () => IdentitySnapshot
}): TokenDesk {
  const { room, oidc, signer, snapshot } = parts

  function signedToken(claims: Record<string, unknown>, lifetimeMs: number): Token {
    const jti = uuid7(room.clock.nowMs())
    const fixed = { aud: snapshot().audience, jti, 'wlcg.ver': '1.0', lifetimeMs }
    return {
      accessToken: signer.token({ ...fixed, ...claims }, 'at+jwt'),
      tokenType: 'Bearer',
      expiresAtMs: (Math.floor(room.clock.nowMs() / 1000) + Math.floor(lifetimeMs / 1000)) * 1000,
    }
  }

  /** What the code's owner does with it; the use of the code is rolled back with everything else if that fails. */
  async function withCode<Result>(
    code: string,
    method: string,
    from: From,
    work: (trx: IdentityTransaction, person: PersonRow, purpose: CodePurpose) => Promise<Result>,
  ): Promise<Result> {
    return await transact(room.database, async (anyTrx) => {
      const trx = ownTables(anyTrx)
      const { person, purpose } = await consumeCode(room, trx, code)
      const origin = { actor: { id: person.id, kind: 'person', name: person.name }, ...from }
      await room.audit(trx, origin, { action: 'sign-in', target: person.id, detail: { method } })
      return await work(trx, person, purpose)
    })
  }

  return {
    async recordRefusal(method, from, target = '-') {
      const origin = { actor: { id: 'anonymous', kind: 'anonymous', name: 'anonymous' }, ...from }
      await room.audit(room.kysely, origin, { action: 'sign-in-refused', target, detail: { method } })
    },

    async redeem(code, { userAgent, ...from }) {
      return await withCode(code, 'one-time code', from, async (trx, person, purpose) => ({
        person,
        session: await startBrowserSession(room, trx, person.id, {
          address: from.address,
          userAgent,
          // Who can print a link on the machine itself has already shown more than any second factor.
          proof: { method: purpose === 'recovery' ? 'recovery' : 'link', twoFactors: purpose === 'root' },
        }),
      }))
    },

    async tokenForCode(code, from) {
      const person = await withCode(code, 'one-time code, command line', from, async (_trx, row, purpose) => {
        if (purpose !== 'recovery') return row
        throw identityFaults.browserOnly('This link is for the browser.', {
          hint: 'Open it there and make a new passkey or password.',
        })
      })
      const claims = {
        sub: person.id,
        client_id: commandLineClient,
        scope: 'api',
        epoch: person.epoch,
        cygnet: { kind: 'person' },
      }
      const refreshToken = await oidc.issueRefreshToken(person.id, from.address)
      return { ...signedToken(claims, accessTokenLifetimeMs), refreshToken }
    },

    async tokenForAccessKey({ accessKeyId, secretAccessKey }, from) {
      const key = subjectOfAccessKey(snapshot(), accessKeyId, room.clock.nowMs())
      // Keys of STS were made from a token: they are for S3 and become none again.
      if (!sameSecret(secretAccessKey, key?.secret ?? '') || key === undefined || key.sessionTokenHash !== undefined) {
        throw identityFaults.wrongAccessKey('The access key or its secret is not right, or the key has been revoked.', {
          hint: 'Make a new key: cygnet credentials create.',
        })
      }
      const { subject } = key
      const origin = { actor: { id: subject.id, kind: subject.kind, name: subject.name }, ...from }
      await room.audit(room.kysely, origin, {
        action: 'token-issued',
        target: accessKeyId,
        detail: { method: 'access key' },
      })
      const allowed = subject.limits?.actions ?? []
      const expiresAtMs = snapshot().accessKeys[accessKeyId]?.expiresAtMs ?? Infinity
      return signedToken(
        {
          sub: subject.id,
          client_id: accessKeyId,
          scope: actions.filter((action) => allowed.includes(action)).join(' '),
          epoch: subject.epoch,
          ...(subject.actorId === undefined ? {} : { act: { sub: `${subject.kind}:${subject.actorId}` } }),
          cygnet: { kind: subject.kind, accessKeyId },
        },
        Math.min(accessTokenLifetimeMs, expiresAtMs - room.clock.nowMs()),
      )
    },
  }
}
