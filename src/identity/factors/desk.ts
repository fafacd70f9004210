/** Where what was proved becomes a session, or makes the proof of one fresh. */
import type { FastifyRequest } from 'fastify'
import { transact } from '../../foundation/database.ts'
import type { Origin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import { addressOf } from '../gate.ts'
import type { Room } from '../room.ts'
import { createSecretLimit } from '../rate-limit.ts'
import { startBrowserSession, type BrowserSession, type SignInProof } from '../sign-in.ts'
import { ownTables, type IdentityTables, type IdentityTransaction } from '../tables.ts'
import { adminProofMs } from './contract.ts'
import { foldedName, personNamed } from './names.ts'
import {
  checkPassword,
  spendPassword,
  wrongFactors,
  type CheckedPassword,
  type PasswordParts,
} from './password-sign-in.ts'
import { markPasskeyUsed, verifyPasskey, type PasskeyAnswer, type VerifiedPasskey } from './passkeys.ts'
import { hasSecondFactor } from './proof.ts'
import { recoveryCodesLeft } from './recovery-codes.ts'

type PersonRow = IdentityTables['identity_subject']
interface SignedIn {
  person: PersonRow
  session: BrowserSession
  recoveryCodesLeft?: number
}
interface Asking {
  sessionId: string
  origin: Origin
}

export interface FactorDesk {
  /** @throws Fault identity.passkey_refused */
  byPasskey(answer: PasskeyAnswer, boundTo: string, request: FastifyRequest): Promise<SignedIn>
  /** @throws Fault identity.wrong_factors, identity.too_many_attempts, identity.sign_in_busy */
  byPassword(given: { name: string; password: string; code: string }, request: FastifyRequest): Promise<SignedIn>
  /** The moment from which on the session counts as freshly proved by two factors. */
  proveByPasskey(given: { response: PasskeyAnswer; forCommandLine: boolean }, asking: Asking): Promise<number>
  proveByPassword(given: { password: string; code: string; forCommandLine: boolean }, asking: Asking): Promise<number>
  /** After a new factor: whoever has two now has just shown both, and a recovery link has served its purpose. */
  enrolled(
    trx: IdentityTransaction,
    session: { sessionId: string; personId: string; method: SignInProof['method'] },
  ): Promise<void>
}

export function createFactorDesk({ room, hasher, attempts }: PasswordParts): FactorDesk {
  const passkeyTries = createSecretLimit(room.clock)

  async function refused(method: string, origin: Pick<Origin, 'address' | 'requestId'>, target = '-'): Promise<void> {
    const actor = { id: 'anonymous', kind: 'anonymous', name: 'anonymous' }
    await room.audit(room.kysely, { actor, ...origin }, { action: 'sign-in-refused', target, detail: { method } })
  }

  async function open(
    trx: IdentityTransaction,
    person: PersonRow,
    request: FastifyRequest,
    { proof, method }: { proof: SignInProof; method: string },
  ): Promise<BrowserSession> {
    const userAgent = request.headers['user-agent'] ?? ''
    const address = addressOf(request)
    const session = await startBrowserSession(room, trx, person.id, { address, userAgent, proof })
    await room.audit(trx, originOfPerson(person, request), {
      action: 'sign-in',
      target: person.id,
      detail: { method },
    })
    return session
  }

  async function acceptPasskey<Result>(
    verified: VerifiedPasskey,
    origin: Origin,
    work: (trx: IdentityTransaction) => Promise<Result>,
  ): Promise<Result> {
    // Committed also when it was a copy: then it is refused from now on, and the Fault comes after.
    const result = await room.change(async (trx) =>
      (await markPasskeyUsed(room, trx, verified, origin)) ? { of: await work(trx) } : undefined,
    )
    if (result !== undefined) return result.of
    throw identityFaults.passkeyRefused('This passkey was not accepted.', {
      hint: 'Try again; if it stays so, use another passkey, or password and code.',
    })
  }

  async function markProved(
    trx: IdentityTransaction,
    { sessionId, origin }: Asking,
    { method, forCommandLine }: { method: string; forCommandLine: boolean },
  ): Promise<number> {
    const nowMs = room.clock.nowMs()
    await trx
      .updateTable('identity_browser_session')
      .set({
        proved_at_ms: nowMs,
        two_factors_at_ms: nowMs,
        ...(forCommandLine && { lends_proof_until_ms: nowMs + adminProofMs }),
      })
      .where('id', '=', sessionId)
      .execute()
    await room.audit(trx, origin, { action: 'proved', target: origin.actor.id, detail: { method, forCommandLine } })
    return nowMs
  }

  return {
    async byPasskey(answer, boundTo, request) {
      const from = { address: addressOf(request), requestId: request.id }
      return await passkeyTries.attempt(
        from.address,
        async () => {
          const verified = await verifyPasskey(room, answer, { purpose: 'sign-in', boundTo })
          const person = await ownerOf(room, verified)
          return await acceptPasskey(verified, originOfPerson(person, request), async (trx) => ({
            person,
            session: await open(trx, person, request, {
              method: 'passkey',
              proof: { method: 'passkey', twoFactors: true },
            }),
          }))
        },
        () => refused('passkey', from),
      )
    },

    async byPassword({ name, password, code }, request) {
      const from = { address: addressOf(request), requestId: request.id }
      const person = await personNamed(room.kysely, name)
      const known = person !== undefined && maySignIn(person) ? person : undefined
      const work = async (): Promise<SignedIn> => {
        const checked = await checkPassword(
          { room, hasher, attempts },
          { person: known, password, code, address: from.address },
        )
        return await transact(room.database, async (anyTrx) => {
          const trx = ownTables(anyTrx)
          await spendPassword(room, trx, checked, originOfPerson(checked.person, request))
          const session = await open(trx, checked.person, request, { ...waysOf(checked) })
          const left = 'recoveryCode' in checked.uses ? await recoveryCodesLeft(trx, checked.person.id) : undefined
          return { person: checked.person, session, ...(left && { recoveryCodesLeft: left.left }) }
        })
      }
      const typed = foldedName(name) ?? name
      return await attempts.attempt({ address: from.address, name: typed }, work, () =>
        refused('password', from, person?.id),
      )
    },

    async proveByPasskey({ response, forCommandLine }, asking) {
      const { sessionId, origin } = asking
      const verified = await verifyPasskey(room, response, { purpose: 'proof', boundTo: sessionId })
      if (verified.passkey.person_id !== origin.actor.id)
        throw identityFaults.passkeyRefused('This passkey is not yours.', { hint: 'Use one of your own.' })
      return await acceptPasskey(verified, origin, (trx) =>
        markProved(trx, asking, { method: 'passkey', forCommandLine }),
      )
    },

    async proveByPassword({ password, code, forCommandLine }, asking) {
      const { address, actor } = asking.origin
      const person = await room.kysely
        .selectFrom('identity_subject')
        .selectAll()
        .where('id', '=', actor.id)
        .executeTakeFirstOrThrow()
      return await attempts.attempt(
        { address, name: person.name },
        async () => {
          const checked = await checkPassword({ room, hasher, attempts }, { person, password, code, address })
          if (!checked.twoFactors) throw wrongFactors()
          return await room.change(async (trx) => {
            await spendPassword(room, trx, checked, asking.origin)
            return await markProved(trx, asking, { method: 'password', forCommandLine })
          })
        },
        () => refused('password', asking.origin, person.id),
      )
    },

    async enrolled(trx, { sessionId, personId, method }) {
      if (!(await hasSecondFactor(trx, personId))) return
      const nowMs = room.clock.nowMs()
      const session = () => trx.updateTable('identity_browser_session').where('id', '=', sessionId)
      await session().set({ proved_at_ms: nowMs, two_factors_at_ms: nowMs }).execute()
      await session().where('method', '=', 'recovery').set({ method }).execute()
    },
  }
}

function waysOf({ twoFactors, uses }: CheckedPassword): { proof: SignInProof; method: string } {
  if (!twoFactors) return { proof: { method: 'recovery' }, method: 'recovery code' }
  const method = 'step' in uses ? 'password and code' : 'password and recovery code'
  return { proof: { method: 'password', twoFactors: true }, method }
}

async function ownerOf(room: Room, { passkey }: VerifiedPasskey): Promise<PersonRow> {
  const person = await room.kysely
    .selectFrom('identity_subject')
    .selectAll()
    .where('id', '=', passkey.person_id)
    .executeTakeFirst()
  if (person !== undefined && maySignIn(person)) return person
  throw identityFaults.passkeyRefused('This passkey was not accepted.', {
    hint: 'Your account may be suspended: ask whoever invited you.',
  })
}

function maySignIn({ kind, state }: PersonRow): boolean {
  return kind === 'person' && (state === 'active' || state === 'grace')
}

function originOfPerson(person: PersonRow, request: FastifyRequest): Origin {
  const actor = { id: person.id, kind: 'person', name: person.name }
  return { actor, address: addressOf(request), requestId: request.id }
}
