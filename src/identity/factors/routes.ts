/** Binds the contract of this area to its functions: who may, how fresh the proof is, and what becomes of the session. */
import type { Handlers, RequestContext } from '../../foundation/http.ts'
import { randomToken } from '../../foundation/ids.ts'
import { requireBrowser, requireFresh, requirePersonInBrowser, requireWholePerson } from '../authority.ts'
import { decide } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { addressOf, credentialOf, originOf, refuseOtherOrigin, sessionCookie, subjectOfCaller } from '../gate.ts'
import { accountOf } from '../invitations/accounts.ts'
import type { FactorChange } from '../invitations/mail-words.ts'
import { mailPerson } from '../invitations/outbox.ts'
import { requireSubject } from '../people.ts'
import { createRateLimit } from '../rate-limit.ts'
import type { RouteParts } from '../routes.ts'
import type { IdentityTransaction } from '../tables.ts'
import { createSignInAttempts } from './attempts.ts'
import { confirmAuthenticator, startAuthenticator } from './authenticator.ts'
import { challengeCookie, challengeCookieOf } from './challenge-cookie.ts'
import { adminProofMs, ownProofMs, type factorRoutes } from './contract.ts'
import { createFactorDesk } from './desk.ts'
import { addAlias, aliasesOf, foldedName, personNamed, removeAlias } from './names.ts'
import { createPasswordHasher } from './password-hash.ts'
import { removePassword, requireGoodPassword, setPassword } from './passwords.ts'
import {
  addPasskey,
  newPasskeyQuestion,
  passkeyQuestion,
  removePasskey,
  renamePasskey,
  verifyNewPasskey,
} from './passkeys.ts'
import { createRecoveryCodes } from './recovery-codes.ts'
import { recoverPerson, requireMayRecover } from './recover.ts'
import { relyingPartyOf } from './relying-party.ts'
import { factorsOf, requireOtherWay } from './ways.ts'

export function factorHandlers(parts: RouteParts): Handlers<typeof factorRoutes> {
  const { room, snapshot } = parts
  const { clock, kysely, publicUrl } = room
  const hasher = createPasswordHasher()
  const attempts = createSignInAttempts(clock)
  const questions = createRateLimit({ clock, burst: 30, perMinute: 30 })
  const desk = createFactorDesk({ room, hasher, attempts })

  /** One's own factors: in the browser, freshly proved by two factors once there are any. */
  function requireOwner({ caller }: RequestContext): { sessionId: string; personId: string } {
    const { sessionId, proof } = requireBrowser(caller)
    if (!proof.recovering) requireFresh(caller, { withinMs: ownProofMs, twoFactors: true })
    return { sessionId, personId: caller.id }
  }

  /** By mail, if an address of his is known: so that he notices what somebody else does with his session. */
  async function tellOwner(trx: IdentityTransaction, personId: string, what: FactorChange, label = ''): Promise<void> {
    const { name } = await requireSubject(trx, personId, 'person')
    const data = { what, label, account: name, url: `${publicUrl}/me` }
    await mailPerson(room, trx, personId, { template: 'factors-changed', data })
  }

  return {
    async startPasskeySignIn(_request, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      questions.take(addressOf(request))
      const boundTo = randomToken(32)
      const question = await passkeyQuestion(room, { purpose: 'sign-in', boundTo })
      reply.header('set-cookie', challengeCookie(publicUrl, boundTo))
      return question
    },

    async signInWithPasskey({ body }, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      const boundTo = challengeCookieOf(publicUrl, request.headers.cookie)
      const { session, person } = await desk.byPasskey(body.response, boundTo ?? '', request)
      reply.header('set-cookie', [
        sessionCookie(publicUrl, session.token, session.expiresAtMs - clock.nowMs()),
        challengeCookie(publicUrl, ''),
      ])
      return { name: person.name, expiresAtMs: session.expiresAtMs }
    },

    async signInWithPassword({ body }, { request, reply }) {
      refuseOtherOrigin(request, publicUrl)
      const { session, person, recoveryCodesLeft } = await desk.byPassword(body, request)
      reply.header('set-cookie', sessionCookie(publicUrl, session.token, session.expiresAtMs - clock.nowMs()))
      return {
        name: person.name,
        expiresAtMs: session.expiresAtMs,
        ...(recoveryCodesLeft === undefined ? {} : { recoveryCodesLeft }),
      }
    },

    async listFactors(_request, { caller }) {
      const credential = credentialOf(caller)
      if (credential.by !== 'browser-session') requireWholePerson(caller)
      return { ...(await factorsOf(room, caller.id)), passkeysPossible: relyingPartyOf(publicUrl) !== undefined }
    },

    async startProof(_request, { caller, request }) {
      const { sessionId } = requirePersonInBrowser(caller)
      questions.take(addressOf(request))
      return await passkeyQuestion(room, { purpose: 'proof', boundTo: sessionId }, { personId: caller.id })
    },

    async prove({ body }, { caller, request }) {
      const { sessionId } = requirePersonInBrowser(caller)
      const origin = originOf(caller, request)
      const provedAtMs =
        'response' in body
          ? await desk.proveByPasskey(body, { sessionId, origin })
          : await desk.proveByPassword(body, { sessionId, origin })
      return { provedAtMs }
    },

    async startPasskey(_request, context) {
      const { sessionId, personId } = requireOwner(context)
      const { name, display_name: displayName } = await requireSubject(kysely, personId, 'person')
      questions.take(addressOf(context.request))
      return await newPasskeyQuestion(room, { boundTo: sessionId, personId, name, displayName })
    },

    async addPasskey({ body }, context) {
      const { sessionId, personId } = requireOwner(context)
      const passkey = await verifyNewPasskey(room, body.response, sessionId)
      const origin = originOf(context.caller, context.request)
      return await room.change(async (trx) => {
        const added = await addPasskey(room, trx, { personId, label: body.label, passkey }, origin)
        await desk.enrolled(trx, { sessionId, personId, method: 'passkey' })
        await tellOwner(trx, personId, 'passkey-added', added.label)
        return added
      })
    },

    async renamePasskey({ params, body }, context) {
      const { personId } = requireOwner(context)
      const renamed = { personId, passkeyId: params.passkey, label: body.label }
      return await room.change((trx) => renamePasskey(room, trx, renamed, originOf(context.caller, context.request)))
    },

    async removePasskey({ params }, context) {
      const { personId } = requireOwner(context)
      await room.change(async (trx) => {
        await requireOtherWay(trx, personId, { passkey: params.passkey })
        const origin = originOf(context.caller, context.request)
        const label = await removePasskey(room, trx, { personId, passkeyId: params.passkey }, origin)
        await tellOwner(trx, personId, 'passkey-removed', label)
      })
      return { removed: true }
    },

    async setPassword({ body }, context) {
      const { sessionId, personId } = requireOwner(context)
      await requireGoodPassword(room, personId, body.password)
      const hash = await hasher.hash(body.password)
      await room.change(async (trx) => {
        await setPassword(room, trx, { personId, hash }, originOf(context.caller, context.request))
        await desk.enrolled(trx, { sessionId, personId, method: 'password' })
        await tellOwner(trx, personId, 'password-set')
      })
      return { set: true }
    },

    async removePassword(_request, context) {
      const { personId } = requireOwner(context)
      await room.change(async (trx) => {
        await requireOtherWay(trx, personId, { password: true })
        await removePassword(room, trx, personId, originOf(context.caller, context.request))
        await tellOwner(trx, personId, 'password-removed')
      })
      return { removed: true }
    },

    async startAuthenticator(_request, context) {
      const { personId } = requireOwner(context)
      const { name } = await requireSubject(kysely, personId, 'person')
      return await room.change((trx) => startAuthenticator(room, trx, { personId, name }))
    },

    async confirmAuthenticator({ body }, context) {
      const { sessionId, personId } = requireOwner(context)
      attempts.takeCode(personId, sessionId)
      await room.change(async (trx) => {
        const origin = originOf(context.caller, context.request)
        await confirmAuthenticator(room, trx, { personId, code: body.code }, origin)
        await desk.enrolled(trx, { sessionId, personId, method: 'password' })
        await tellOwner(trx, personId, 'app-confirmed')
      })
      attempts.giveCodeBack(personId, sessionId)
      return { confirmed: true }
    },

    async createRecoveryCodes(_request, context) {
      const { personId } = requireOwner(context)
      const { secondFactor } = await factorsOf(room, personId)
      if (!secondFactor)
        throw identityFaults.factorNeeded(
          'Recovery codes stand in for a passkey or a password, and you have neither.',
          {
            hint: 'Add one of them first.',
          },
        )
      const origin = originOf(context.caller, context.request)
      return { codes: await room.change((trx) => createRecoveryCodes(room, trx, personId, origin)) }
    },

    async showPersonFactors({ params }) {
      await requireSubject(kysely, params.person, 'person')
      return await factorsOf(room, params.person)
    },

    async recoverPerson({ params }, context) {
      const { caller, request } = context
      const { id, name, site_admin } = await requireSubject(kysely, params.person, 'person')
      const account = await accountOf(kysely, id)
      const sponsorId = account?.guest === 1 ? account.sponsor_id : null
      const roles = snapshot().subjects[id]?.roles ?? []
      requireMayRecover(caller, { id, name, siteAdmin: site_admin === 1, roles, sponsorId })
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      const { url, expiresAtMs } = await room.change((trx) => recoverPerson(room, trx, id, originOf(caller, request)))
      return { url, expiresAtMs }
    },

    async findPerson({ params }, { caller, require }) {
      const person = foldedName(params.name) === undefined ? undefined : await personNamed(kysely, params.name)
      const roles = (person && snapshot().subjects[person.id]?.roles) ?? []
      const shared = roles.find(
        ({ experiment }) => decide(subjectOfCaller(caller), 'people.manage', { experiment }).allow,
      )
      if (shared === undefined) require('site.admin')
      else require('people.manage', shared.experiment)
      if (person === undefined) throw identityFaults.noSuchPerson(`Nobody is called '${params.name}'.`)
      const { id, name, display_name: displayName } = person
      return { id, name, displayName, aliases: await aliasesOf(kysely, id) }
    },

    async addAlias({ params, body }, context) {
      await requireSubject(kysely, params.person, 'person')
      const alias = { personId: params.person, alias: body.alias }
      await room.change((trx) => addAlias(room, trx, alias, originOf(context.caller, context.request)))
      return { aliases: await aliasesOf(kysely, params.person) }
    },

    async removeAlias({ params }, context) {
      const alias = { personId: params.person, alias: params.alias }
      await room.change((trx) => removeAlias(room, trx, alias, originOf(context.caller, context.request)))
      return { aliases: await aliasesOf(kysely, params.person) }
    },
  }
}
