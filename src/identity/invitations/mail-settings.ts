/** How mail leaves; without a host none does, and pages show the links to copy. */
import { z } from 'zod'

export const mailSettings = z.strictObject({
  host: z.string().min(1).optional().describe('SMTP server; absent: no mail is sent, and links are shown to be copied'),
  port: z.number().int().min(1).max(65_535).default(587).describe('port of the SMTP server'),
  tls: z
    .enum(['starttls', 'always', 'never'])
    .default('starttls')
    .describe(
      "'starttls' (must be offered), 'always' (from the first byte, port 465), 'never' (only inside this machine)",
    ),
  from: z
    .string()
    .regex(/^[^\s@<>]+@[^\s@<>]+$/)
    .optional()
    .describe('sender of all mails; default: cygnet@ the host of publicUrl'),
  user: z.string().optional().describe('name to sign in at the SMTP server'),
  passwordFile: z.string().optional().describe('file (0600) with the password for the SMTP server'),
})
