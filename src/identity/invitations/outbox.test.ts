import { execFileSync, spawn, type ChildProcess } from 'node:child_process'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { transact } from '../../foundation/database.ts'
import { forEachDatabase, freePort } from '../../foundation/testing.ts'
import { smtpMail } from './adapters/smtp-mail.ts'
import { wordsOfMail } from './mail-words.ts'
import { enqueueMail, listMail, openOutbox, retryMail } from './outbox.ts'
import { ownTables } from '../tables.ts'
import { roomOf, startInvitations, type TestInvitations } from './testing.ts'

interface TakenMail {
  id: string
  from: string
  to: string[]
  subject: string
  text: string
}

const python = process.env['CYGNET_TEST_PYTHON'] ?? 'python3'

/** Python's smtpd is a server that nobody here has written; Python 3.12 no longer has it. */
const hasServer = (() => {
  try {
    execFileSync(python, ['-W', 'ignore', '-c', 'import smtpd'], { stdio: 'ignore' })
    return true
  } catch {
    console.warn('SKIPPED: tests with a real mail server need Python 3.11 or older (CYGNET_TEST_PYTHON)')
    return false
  }
})()

/** Starts the server; lines tell what it has taken over. `hangs` resolves when it sits in the middle of a mail. */
async function startServer(port: number, hangAt = 0) {
  const script = join(import.meta.dirname, 'smtp_server.py')
  const child: ChildProcess = spawn(python, ['-W', 'ignore', script, String(port), String(hangAt)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => void child.kill('SIGKILL'))
  const mails: TakenMail[] = []
  let listens = (): void => {}
  let hangs = (): void => {}
  const listening = new Promise<void>((resolve) => (listens = resolve))
  const hanging = new Promise<void>((resolve) => (hangs = resolve))
  createInterface({ input: child.stdout! }).on('line', (line) => {
    const said = JSON.parse(line) as TakenMail & { listens?: true; hangs?: true }
    if (said.listens) listens()
    else if (said.hangs) hangs()
    else mails.push(said)
  })
  await listening
  const gone = new Promise<void>((resolve) => child.once('exit', () => resolve()))
  return {
    mails,
    hanging,
    /** Its lines may come a little after its answers. */
    async took(count: number) {
      while (mails.length < count) await new Promise((resolve) => setTimeout(resolve, 5))
    },
    async kill() {
      child.kill('SIGKILL')
      await gone
    },
  }
}

async function startOutbox(
  open: Parameters<typeof startInvitations>[0],
  port: number,
  more: { tls?: 'starttls'; user?: string; passwordFile?: string } = {},
) {
  const test = await startInvitations(open)
  const room = await roomOf(test)
  const settings = { host: '127.0.0.1', port, tls: 'never', from: 'cygnet@lab.example', ...more } as const
  // Asked by the tests themselves, not by the clock.
  const outbox = openOutbox(room, smtpMail(settings, test.publicUrl), { pollMs: 3_600_000 })
  onTestFinished(() => outbox.close())
  return { ...test, room, outbox }
}

async function write({ room, database }: Awaited<ReturnType<typeof startOutbox>>, to: string, onceKey?: string) {
  return await transact(database, (trx) =>
    enqueueMail(room, ownTables(trx), {
      to,
      template: 'request-rejected',
      language: 'en',
      data: { experiment: 'muon', reason: `for ${to}` },
      ...(onceKey !== undefined && { onceKey }),
    }),
  )
}

async function statesOf({ kysely }: TestInvitations): Promise<Record<string, string>> {
  const rows = await kysely.selectFrom('identity_mail').select(['recipient', 'state']).execute()
  return Object.fromEntries(rows.map((row) => [row.recipient, row.state]))
}

test('what a mail says is one subject line and plain text, in two languages', () => {
  const data = { experiment: 'muon', reason: 'x' }
  expect(wordsOfMail('request-rejected', 'it', data).subject).toBe('La tua richiesta di muon')
  expect(wordsOfMail('request-rejected', 'de', data).subject).toBe('Your request for muon')
  const evil = wordsOfMail('guest-joined', 'en', { guest: 'A\r\nBcc: all@x', account: 'a', group: '/g', url: 'u' })
  expect(evil.subject).not.toMatch(/[\r\n]/)
})

forEachDatabase('the outbox', (open) => {
  test.skipIf(!hasServer)('a server killed in the middle of a mail: everything arrives, each once', async () => {
    const port = await freePort()
    const started = await startOutbox(open, port)
    const ids = []
    for (const name of ['a', 'b', 'c', 'd', 'e']) ids.push(await write(started, `${name}@uni.example`))
    const first = await startServer(port, 3)
    const sending = started.outbox.sendDue()
    await first.hanging
    await first.kill()
    await sending
    await first.took(2)
    expect(first.mails.map(({ to }) => to[0])).toEqual(['a@uni.example', 'b@uni.example'])
    // The server stays away for a while: nothing is lost, and not every mail asks it again.
    started.clock.advance(3_600_000)
    await started.outbox.sendDue()
    expect(Object.values(await statesOf(started)).filter((state) => state === 'waiting')).toHaveLength(3)
    const second = await startServer(port)
    started.clock.advance(2 * 3_600_000)
    await started.outbox.sendDue()
    await started.outbox.sendDue()
    await second.took(3)
    const arrived = [...first.mails, ...second.mails]
    expect(arrived.map(({ id }) => id).sort()).toEqual(ids.map((id) => `<${id}@127.0.0.1>`).sort())
    expect(arrived[0]).toMatchObject({ from: 'cygnet@lab.example', subject: 'Your request for muon' })
    expect(arrived[0]!.text).toContain('for a@uni.example')
    const rows = await started.kysely.selectFrom('identity_mail').selectAll().execute()
    expect(rows.every(({ state, sealed_data }) => state === 'sent' && sealed_data === null)).toBe(true)
  })

  test.skipIf(!hasServer)(
    'who has no mailbox is a dead letter with the reason; who is busy is tried again',
    async () => {
      const port = await freePort()
      const started = await startOutbox(open, port)
      const dead = await write(started, 'nobody@uni.example')
      await write(started, 'busy@uni.example')
      await write(started, 'a@uni.example', 'one')
      await write(started, 'a@uni.example', 'one')
      const server = await startServer(port)
      await started.outbox.sendDue()
      await server.took(1)
      expect(server.mails).toHaveLength(1)
      expect(await statesOf(started)).toEqual({
        'nobody@uni.example': 'dead',
        'busy@uni.example': 'waiting',
        'a@uni.example': 'sent',
      })
      const { items } = await listMail(started.kysely, { limit: 10, state: 'dead' })
      expect(items[0]!.reason).toContain('no such mailbox')
      const seen = await started.admin.api.listMail({ query: { state: 'dead' } })
      expect(seen).toMatchObject({ configured: false, items: [{ id: dead, recipient: 'nobody@uni.example' }] })
      expect(JSON.stringify(seen)).not.toContain('for nobody')
      await started.room.change((trx) => retryMail(started.room, trx, dead))
      await started.outbox.sendDue()
      expect((await statesOf(started))['nobody@uni.example']).toBe('dead')
      // What comes too late is not sent; what was tried stays to be seen.
      started.clock.advance(8 * 86_400_000)
      await started.outbox.sendDue()
      expect((await statesOf(started))['busy@uni.example']).toBe('dead')
      expect(server.mails).toHaveLength(1)
    },
  )

  test.skipIf(!hasServer)(
    'nothing goes out in the clear where that was not said, nor without the password',
    async () => {
      const port = await freePort()
      const server = await startServer(port)
      for (const more of [{ tls: 'starttls' }, { user: 'cygnet', passwordFile: '/nowhere/password' }] as const) {
        const started = await startOutbox(open, port, more)
        await write(started, 'a@uni.example')
        await started.outbox.sendDue()
        const [row] = (await listMail(started.kysely, { limit: 1 })).items
        expect(row).toMatchObject({ state: 'waiting', attempts: 1 })
        expect(row!.reason).toMatch(/STARTTLS|passwordFile/)
      }
      expect(server.mails).toEqual([])
    },
  )

  test('a fake server that takes a mail and dies before it says so: it comes again as the same mail', async () => {
    const port = await freePort()
    const taken: string[] = []
    // Not a mail server: as much of the protocol as nodemailer asks for, to hang up at the worst moment.
    const fake: Server = createServer((socket) => {
      let text = ''
      let inData = false
      socket.on('error', () => {})
      socket.write('220 fake\r\n')
      socket.on('data', (chunk) => {
        text += chunk.toString('latin1')
        if (inData) {
          if (!text.includes('\r\n.\r\n')) return
          taken.push(/^Message-ID: (.+)\r$/im.exec(text)![1]!)
          if (taken.length === 1) socket.destroy()
          else socket.end('250 taken\r\n')
          return
        }
        while (text.includes('\r\n')) {
          const line = text.slice(0, text.indexOf('\r\n'))
          text = text.slice(line.length + 2)
          inData = line === 'DATA'
          socket.write(inData ? '354 go\r\n' : '250 ok\r\n')
        }
      })
    })
    await new Promise<void>((resolve) => fake.listen(port, '127.0.0.1', resolve))
    onTestFinished(() => void fake.close())
    const started = await startOutbox(open, port)
    const id = await write(started, 'a@uni.example')
    await started.outbox.sendDue()
    expect((await statesOf(started))['a@uni.example']).toBe('waiting')
    started.clock.advance(3_600_000)
    await started.outbox.sendDue()
    expect(taken).toEqual([`<${id}@127.0.0.1>`, `<${id}@127.0.0.1>`])
    expect((await statesOf(started))['a@uni.example']).toBe('sent')
  })

  test('a process that ended while it sent: the mail waits again at the next start', async () => {
    const started = await startOutbox(open, 1)
    const id = await write(started, 'a@uni.example')
    await started.kysely.updateTable('identity_mail').set({ state: 'sending' }).where('id', '=', id).execute()
    await started.outbox.sendDue()
    const [row] = (await listMail(started.kysely, { limit: 1 })).items
    expect(row).toMatchObject({ state: 'waiting', attempts: 1 })
    expect(row!.reason).toMatch(/ECONNREFUSED/)
  })
})
