/**
 * The outbox: a mail is a row, made in the transaction of what it tells about, and sent afterwards. Nothing is lost when
 * the mail server is dead, nothing is sent twice on purpose; what could not be sent stays, with the reason.
 */
import type { z } from 'zod'
import { uuid7 } from '../../foundation/ids.ts'
import { platformOrigin } from '../audit.ts'
import { identityFaults } from '../errors.ts'
import type { Room } from '../room.ts'
import type { IdentityKysely, IdentityTables, IdentityTransaction } from '../tables.ts'
import type { mailSchema } from './contract.ts'
import { wordsOfMail, type MailData, type MailTemplate } from './mail-words.ts'

export interface NewMail<Template extends MailTemplate = MailTemplate> {
  to: string
  template: Template
  language: string
  data: MailData[Template]
  /** After this it is of no use; default: a week. */
  usefulUntilMs?: number
  /** A second mail with this key is not made. */
  onceKey?: string
}

/** What delivers; `adapters/smtp-mail.ts` in earnest. */
export interface MailCarrier {
  /** Resolves when the server has taken the mail over. @throws MailRefused */
  deliver(mail: { id: string; to: string; subject: string; text: string }): Promise<void>
  close(): void
}

/** Why a mail did not go out: for good (no such address), or for now. */
export class MailRefused extends Error {
  readonly forGood: boolean
  /** The server itself is out of reach: no other mail will go out either. */
  readonly serverDown: boolean
  constructor(message: string, { forGood = false, serverDown = false } = {}) {
    super(message)
    this.forGood = forGood
    this.serverDown = serverDown
  }
}

type MailRow = IdentityTables['identity_mail']

const weekMs = 7 * 86_400_000
const firstPauseMs = 30_000
const longestPauseMs = 3_600_000
const atOnce = 50

/** Adds a mail in the caller's transaction: it exists if and only if that commits. What it says is sealed. */
export async function enqueueMail<Template extends MailTemplate>(
  room: Room,
  trx: IdentityTransaction,
  mail: NewMail<Template>,
): Promise<string> {
  const nowMs = room.clock.nowMs()
  const id = uuid7(nowMs)
  const made = await trx
    .insertInto('identity_mail')
    .values({
      id,
      recipient: mail.to,
      template: mail.template,
      language: mail.language,
      sealed_data: room.seal.close(JSON.stringify(mail.data), purposeOf(id)),
      state: 'waiting',
      attempts: 0,
      next_at_ms: nowMs,
      useful_until_ms: mail.usefulUntilMs ?? nowMs + weekMs,
      created_at_ms: nowMs,
      ended_at_ms: null,
      reason: null,
      once_key: mail.onceKey ?? null,
    })
    .onConflict((conflict) => conflict.column('once_key').doNothing())
    .returning('id')
    .executeTakeFirst()
  return made?.id ?? id
}

/** What is told to a person himself, if an address of his is known. */
export async function mailPerson<Template extends MailTemplate>(
  room: Room,
  trx: IdentityTransaction,
  personId: string,
  mail: Omit<NewMail<Template>, 'to' | 'language'>,
): Promise<string | undefined> {
  const account = await trx
    .selectFrom('identity_account')
    .select(['email', 'language'])
    .where('person_id', '=', personId)
    .executeTakeFirst()
  if (account === undefined || account.email === null) return undefined
  return await enqueueMail(room, trx, { ...mail, to: account.email, language: account.language } as NewMail<Template>)
}

/** The mail that carries a link which works no more must not go out. */
export async function dropMail(room: Room, trx: IdentityTransaction, mailId: string | null): Promise<void> {
  if (mailId === null) return
  await trx
    .updateTable('identity_mail')
    .set({ state: 'dropped', sealed_data: null, ended_at_ms: room.clock.nowMs() })
    .where('id', '=', mailId)
    .where('state', 'in', ['waiting', 'dead'])
    .execute()
}

export interface Outbox {
  /** Sends what is due, one after the other; calls never overlap. */
  sendDue(): Promise<void>
  close(): Promise<void>
}

/** `pollMs`: how long after its making a mail goes out at the latest, if the server takes it. */
export function openOutbox(room: Room, carrier: MailCarrier, { pollMs = 3000 }: { pollMs?: number } = {}): Outbox {
  const { clock, log } = room
  const closing = new AbortController()
  let sending: Promise<void> = Promise.resolve()
  /** A dead server is not asked for every mail again. */
  let failures = 0
  let restUntilMs = 0

  async function sendAll(): Promise<void> {
    await dropUseless(room)
    // This process alone sends: what it finds in the middle was cut short by its end, and may or may not have arrived.
    await room.kysely.updateTable('identity_mail').set({ state: 'waiting' }).where('state', '=', 'sending').execute()
    for (const row of await dueMail(room)) {
      if (closing.signal.aborted || clock.nowMs() < restUntilMs) return
      await sendOne(row)
    }
  }

  async function sendOne(row: MailRow): Promise<void> {
    const claimed = await room.kysely
      .updateTable('identity_mail')
      .set({ state: 'sending', attempts: row.attempts + 1 })
      .where('id', '=', row.id)
      .where('state', '=', 'waiting')
      .returning('id')
      .executeTakeFirst()
    if (claimed === undefined || row.sealed_data === null) return
    try {
      const data = JSON.parse(room.seal.open(row.sealed_data, purposeOf(row.id))) as never
      const words = wordsOfMail(row.template as MailTemplate, row.language, data)
      await carrier.deliver({ id: row.id, to: row.recipient, ...words })
      failures = 0
      await settle(row, { state: 'sent', sealed_data: null, ended_at_ms: clock.nowMs(), reason: null })
    } catch (error) {
      await failed(row, error)
    }
  }

  async function failed(row: MailRow, error: unknown): Promise<void> {
    const nowMs = clock.nowMs()
    const reason = (error instanceof Error ? error.message : String(error)).slice(0, 500)
    const refusal = error instanceof MailRefused ? error : undefined
    if (refusal?.serverDown === true) {
      failures += 1
      restUntilMs = nowMs + pauseMs(failures, pollMs, 300_000)
    }
    log.warn({ reason, mailId: row.id, template: row.template, attempt: row.attempts + 1 }, 'a mail was not sent')
    if (refusal?.forGood !== true) {
      const next_at_ms = nowMs + pauseMs(row.attempts + 1, firstPauseMs, longestPauseMs)
      await settle(row, { state: 'waiting', reason, next_at_ms })
      return
    }
    await settle(row, { state: 'dead', reason, ended_at_ms: nowMs })
    const detail = { template: row.template, reason }
    await room.audit(room.kysely, platformOrigin, { action: 'mail-failed', target: row.id, detail })
  }

  async function settle(row: MailRow, change: Partial<MailRow>): Promise<void> {
    await room.kysely
      .updateTable('identity_mail')
      .set(change)
      .where('id', '=', row.id)
      .where('state', '=', 'sending')
      .execute()
  }

  function sendDue(): Promise<void> {
    sending = sending.then(sendAll).catch((error: unknown) => log.error({ error }, 'the outbox could not be worked on'))
    return sending
  }

  const timer = setInterval(() => {
    if (clock.nowMs() >= restUntilMs) void sendDue()
  }, pollMs).unref()
  return {
    sendDue() {
      restUntilMs = 0
      return sendDue()
    },
    async close() {
      closing.abort()
      clearInterval(timer)
      await sending
      carrier.close()
    },
  }
}

async function dueMail(room: Room): Promise<MailRow[]> {
  return await room.kysely
    .selectFrom('identity_mail')
    .selectAll()
    .where('state', '=', 'waiting')
    .where('next_at_ms', '<=', room.clock.nowMs())
    .orderBy('next_at_ms')
    .orderBy('id')
    .limit(atOnce)
    .execute()
}

/** A mail that comes too late is not sent; if it was tried, it stays to be seen. */
export async function dropUseless(room: Room): Promise<void> {
  const nowMs = room.clock.nowMs()
  await room.kysely
    .updateTable('identity_mail')
    .set((row) => ({
      state: row
        .case()
        .when('attempts', '>', 0)
        .then('dead' as const)
        .else('dropped' as const)
        .end(),
      sealed_data: null,
      ended_at_ms: nowMs,
    }))
    .where('state', '=', 'waiting')
    .where('useful_until_ms', '<=', nowMs)
    .execute()
}

/** @throws Fault identity.no_such_mail */
export async function retryMail(room: Room, trx: IdentityTransaction, mailId: string): Promise<MailRow> {
  const row = await trx
    .updateTable('identity_mail')
    .set({ state: 'waiting', next_at_ms: room.clock.nowMs(), ended_at_ms: null })
    .where('id', '=', mailId)
    .where('state', 'in', ['dead', 'waiting'])
    .where('sealed_data', 'is not', null)
    .returningAll()
    .executeTakeFirst()
  if (row !== undefined) return row
  throw identityFaults.noSuchMail('There is no such mail that could be tried again.', {
    hint: 'What came too late is gone: renew the invitation instead.',
  })
}

export async function listMail(
  kysely: IdentityKysely,
  { limit, cursor, state }: { limit: number; cursor?: string | undefined; state?: string | undefined },
): Promise<{ items: MailRow[]; nextCursor: string | null }> {
  let query = kysely
    .selectFrom('identity_mail')
    .selectAll()
    .orderBy('id', 'desc')
    .limit(limit + 1)
  if (cursor !== undefined) query = query.where('id', '<', cursor)
  if (state !== undefined) query = query.where('state', '=', state as MailRow['state'])
  const rows = await query.execute()
  const items = rows.slice(0, limit)
  return { items, nextCursor: rows.length > limit ? items.at(-1)!.id : null }
}

export function mailOf(row: MailRow): z.output<typeof mailSchema> {
  return {
    id: row.id,
    recipient: row.recipient,
    template: row.template,
    state: row.state,
    attempts: row.attempts,
    nextAtMs: row.next_at_ms,
    createdAtMs: row.created_at_ms,
    endedAtMs: row.ended_at_ms,
    reason: row.reason,
  }
}

/** Twice as long after each failure, up to a longest one. */
function pauseMs(failures: number, firstMs: number, longestMs: number): number {
  return Math.min(longestMs, firstMs * 2 ** Math.min(failures - 1, 30))
}

function purposeOf(mailId: string): string {
  return `mail.${mailId}`
}
