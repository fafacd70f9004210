import { Readable } from 'node:stream'
import type { z } from 'zod'
import type { Caller, Handlers } from '../../foundation/http.ts'
import { requireWholePerson } from '../authority.ts'
import { decide } from '../decide.ts'
import { originOf, subjectOfCaller } from '../gate.ts'
import type { RouteParts } from '../routes.ts'
import type { auditEntrySchema, auditFilterSchema, auditingRoutes } from './contract.ts'
import { lineOf } from './export-lines.ts'
import { auditRows, listAudit, type AuditFilter } from './search.ts'

export function auditingHandlers({ room, auditing, snapshot }: RouteParts): Handlers<typeof auditingRoutes> {
  const { kysely, clock } = room

  /** Whoever may not see all that he asks for sees of it what concerns himself. */
  function visible(caller: Caller, { mine, ...filter }: z.output<typeof auditFilterSchema>): AuditFilter {
    requireWholePerson(caller)
    const subject = subjectOfCaller(caller)
    const { experiment } = filter
    const seesAll = decide(subject, 'site.admin', {}, clock.nowMs()).allow
    const seesExperiment =
      experiment !== undefined && decide(subject, 'audit.read', { experiment }, clock.nowMs()).allow
    return mine || !(seesAll || seesExperiment) ? { ...filter, about: subject.id } : filter
  }

  function named(entry: z.infer<typeof auditEntrySchema>): z.infer<typeof auditEntrySchema> {
    const { subjects } = snapshot()
    const subject = Object.hasOwn(subjects, entry.target) ? subjects[entry.target] : undefined
    return subject === undefined ? entry : { ...entry, targetName: subject.name }
  }

  return {
    async listAudit({ query: { limit, cursor, ...filter } }, { caller }) {
      const { items, nextCursor } = await listAudit(kysely, visible(caller, filter), { limit, cursor })
      return { items: items.map(named), nextCursor }
    },

    async exportAudit({ query }, { caller }) {
      const rows = auditRows(kysely, visible(caller, query))
      return {
        contentType: 'application/jsonl',
        headers: { 'content-disposition': 'attachment; filename="audit.jsonl"', 'cache-control': 'no-store' },
        body: Readable.from(linesOf(rows)),
      }
    },

    verifyAudit: async () => await auditing.verify(),

    async acceptAuditLoss({ body }, { caller, request }) {
      requireWholePerson(caller)
      return await auditing.accept(originOf(caller, request), body.reason)
    },
  }
}

/** In pieces worth sending. */
async function* linesOf(rows: AsyncIterable<Parameters<typeof lineOf>[0]>): AsyncGenerator<Buffer> {
  let text = ''
  for await (const row of rows) {
    text += lineOf(row)
    if (text.length < 65_536) continue
    yield Buffer.from(text)
    text = ''
  }
  if (text !== '') yield Buffer.from(text)
}
