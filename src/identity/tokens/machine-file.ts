/**
 * The file of a machine that has a key of its own: made once by `cygnet daq enrol`, readable by its owner only. The private
 * key never leaves the machine; what is got with it lives for an hour.
 */
import { createPrivateKey, generateKeyPairSync, randomUUID, sign as signBytes } from 'node:crypto'
import { stat } from 'node:fs/promises'
import { z } from 'zod'
import { readJsonFile, writeFileDurable } from '../../foundation/files.ts'
import { identityFaults } from '../errors.ts'
import type { MachinePublicKey } from './machines.ts'

const fileSchema = z.object({
  clientId: z.string(),
  keyId: z.string(),
  issuer: z.url(),
  scope: z.string(),
  s3Url: z.url().nullable(),
  privateKey: z.object({ kty: z.literal('EC'), crv: z.literal('P-256'), x: z.string(), y: z.string(), d: z.string() }),
})
export type MachineFile = z.infer<typeof fileSchema>

export function newKeyPair(): { publicKey: MachinePublicKey; privateKey: MachineFile['privateKey'] } {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const whole = fileSchema.shape.privateKey.parse(privateKey.export({ format: 'jwk' }))
  const { kty, crv, x, y } = whole
  return { publicKey: { kty, crv, x, y }, privateKey: whole }
}

export async function writeMachineFile(path: string, content: MachineFile): Promise<void> {
  await writeFileDurable(path, `${JSON.stringify(content, null, 2)}\n`, { mode: 0o400 })
}

/** @throws Fault identity.insecure_secrets, identity.no_such_client */
export async function readMachineFile(path: string): Promise<MachineFile> {
  const content = await readJsonFile(path, fileSchema)
  if (content === undefined)
    throw identityFaults.noSuchClient(`There is no file ${path}.`, {
      hint: 'Make it on this machine: cygnet daq enrol.',
    })
  if (((await stat(path)).mode & 0o077) !== 0)
    throw identityFaults.insecureSecrets(`${path} can be read by others.`, { hint: `chmod 400 ${path}` })
  return content
}

/** An access token of the machine; less than everything with a scope. */
export async function machineToken(
  { clientId, keyId, issuer, privateKey }: MachineFile,
  asked: { scope?: string | undefined; audience?: string | undefined } = {},
): Promise<string> {
  const now = Math.floor(Date.now() / 1000)
  const input = [
    { alg: 'ES256', typ: 'JWT', kid: keyId },
    { iss: clientId, sub: clientId, aud: issuer, jti: randomUUID(), iat: now, exp: now + 60 },
  ]
    .map((part) => Buffer.from(JSON.stringify(part)).toString('base64url'))
    .join('.')
  const key = createPrivateKey({ key: { ...privateKey }, format: 'jwk' })
  const signature = signBytes('sha256', Buffer.from(input), { key, dsaEncoding: 'ieee-p1363' })
  return await askForToken(issuer, {
    grant_type: 'client_credentials',
    client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
    client_assertion: `${input}.${signature.toString('base64url')}`,
    ...(asked.scope !== undefined && { scope: asked.scope }),
    ...(asked.audience !== undefined && { audience: asked.audience }),
  })
}

const answerSchema = z.union([
  z.object({ access_token: z.string() }),
  z.object({ error: z.string(), error_description: z.string().default('') }),
])

/** At the token endpoint of an experiment's issuer. @throws Fault identity.not_allowed, identity.unreachable */
export async function askForToken(issuer: string, fields: Record<string, string>): Promise<string> {
  const response = await fetch(`${issuer}/oidc/token`, { method: 'POST', body: new URLSearchParams(fields) }).catch(
    (cause: unknown) => {
      throw identityFaults.unreachable(`${new URL(issuer).origin} does not answer.`, { cause })
    },
  )
  const answer = answerSchema.safeParse(await response.json().catch(() => undefined))
  if (!answer.success) throw identityFaults.unreachable(`${issuer} answered ${response.status}.`)
  if ('access_token' in answer.data) return answer.data.access_token
  throw identityFaults.notAllowed(`No token: ${answer.data.error_description} (${answer.data.error}).`)
}
