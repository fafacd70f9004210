/** The audit: what it says over HTTP. Joined into the room's contract. */
import { z } from 'zod'
import { nameSchema, pageOf, pageQuery, queryFlag, timeMs, type Routes } from '../../foundation/contract.ts'

export const auditEntrySchema = z.object({
  /** From 1 on, without gaps. */
  sequence: z.number().int(),
  id: z.string(),
  atMs: timeMs,
  /** In whose name. */
  actorId: z.string(),
  actorKind: z.string(),
  actorName: z.string(),
  /** By what: 'browser session ID', 'token ID of CLIENT'; empty for what the platform did by itself. */
  credential: z.string(),
  action: z.string(),
  target: z.string(),
  /** Of a target that is a person or machine. */
  targetName: z.string().optional(),
  experiment: z.string().nullable(),
  decision: z.enum(['allow', 'deny']),
  address: z.string(),
  requestId: z.string(),
  detail: z.record(z.string(), z.unknown()),
})

const wordSchema = z.string().min(1).max(200)

/** What is asked of the audit; all that is said must hold. */
export const auditFilterSchema = z.object({
  experiment: nameSchema.optional(),
  /** Only what I did or what was done to me. */
  mine: queryFlag.default(false),
  /** Name or id of who did it. */
  actor: wordSchema.optional(),
  action: wordSchema.optional(),
  target: wordSchema.optional(),
  address: wordSchema.optional(),
  decision: z.enum(['allow', 'deny']).optional(),
  fromMs: z.coerce.number<number | string>().int().nonnegative().optional(),
  /** Before this moment. */
  untilMs: z.coerce.number<number | string>().int().nonnegative().optional(),
})

export const auditFaultSchema = z.object({
  /** Where in the chain it shows. */
  sequence: z.number().int(),
  what: z.string(),
  /** A site admin has looked at it and said so; it stays in the report. */
  accepted: z.boolean(),
})

export const auditReportSchema = z.object({
  /** Nothing is missing, changed or out of order that nobody has accepted. */
  whole: z.boolean(),
  rows: z.number().int(),
  head: z.object({ sequence: z.number().int(), hash: z.string() }),
  /** Daily files that were compared. */
  files: z.number().int(),
  /** At most a hundred. */
  faults: z.array(auditFaultSchema),
  checkedAtMs: timeMs,
})

const site = { action: 'site.admin', of: 'site' } as const

export const auditingRoutes = {
  listAudit: {
    method: 'GET',
    path: '/api/identity/audit',
    summary: 'Audit rows, newest first: what the caller may see by audit.read, else only what concerns him',
    permission: 'signed-in',
    query: pageQuery.extend({
      ...auditFilterSchema.shape,
      cursor: z
        .string()
        .regex(/^\d{1,15}$/)
        .optional(),
    }),
    answer: pageOf(auditEntrySchema),
  },
  exportAudit: {
    method: 'GET',
    path: '/api/identity/audit/export',
    summary: 'The same rows, oldest first, with the hashes that bind them, as JSON lines',
    permission: 'signed-in',
    query: auditFilterSchema,
    stream: 'bytes',
  },
  verifyAudit: {
    method: 'GET',
    path: '/api/identity/audit/verification',
    summary: 'Is the audit whole? Compares every row, the head kept in the secrets folder and the daily files',
    permission: site,
    answer: auditReportSchema,
  },
  acceptAuditLoss: {
    method: 'POST',
    path: '/api/identity/audit/verification',
    summary: 'Say that what is missing now is known (an older database was restored); recorded in the audit itself',
    permission: site,
    body: z.object({ reason: z.string().trim().min(10).max(500) }).strict(),
    answer: auditReportSchema,
  },
} as const satisfies Routes
