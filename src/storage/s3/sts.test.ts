/** STS as people's tools use it: token in, temporary keys out, and what those keys can do and no longer do. */
import { spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { describe, expect, onTestFinished, test } from 'vitest'
import type { Action } from '../../foundation/contract.ts'
import { migrate, openDatabase } from '../../foundation/database.ts'
import { openFacts } from '../../foundation/facts.ts'
import { createApp } from '../../foundation/http.ts'
import { createLogger } from '../../foundation/log.ts'
import { runCommand } from '../../foundation/processes.ts'
import { freePort, temporaryDirectory } from '../../foundation/testing.ts'
import { systemClock } from '../../foundation/time.ts'
import { decide, identityMigrations, openIdentity, subjectOfAccessKey, type Identity } from '../../identity/index.ts'
import { storageFaults } from '../errors.ts'
import { openTestStorage, signedHeaders } from '../testing.ts'
import { createS3Handler, createS3Server } from './handler.ts'
import { parseXml, type XmlElement } from './xml.ts'

const python = process.env.CYGNET_TEST_PYTHON
const hasBoto = python !== undefined && spawnSync(python, ['-c', 'import boto3']).status === 0
const aws = python === undefined ? undefined : [join(dirname(python), 'aws')].find((path) => existsSync(path))
const hasCurl = spawnSync('sh', ['-c', 'command -v curl']).status === 0

interface Place {
  identity: Identity
  url: string
  s3Url: string
  logLines: string[]
  personToken(name: string, role?: 'member' | 'guest' | 'exp-admin'): Promise<string>
  /** A narrower token of the issuer of cygno. */
  exchange(token: string, scope: string, audience?: string): Promise<string>
  sts(parameters: Record<string, string>, inQuery?: boolean): Promise<{ status: number; xml: XmlElement; text: string }>
}

async function openPlace(): Promise<Place> {
  const { path } = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(path, 'database.sqlite')}` })
  await migrate(database, [identityMigrations])
  const logLines: string[] = []
  const log = createLogger({
    process: 'test',
    level: 'trace',
    destination: { write: (line) => void logLines.push(line) },
  })
  const clock = systemClock()
  const facts = openFacts({ database, clock, log })
  const [port, s3Port] = [await freePort(), await freePort()]
  const [url, s3Url] = [`http://127.0.0.1:${port}`, `http://127.0.0.1:${s3Port}`]
  const identity = await openIdentity({
    database,
    facts,
    clock,
    log,
    secretsDirectory: join(path, 'secrets'),
    publicUrl: url,
    s3Url,
  })
  const app = createApp({ log })
  identity.routes(app)
  await app.listen({ host: '127.0.0.1', port })
  const { storage } = await openTestStorage()
  for (const purpose of ['raw', 'work'] as const)
    await storage.createBucket({ name: `cygno-${purpose}`, experiment: 'cygno', purpose })
  const server = createS3Server(
    createS3Handler({
      storage,
      log,
      region: 'us-east-1',
      accessKey: (id: string) => subjectOfAccessKey(identity.snapshotPart(), id),
      permit(subject, action, where) {
        const { allow, reason } = decide(subject, action as Action, where)
        if (!allow) throw storageFaults.accessDenied(reason)
      },
      sts: {
        assumeRole: identity.assumeRole,
        callerOf: ({ id }) => ({ account: 'cygno', arn: `arn:aws:sts::cygno:assumed-role/member/${id}`, userId: id }),
      },
    }),
  )
  await new Promise<void>((listening) => server.listen(s3Port, '127.0.0.1', listening))
  onTestFinished(async () => {
    server.closeAllConnections()
    server.close()
    await app.close()
    await identity.close()
    await facts.close()
    await database.close()
  })
  await identity.experimentGroupOf('cygno')
  const post = async (address: string, fields: Record<string, string>) =>
    await fetch(address, { method: 'POST', body: new URLSearchParams(fields) })
  return {
    identity,
    url,
    s3Url,
    logLines,
    async personToken(name, role = 'member') {
      const roles = [{ experiment: 'cygno', role }]
      const { signInLink } = await identity.createPerson({ name, displayName: name, siteAdmin: false, roles })
      const answer = await fetch(`${url}/api/identity/token`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: signInLink.code }),
      })
      return ((await answer.json()) as { accessToken: string }).accessToken
    },
    async exchange(token, scope, audience = s3Url) {
      const answer = await post(`${url}/e/cygno/oidc/token`, {
        grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
        subject_token: token,
        subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
        scope,
        audience,
      })
      const body = (await answer.json()) as { access_token?: string; error?: string }
      if (body.access_token === undefined) throw new Error(`${answer.status} ${JSON.stringify(body)}`)
      return body.access_token
    },
    async sts(parameters, inQuery = false) {
      const all = { Version: '2011-06-15', Action: 'AssumeRoleWithWebIdentity', ...parameters }
      const answer = inQuery
        ? await fetch(`${s3Url}/?${new URLSearchParams(all)}`, { method: 'POST' })
        : await post(`${s3Url}/`, all)
      const text = await answer.text()
      return { status: answer.status, xml: parseXml(text), text }
    },
  }
}

const find = (xml: XmlElement, ...names: string[]): string | undefined => {
  const found = names.reduce<XmlElement | undefined>((at, name) => at?.children.find((one) => one.name === name), xml)
  return found?.text
}
const errorOf = (xml: XmlElement) => find(xml, 'Error', 'Code')

interface Credentials {
  id: string
  secret: string
  token: string
}

async function credentialsOf(place: Place, token: string, more: Record<string, string> = {}): Promise<Credentials> {
  const { status, xml, text } = await place.sts({ WebIdentityToken: token, ...more })
  if (status !== 200) throw new Error(text)
  const of = (name: string) => find(xml, 'AssumeRoleWithWebIdentityResult', 'Credentials', name) ?? ''
  return { id: of('AccessKeyId'), secret: of('SecretAccessKey'), token: of('SessionToken') }
}

/** Status of a signed request with these credentials. */
async function asked(
  place: Place,
  method: string,
  path: string,
  { id, secret, token }: Credentials,
  body?: string,
): Promise<number> {
  const address = `${place.s3Url}${path}`
  const { host: _host, ...headers } = signedHeaders(method, address, {
    key: { id, secret },
    headers: token === '' ? {} : { 'x-amz-security-token': token },
    ...(body === undefined ? {} : { body }),
  })
  const answer = await fetch(address, { method, headers, ...(body === undefined ? {} : { body }) })
  return answer.status
}

describe('AssumeRoleWithWebIdentity', () => {
  test('B-26 answers the form, the query string and a RoleArn alike, and the token is in no log', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const answers = [
      await place.sts({ WebIdentityToken: token }),
      await place.sts({ WebIdentityToken: token, DurationSeconds: '900' }, true),
      await place.sts({
        WebIdentityToken: token,
        RoleArn: 'arn:aws:iam::cygno:role/IAMaccess',
        RoleSessionName: 'Bob',
      }),
    ]
    for (const { status, xml, text } of answers) {
      expect(status).toBe(200)
      expect(text).toContain('<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">')
      const result = xml.children.find(({ name }) => name === 'AssumeRoleWithWebIdentityResult')!
      expect(find(result, 'Credentials', 'AccessKeyId')).toMatch(/^ASIA[A-Z2-7]{16}$/)
      expect(find(result, 'Credentials', 'SecretAccessKey')).toHaveLength(40)
      expect(find(result, 'Credentials', 'Expiration')).toMatch(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ$/)
      expect(find(result, 'Audience')).toBe(place.url)
      expect(find(result, 'Provider')).toBe(`${place.url}/oidc`)
      expect(find(result, 'AssumedRoleUser', 'Arn')).toMatch(/^arn:aws:sts::\w+:assumed-role\/(member|IAMaccess)\//)
    }
    expect(find(answers[2]!.xml, 'AssumeRoleWithWebIdentityResult', 'AssumedRoleUser', 'Arn')).toContain('::cygno:')
    // A second request that fails must not show it either.
    await place.sts({ WebIdentityToken: token, DurationSeconds: '1' }, true)
    await place.sts({ WebIdentityToken: `${token}x` }, true)
    const [, , signature] = token.split('.')
    expect(place.logLines.join('\n')).not.toContain(signature!.slice(0, 20))
    expect(place.logLines.join('\n')).toContain('sts refusal')
  })

  test('keys work with their session token and not without; they end with what they were made from', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const key = await credentialsOf(place, token)
    expect(await asked(place, 'PUT', '/cygno-work/a.txt', key, 'hello')).toBe(200)
    expect(await asked(place, 'GET', '/cygno-work/a.txt', key)).toBe(200)
    // B-30
    expect(await asked(place, 'GET', '/cygno-work/a.txt', { ...key, token: '' })).toBe(400)
    const other = await credentialsOf(place, token)
    expect(await asked(place, 'GET', '/cygno-work/a.txt', { ...key, token: other.token })).toBe(400)
    expect(await asked(place, 'GET', '/cygno-work/a.txt', { ...key, secret: other.secret })).toBe(403)
    // A key of STS is for S3 and gives no token.
    const back = await fetch(`${place.url}/api/identity/token`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ accessKeyId: key.id, secretAccessKey: key.secret }),
    })
    expect(back.status).toBe(401)
    const headers = { authorization: `Bearer ${token}` }
    const { items } = (await (await fetch(`${place.url}/api/identity/temporary-keys`, { headers })).json()) as {
      items: { accessKeyId: string }[]
    }
    expect(items.map((one) => one.accessKeyId).sort()).toEqual([key.id, other.id].sort())
    await fetch(`${place.url}/api/identity/access-keys/${key.id}`, { method: 'DELETE', headers })
    expect(await asked(place, 'GET', '/cygno-work/a.txt', key)).toBe(403)
    expect(await asked(place, 'GET', '/cygno-work/a.txt', other)).toBe(200)
    await fetch(`${place.url}/api/identity/sessions`, { method: 'DELETE', headers })
    expect(await asked(place, 'GET', '/cygno-work/a.txt', other)).toBe(403)
  })

  test('a path scope and a session policy only narrow; an empty policy allows nothing', async () => {
    const place = await openPlace()
    const anna = await place.personToken('anna', 'exp-admin')
    const whole = await credentialsOf(place, anna)
    for (const name of ['a/x', 'ab/x', 'b/x', 'a/deep/y'])
      expect(await asked(place, 'PUT', `/cygno-work/${name}`, whole, 'hello')).toBe(200)
    const reading = await credentialsOf(place, await place.exchange(anna, 'storage.read:/work/a'))
    expect(await asked(place, 'GET', '/cygno-work/a/deep/y', reading)).toBe(200)
    // B-13: whole segments only.
    expect(await asked(place, 'GET', '/cygno-work/ab/x', reading)).toBe(403)
    expect(await asked(place, 'PUT', '/cygno-work/a/z', reading, 'x')).toBe(403)
    const creating = await credentialsOf(place, await place.exchange(anna, 'storage.create:/work/a'))
    expect(await asked(place, 'PUT', '/cygno-work/a/new', creating, 'x')).toBe(200)
    expect(await asked(place, 'PUT', '/cygno-work/a/new', creating, 'y')).toBe(403)
    expect(await asked(place, 'PUT', '/cygno-work/a/x', creating, 'y')).toBe(403)
    expect(await asked(place, 'DELETE', '/cygno-work/a/x', creating)).toBe(403)
    expect(await asked(place, 'PUT', '/cygno-work/bargain', creating, 'y')).toBe(403)
    expect(await asked(place, 'GET', '/cygno-work/a/x', creating)).toBe(403)

    const policy = (statement: unknown) => ({ Policy: JSON.stringify({ Version: '2012-10-17', Statement: statement }) })
    const allow = (Action: string | string[], Resource: string) => ({ Effect: 'Allow', Action, Resource })
    const cut = await credentialsOf(place, anna, policy([allow('s3:GetObject', 'arn:aws:s3:::cygno-work/a/*')]))
    expect(await asked(place, 'GET', '/cygno-work/a/x', cut)).toBe(200)
    expect(await asked(place, 'GET', '/cygno-work/b/x', cut)).toBe(403)
    expect(await asked(place, 'PUT', '/cygno-work/a/q', cut, 'x')).toBe(403)
    // More than the token has gives no more than the token has.
    const more = await credentialsOf(
      place,
      await place.exchange(anna, 'storage.read:/work/b'),
      policy(allow('s3:*', '*')),
    )
    expect(await asked(place, 'GET', '/cygno-work/b/x', more)).toBe(200)
    expect(await asked(place, 'GET', '/cygno-work/a/x', more)).toBe(403)
    expect(await asked(place, 'PUT', '/cygno-work/b/q', more, 'x')).toBe(403)
    for (const empty of ['{}', 'null', '{"Statement":[]}']) {
      const nothing = await credentialsOf(place, anna, { Policy: empty })
      expect([empty, await asked(place, 'GET', '/cygno-work/a/x', nothing)]).toEqual([empty, 403])
      expect(await asked(place, 'GET', '/cygno-work?list-type=2', nothing)).toBe(403)
    }
  })

  test('B-25 says what is wrong in the words that tools know', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const expected: [Record<string, string>, number, string][] = [
      [{}, 400, 'MissingParameter'],
      [{ WebIdentityToken: token, Action: 'AssumeRole' }, 400, 'InvalidAction'],
      [{ WebIdentityToken: token, Version: '2010-05-08' }, 400, 'InvalidParameterValue'],
      ...['899', '1000000000', 'abc', '3600.5', '43201', '-1', '0x400'].map(
        (DurationSeconds) =>
          [{ WebIdentityToken: token, DurationSeconds }, 400, 'InvalidParameterValue'] as [
            Record<string, string>,
            number,
            string,
          ],
      ),
      [{ WebIdentityToken: 'hello' }, 400, 'InvalidIdentityToken'],
      [{ WebIdentityToken: `${token} ` }, 400, 'InvalidIdentityToken'],
      [{ WebIdentityToken: 'x'.repeat(9000) }, 400, 'InvalidIdentityToken'],
      [{ WebIdentityToken: token, Policy: `{"a":"${'x'.repeat(2048)}"}` }, 400, 'PackedPolicyTooLarge'],
      [{ WebIdentityToken: token, Policy: 'not JSON' }, 400, 'MalformedPolicyDocument'],
      [{ WebIdentityToken: token, Policy: '{"Statement":[{"Effect":"Allow"}]}' }, 400, 'MalformedPolicyDocument'],
      [{ WebIdentityToken: token, RoleArn: 'member' }, 400, 'InvalidParameterValue'],
      [{ WebIdentityToken: token, RoleArn: 'arn:aws:iam::other:role/x' }, 403, 'AccessDenied'],
    ]
    for (const [parameters, status, code] of expected) {
      const answer = await place.sts(parameters)
      expect([parameters, answer.status, errorOf(answer.xml)]).toEqual([parameters, status, code])
    }
  })

  test('one parameter twice, in form and query, is refused; a body without end too', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const twice = await fetch(`${place.s3Url}/?WebIdentityToken=${token}&Action=AssumeRoleWithWebIdentity`, {
      method: 'POST',
      body: new URLSearchParams({ WebIdentityToken: token }),
    })
    expect(twice.status).toBe(400)
    const long = await fetch(`${place.s3Url}/`, {
      method: 'POST',
      body: new URLSearchParams({ Policy: 'x'.repeat(60_000) }),
    })
    expect(long.status).toBe(413)
  })

  test('wrong tokens are told to wait after a while, and right ones pass beside them', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const codes: (string | undefined)[] = []
    for (let tries = 0; tries < 25; tries++) codes.push(errorOf((await place.sts({ WebIdentityToken: 'hello' })).xml))
    expect(codes).toContain('InvalidIdentityToken')
    expect(codes.at(-1)).toBe('Throttling')
    expect((await place.sts({ WebIdentityToken: token })).status).toBe(200)
  })
})

describe('tools', () => {
  test.skipIf(!hasCurl)('plain curl', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const { path } = await temporaryDirectory()
    await writeFile(join(path, 'token'), token)
    const argv = ['-sS', '-f', `${place.s3Url}/`, '-d', 'Action=AssumeRoleWithWebIdentity', '-d', 'Version=2011-06-15']
    const argv2 = ['--data-urlencode', `WebIdentityToken@${join(path, 'token')}`]
    const made = await runCommand(['curl', ...argv, ...argv2], { timeoutMs: 30_000 })
    expect([made.code, made.stderr]).toEqual([0, ''])
    expect(made.stdout).toContain('<SessionToken>')
  })

  test.skipIf(!hasBoto)("boto3's own web-identity provider, GetCallerIdentity, presigned addresses", async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const { path } = await temporaryDirectory()
    await writeFile(join(path, 'token'), token)
    const script = `
import boto3, json, urllib.request, urllib.error
from botocore.config import Config
from botocore.exceptions import ClientError
session = boto3.Session()
s3 = session.client("s3", endpoint_url="${place.s3Url}", config=Config(signature_version="s3v4", s3={"addressing_style": "path"}))
sts = session.client("sts", endpoint_url="${place.s3Url}")
s3.put_object(Bucket="cygno-work", Key="from-boto.txt", Body=b"hello")
who = sts.get_caller_identity()
url = s3.generate_presigned_url("get_object", Params={"Bucket": "cygno-work", "Key": "from-boto.txt"}, ExpiresIn=60)
def status(address):
  try: return urllib.request.urlopen(address).status
  except urllib.error.HTTPError as error: return error.code
import re
without = re.sub(r"X-Amz-Security-Token=[^&]*&?", "", url)
direct = boto3.client("sts", endpoint_url="${place.s3Url}", aws_access_key_id="x", aws_secret_access_key="y").assume_role_with_web_identity(
  RoleArn="arn:aws:iam::cygno:role/member", RoleSessionName="xy", WebIdentityToken=open("${path}/token").read(), DurationSeconds=900)
def code(call):
  try: call(); return 200
  except ClientError as error: return error.response["Error"]["Code"]
wrong = boto3.client("sts", endpoint_url="${place.s3Url}", aws_access_key_id="ASIAXXXXXXXXXXXXXXXX", aws_secret_access_key="y", aws_session_token="z")
print(json.dumps(dict(
  key=session.get_credentials().access_key[:4], method=session.get_credentials().method,
  body=s3.get_object(Bucket="cygno-work", Key="from-boto.txt")["Body"].read().decode(), account=who["Account"], arn=who["Arn"][:26],
  presigned=status(url), without=status(without), direct=direct["Credentials"]["AccessKeyId"][:4], audience=direct["Audience"],
  refused=code(lambda: s3.put_object(Bucket="cygno-raw", Key="x", Body=b"x")), wrong=code(wrong.get_caller_identity))))`
    const { code, stdout, stderr } = await runCommand([python!, '-c', script], {
      timeoutMs: 60_000,
      env: {
        PATH: process.env.PATH,
        HOME: path,
        AWS_WEB_IDENTITY_TOKEN_FILE: join(path, 'token'),
        AWS_ROLE_ARN: 'arn:aws:iam::cygno:role/member',
        AWS_ROLE_SESSION_NAME: 'anna',
        AWS_ENDPOINT_URL_STS: place.s3Url,
        AWS_DEFAULT_REGION: 'us-east-1',
        AWS_EC2_METADATA_DISABLED: 'true',
      },
    })
    expect([code, stderr]).toEqual([0, ''])
    expect(JSON.parse(stdout)).toEqual({
      key: 'ASIA',
      method: 'assume-role-with-web-identity',
      body: 'hello',
      account: 'cygno',
      arn: 'arn:aws:sts::cygno:assumed',
      presigned: 200,
      without: 403,
      direct: 'ASIA',
      audience: place.url,
      refused: 'AccessDenied',
      wrong: 'InvalidClientTokenId',
    })
  })

  test.skipIf(aws === undefined)('the aws command line', async () => {
    const place = await openPlace()
    const token = await place.personToken('anna')
    const { path } = await temporaryDirectory()
    await writeFile(join(path, 'token'), token)
    await writeFile(join(path, 'file'), 'hello')
    const env = {
      PATH: process.env.PATH,
      HOME: path,
      AWS_WEB_IDENTITY_TOKEN_FILE: join(path, 'token'),
      AWS_ROLE_ARN: 'arn:aws:iam::cygno:role/S3AccessIAM200',
      AWS_ENDPOINT_URL: place.s3Url,
      AWS_DEFAULT_REGION: 'us-east-1',
      AWS_EC2_METADATA_DISABLED: 'true',
    }
    const copied = await runCommand([aws!, 's3', 'cp', join(path, 'file'), 's3://cygno-work/x/'], {
      env,
      timeoutMs: 60_000,
    })
    expect([copied.code, copied.stderr]).toEqual([0, ''])
    const who = await runCommand([aws!, 'sts', 'get-caller-identity'], { env, timeoutMs: 60_000 })
    expect(JSON.parse(who.stdout)).toMatchObject({ Account: 'cygno' })
  })
})
