/** Delivers mails to one SMTP server (RFC 5321), as the settings say. */
import { readFile } from 'node:fs/promises'
import { createTransport } from 'nodemailer'
import type { z } from 'zod'
import { MailRefused, type MailCarrier } from '../outbox.ts'
import type { mailSettings } from '../mail-settings.ts'

export type MailSettings = z.output<typeof mailSettings>

const patienceMs = 20_000

/** The password is read at each connection: it can be changed in its file while Cygnet runs. */
export function smtpMail(settings: MailSettings & { host: string }, publicUrl: string): MailCarrier {
  const { host, port, tls, user, passwordFile } = settings
  const domain = new URL(publicUrl).hostname
  const from = settings.from ?? `cygnet@${domain}`
  return {
    async deliver({ id, to, subject, text }) {
      const auth = user === undefined ? {} : { auth: { user, pass: await passwordOf(passwordFile) } }
      const transport = createTransport({
        host,
        port,
        secure: tls === 'always',
        requireTLS: tls === 'starttls',
        ignoreTLS: tls === 'never',
        ...auth,
        connectionTimeout: patienceMs,
        greetingTimeout: patienceMs,
        socketTimeout: patienceMs,
        disableFileAccess: true,
        disableUrlAccess: true,
      })
      try {
        await transport.sendMail({
          from,
          // An object: what stands in it is an address and nothing else.
          to: { name: '', address: to },
          subject,
          text,
          // The same at every try: a mail that arrived although we did not hear so is recognised as the same.
          messageId: `<${id}@${domain}>`,
          headers: { 'Auto-Submitted': 'auto-generated', 'X-Auto-Response-Suppress': 'All' },
        })
      } catch (error) {
        throw refusalOf(error)
      } finally {
        transport.close()
      }
    },
    close() {},
  }
}

async function passwordOf(file: string | undefined): Promise<string> {
  if (file === undefined) return ''
  return (
    await readFile(file, 'utf8').catch((cause: unknown) => {
      throw new MailRefused(`the file of mail.passwordFile cannot be read: ${(cause as Error).message}`, {
        serverDown: true,
      })
    })
  ).trim()
}

/** A refused recipient or text (5xx after sign-in) is for good; everything else is tried again. */
function refusalOf(error: unknown): MailRefused {
  if (error instanceof MailRefused) return error
  const { code, responseCode, message } = error as { code?: string; responseCode?: number; message?: string }
  const said = message ?? String(error)
  if (code === 'EENVELOPE' || code === 'EMESSAGE') {
    return new MailRefused(said, { forGood: responseCode !== undefined && responseCode >= 500 })
  }
  return new MailRefused(said, { serverDown: true })
}
