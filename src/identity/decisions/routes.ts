import type { Caller, Handlers } from '../../foundation/http.ts'
import { requireFresh } from '../authority.ts'
import { decide } from '../decide.ts'
import { identityFaults } from '../errors.ts'
import { adminProofMs } from '../factors/contract.ts'
import { notAllowed, originOf, subjectOfCaller } from '../gate.ts'
import type { RouteParts } from '../routes.ts'
import { activeSubject, subjectOf, withOwnerGroups, type SnapshotSubject } from '../snapshot.ts'
import { breakGlass, glassOf, listBrokenGlass, mendGlass, requireBrokenGlass } from './break-glass.ts'
import type { decisionRoutes } from './contract.ts'
import { explain, resourceOf, whoCan } from './explain.ts'

export function decisionHandlers({ room, snapshot }: RouteParts): Handlers<typeof decisionRoutes> {
  const { clock, kysely } = room

  function found(reference: string): SnapshotSubject | undefined {
    const { subjects } = snapshot()
    if (Object.hasOwn(subjects, reference)) return subjects[reference]
    return Object.values(subjects).find(({ name }) => name === reference)
  }

  /** Of others only who may read the audit of all that they are in there; a stranger and nobody look alike. */
  function requireInsight(
    caller: Caller,
    other: SnapshotSubject | undefined,
    experiment: string | undefined,
  ): SnapshotSubject {
    const subject = subjectOfCaller(caller)
    const nowMs = clock.nowMs()
    if (experiment === undefined) {
      const { allow, reason } = decide(subject, 'site.admin', {}, nowMs)
      if (!allow) throw notAllowed('audit.read', undefined, reason)
    } else {
      const groups = other?.roles.filter((grant) => grant.experiment === experiment).map(({ group }) => group) ?? []
      for (const group of groups.length === 0 ? [undefined] : groups) {
        const { allow, reason } = decide(subject, 'audit.read', { experiment, group }, nowMs)
        if (!allow) throw notAllowed('audit.read', experiment, reason)
      }
    }
    if (other === undefined) throw identityFaults.noSuchPerson('There is no person or machine of that name.')
    return other
  }

  return {
    async explainDecision({ query }, { caller }) {
      const { subject: reference, owner, ...asked } = query
      const self = subjectOfCaller(caller)
      const isSelf = reference === undefined || reference === self.id || reference === self.name
      const other = isSelf ? undefined : requireInsight(caller, found(reference), query.experiment)
      const who = other === undefined ? self : subjectOf(other)
      // What is asked about one's own rights by a name that nobody has is about nobody's thing.
      const ownerId = owner === undefined ? undefined : (found(owner)?.id ?? owner)
      const resource = withOwnerGroups(snapshot(), resourceOf({ ...asked, ownerId }))
      // Whose groups an owner is in is told by the answer: only to who may know.
      if (ownerId !== undefined && ownerId !== who.id && ownerId !== self.id)
        requireInsight(caller, found(owner!), query.experiment)
      const answer = explain(who, asked, resource, clock.nowMs())
      if (other === undefined || activeSubject(snapshot(), other.id) !== undefined) return answer
      return { ...answer, allow: false, reason: 'the account is suspended or gone', cut: 'account' }
    },

    async whoCan({ query }) {
      const { limit, cursor, ...asked } = query
      const all = whoCan(snapshot(), asked, resourceOf(asked), clock.nowMs())
      const rest = cursor === undefined ? all : all.filter(({ name }) => name > cursor)
      const items = rest.slice(0, limit)
      return { items, nextCursor: rest.length > limit ? items.at(-1)!.name : null, total: all.length }
    },

    async listBrokenGlass({ query }, { require }) {
      if (query.experiment === undefined) require('site.admin')
      else require('audit.read', query.experiment)
      return { items: await listBrokenGlass(room, snapshot(), query.experiment) }
    },

    async breakGlass({ body }, { caller, request }) {
      requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
      const asked = { ...body, personId: caller.id }
      const id = await room.change((trx) => breakGlass(room, trx, asked, originOf(caller, request)))
      return glassOf(await requireBrokenGlass(kysely, id), snapshot(), clock.nowMs())
    },

    async mendGlass({ params }, { caller, request, require }) {
      const row = await requireBrokenGlass(kysely, params.glass)
      require('experiment.admin', row.experiment)
      await room.change((trx) => mendGlass(room, trx, row.id, originOf(caller, request)))
      return glassOf(await requireBrokenGlass(kysely, row.id), snapshot(), clock.nowMs())
    },
  }
}
