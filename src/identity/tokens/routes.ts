import type { Caller, Handlers } from '../../foundation/http.ts'
import { requirePersonInBrowser, requireWholePerson } from '../authority.ts'
import { decide } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { addressOf, notAllowed, originOf, subjectOfCaller } from '../gate.ts'
import { createRateLimit, createSecretLimit } from '../rate-limit.ts'
import type { RouteParts } from '../routes.ts'
import type { tokenRoutes } from './contract.ts'
import { listDevices, revokeDevice } from './devices.ts'
import { decideEnrolment, pollEnrolment, requestEnrolment, requireEnrolment, showEnrolment } from './enrolment.ts'
import { addKey, listMachines, ownersOf, removeKey, renewMachine, requireMachine, setOwners } from './machines.ts'
import { createPersonalToken, listPersonalTokens, revokePersonalToken } from './personal-tokens.ts'
import { listTemporaryKeys } from './temporary-keys.ts'

export function tokenHandlers(parts: RouteParts): Handlers<typeof tokenRoutes> {
  const { room, signer, snapshot } = parts
  const { clock } = room
  /** Codes of machines are short: five wrong ones a browser session, and thirty an address. */
  const codes = createRateLimit({ clock, burst: 5, perMinute: 0.5 })
  const codesOfAddress = createRateLimit({ clock, burst: 30, perMinute: 3 })
  const enrolments = createRateLimit({ clock, burst: 10, perMinute: 10 })
  const polls = createSecretLimit(clock)

  async function withCode<Result>(sessionId: string, address: string, work: () => Promise<Result>): Promise<Result> {
    codes.take(sessionId)
    codesOfAddress.take(address)
    const result = await work()
    codes.giveBack(sessionId)
    codesOfAddress.giveBack(address)
    return result
  }

  function signingKeys() {
    const nowMs = clock.nowMs()
    const current = signer.keys.current().kid
    return {
      items: signer.keys.list().map(({ kid, createdAtMs, signsFromMs }) => ({
        kid,
        state:
          kid === current ? ('signing' as const) : signsFromMs > nowMs ? ('waiting' as const) : ('retired' as const),
        createdAtMs,
        signsFromMs,
        endsAtMs: signer.keys.endOf(kid) ?? null,
      })),
    }
  }

  /** An owner, or who administers the experiment. A stranger learns nothing. */
  async function requireOwnerOrAdmin(caller: Caller, machine: string): Promise<{ experiment: string }> {
    const { experiment } = await requireMachine(room.kysely, machine)
    const subject = subjectOfCaller(caller)
    const isOwner = (await ownersOf(room.kysely, machine)).includes(subject.id)
    if (isOwner && subject.kind === 'person' && subject.limits === undefined) return { experiment }
    const { allow, reason } = decide(subject, 'experiment.admin', { experiment }, clock.nowMs())
    if (!allow) throw notAllowed('experiment.admin', experiment, reason)
    return { experiment }
  }

  async function shown(machine: string, experiment: string) {
    const { items } = await listMachines(room, snapshot(), { experiment, limit: 1, id: machine })
    return items[0]!
  }

  return {
    async listPersonalTokens({ query }, { caller }) {
      requireWholePerson(caller)
      return await listPersonalTokens(room, { personId: caller.id, ...query })
    },

    async createPersonalToken({ body }, { caller, request }) {
      requireWholePerson(caller)
      const wanted = { personId: caller.id, ...body }
      return await room.change((trx) => createPersonalToken(room, trx, wanted, originOf(caller, request)))
    },

    async revokePersonalToken({ params }, { caller, request }) {
      requireWholePerson(caller)
      const which = { id: params.token, personId: caller.id }
      await room.change((trx) => revokePersonalToken(room, trx, which, originOf(caller, request)))
      return { revoked: true }
    },

    async listDevices({ query }, { caller }) {
      requireWholePerson(caller)
      return await listDevices(room, { personId: caller.id, ...query })
    },

    async revokeDevice({ params }, { caller, request }) {
      requireWholePerson(caller)
      const which = { id: params.device, personId: caller.id }
      await room.change((trx) => revokeDevice(room, trx, which, originOf(caller, request)))
      return { revoked: true }
    },

    async listTemporaryKeys({ query }, { caller }) {
      requireWholePerson(caller)
      return await listTemporaryKeys(room, { subjectId: caller.id, ...query })
    },

    listSigningKeys: async () => signingKeys(),

    async rotateSigningKeys(_request, { caller, request }) {
      await signer.keys.rotate()
      const target = signer.keys.list().at(-1)!.kid
      await room.change((trx) => room.audit(trx, originOf(caller, request), { action: 'signing-key-rotated', target }))
      return signingKeys()
    },

    async removeSigningKey({ params }, { caller, request }) {
      if (!(await signer.keys.remove(params.kid)))
        throw identityFaults.noSuchSigningKey(`There is no signing key '${params.kid}'.`, {
          hint: 'See: cygnet keys list.',
        })
      const event = { action: 'signing-key-removed', target: params.kid } as const
      await room.change((trx) => room.audit(trx, originOf(caller, request), event))
      return signingKeys()
    },

    listMachines: async ({ query }) => await listMachines(room, snapshot(), query),

    async requestEnrolment({ body }, { request, requestId }) {
      const address = addressOf(request)
      enrolments.take(address)
      return await requestEnrolment(room, snapshot(), body, { address, requestId })
    },

    async pollEnrolment({ body }, { request }) {
      return await polls.attempt(addressOf(request), () => pollEnrolment(room, snapshot(), body.deviceCode))
    },

    async showEnrolment({ params }, { caller, request }) {
      const { sessionId } = requirePersonInBrowser(caller)
      return await withCode(sessionId, addressOf(request), () => showEnrolment(room, snapshot(), params.userCode))
    },

    async decideEnrolment({ params, body }, { caller, request, require }) {
      const { sessionId } = requirePersonInBrowser(caller)
      const row = await withCode(sessionId, addressOf(request), () => requireEnrolment(room, params.userCode))
      require('experiment.admin', row.experiment)
      const { decision, owners, capabilities, lifetimeMs } = body
      const wanted = { approve: decision === 'approve', by: subjectOfCaller(caller), owners, capabilities, lifetimeMs }
      await room.change((trx) => decideEnrolment(room, trx, snapshot(), row, wanted, originOf(caller, request)))
      return { decision }
    },

    async setMachineOwners({ params, body }, { caller, request, require }) {
      const { experiment } = await requireMachine(room.kysely, params.machine)
      require('experiment.admin', experiment)
      const wanted = { clientId: params.machine, owners: body.owners }
      await room.change((trx) => setOwners(room, trx, snapshot(), wanted, originOf(caller, request)))
      return await shown(params.machine, experiment)
    },

    async renewMachine({ params, body }, { caller, request }) {
      const { experiment } = await requireOwnerOrAdmin(caller, params.machine)
      const wanted = { clientId: params.machine, lifetimeMs: body.lifetimeMs }
      await room.change((trx) => renewMachine(room, trx, wanted, originOf(caller, request)))
      return await shown(params.machine, experiment)
    },

    async addMachineKey({ params, body }, { caller, request }) {
      const subject = subjectOfCaller(caller)
      const isItself = subject.kind === 'client' && subject.id === params.machine
      const { experiment } = isItself
        ? await requireMachine(room.kysely, params.machine)
        : await requireOwnerOrAdmin(caller, params.machine)
      const wanted = { clientId: params.machine, experiment, publicKey: body.publicKey }
      return await room.change(async (trx) => {
        const key = await addKey(room, trx, wanted, originOf(caller, request))
        await room.changed(trx, params.machine, 'machine-key-added')
        return key
      })
    },

    async removeMachineKey({ params }, { caller, request }) {
      const subject = subjectOfCaller(caller)
      const isItself = subject.kind === 'client' && subject.id === params.machine
      const { experiment } = isItself
        ? await requireMachine(room.kysely, params.machine)
        : await requireOwnerOrAdmin(caller, params.machine)
      const which = { clientId: params.machine, experiment, keyId: params.key }
      await room.change((trx) => removeKey(room, trx, which, originOf(caller, request)))
      return { revoked: true }
    },
  }
}
