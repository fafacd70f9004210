/**
 * The platform over https with a certificate of a private authority, used by real clients: curl, boto3, the command
 * line, the DAQ agent, the Python client, a browser's cookie; and a certificate replaced while it runs.
 */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest } from 'node:https'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { connect } from 'node:tls'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { checkout, eventually, runCygnet, startPlatform, type RunningPlatform } from './platform.ts'

const noOpenssl = spawnSync('openssl', ['version']).status === 0 ? '' : 'SKIPPED: there is no openssl command here'
const python = process.env.CYGNET_TEST_PYTHON
const noBoto3 =
  python !== undefined && spawnSync(python, ['-c', 'import boto3']).status === 0
    ? ''
    : 'SKIPPED: CYGNET_TEST_PYTHON has no boto3 here'
const noCurl = spawnSync('curl', ['--version']).status === 0 ? '' : 'SKIPPED: there is no curl here'

const folder = mkdtempSync(join(tmpdir(), 'cygnet-faces-'))
const at = (name: string) => join(folder, name)

/** A new key and certificate from our authority, put where the platform looks for them. */
function installCertificate(name: string): void {
  const newKey = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const subject = ['-subj', `/CN=${name}`]
  openssl('req', ...newKey, ...subject, '-keyout', at(`${name}.key`), '-out', at(`${name}.csr`))
  const signer = [
    '-CA',
    at('ca.pem'),
    '-CAkey',
    at('ca.key'),
    '-CAcreateserial',
    '-days',
    '2',
    '-extfile',
    at('names.cnf'),
  ]
  openssl('x509', '-req', '-in', at(`${name}.csr`), ...signer, '-out', at(`${name}.pem`))
  copyFileSync(at(`${name}.key`), at('site.key'))
  copyFileSync(at(`${name}.pem`), at('site.pem'))
}

function openssl(...argv: string[]): void {
  const { status, stderr } = spawnSync('openssl', argv, { encoding: 'utf8' })
  if (status !== 0) throw new Error(stderr)
}

describe.skipIf(noOpenssl !== '')(`https ${noOpenssl}`, () => {
  let platform: RunningPlatform
  const trusting = { HOME: folder, CYGNET_CA_FILE: at('ca.pem'), CYGNET_TOKEN: '' }
  const json = async <Answer>(...argv: string[]): Promise<Answer> => {
    const { code, stdout, stderr } = await runCygnet([...argv, '--json'], trusting)
    if (code !== 0) throw new Error(`cygnet ${argv.join(' ')} ended with ${code}: ${stderr}`)
    return JSON.parse(stdout.trim().split('\n').at(-1)!) as Answer
  }
  const https = async (
    path: string,
    options: { method?: string; headers?: Record<string, string>; body?: string } = {},
  ) => {
    const { method = 'GET', headers = {}, body } = options
    const request = httpsRequest(platform.platformUrl + path, {
      method,
      headers,
      ca: readFileSync(at('ca.pem')),
      agent: false,
    })
    request.end(body)
    const [answer] = (await once(request, 'response')) as [IncomingMessage]
    let text = ''
    for await (const chunk of answer) text += String(chunk)
    return { status: answer.statusCode, headers: answer.headers, text }
  }

  beforeAll(async () => {
    openssl('req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes', '-days', '2', '-subj', '/CN=Institute', '-keyout', at('ca.key'), '-out', at('ca.pem')) // prettier-ignore
    writeFileSync(at('names.cnf'), 'subjectAltName=IP:127.0.0.1,DNS:localhost\n')
    installCertificate('first')
    mkdirSync(at('home'))
    writeFileSync(
      at('home/cygnet.yaml'),
      `http:\n  tls:\n    certificate: ${at('site.pem')}\n    key: ${at('site.key')}\n`,
    )
    platform = await startPlatform({ home: at('home') })
    const { url } = JSON.parse((await runCygnet(['admin-link', '--home', platform.home, '--json'])).stdout) as {
      url: string
    }
    await json('login', '--code', url)
    await json('experiments', 'create', 'demo', '--setup', 'lime', '--series', 'sim')
  })
  afterAll(async () => {
    await platform?.stop()
    rmSync(folder, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
  })

  test('is where the platform says it is, and only for who trusts the authority', async () => {
    expect(platform.platformUrl).toMatch(/^https:\/\/127\.0\.0\.1:\d+$/)
    expect(platform.s3Url).toMatch(/^https:/)
    expect((await https('/api/health')).status).toBe(200)
    expect((await https('/')).headers['strict-transport-security']).toMatch(/max-age=\d{8}/)
    await expect(fetch(`${platform.platformUrl}/api/health`)).rejects.toThrow()
    const distrusting = await runCygnet(['whoami', '--json'], { ...trusting, CYGNET_CA_FILE: '' })
    expect(distrusting.code).toBe(5)
    const wrong = await runCygnet(['whoami', '--json'], { ...trusting, CYGNET_CA_FILE: at('names.cnf') })
    expect(wrong.code).not.toBe(0)
    expect(wrong.stderr).toContain('CYGNET_CA_FILE')
  })

  test.skipIf(noCurl !== '')(`curl ${noCurl}`, () => {
    const curl = (...argv: string[]) => spawnSync('curl', ['-s', '-m', '20', ...argv], { encoding: 'utf8' })
    const answer = curl('--cacert', at('ca.pem'), `${platform.platformUrl}/api/health`)
    expect(JSON.parse(answer.stdout)).toMatchObject({ status: 'ok' })
    // 60: the certificate is of nobody it knows.
    expect(curl(`${platform.platformUrl}/api/health`).status).toBe(60)
  })

  test('a browser signs in with a cookie that no neighbour can plant', async () => {
    const { url } = JSON.parse((await runCygnet(['admin-link', '--home', platform.home, '--json'])).stdout) as {
      url: string
    }
    const headers = {
      'content-type': 'application/json',
      origin: platform.platformUrl,
      'sec-fetch-site': 'same-origin',
    }
    const body = JSON.stringify({ code: new URL(url).hash.replace('#code=', '') })
    const answer = await https('/api/identity/sessions/redeem', { method: 'POST', headers, body })
    const [cookie = ''] = answer.headers['set-cookie'] ?? []
    expect(cookie).toMatch(/^__Host-cygnet_session_\d+=[\w-]+; Path=\/; .*HttpOnly; SameSite=Strict; Secure$/)
    const [pair = ''] = cookie.split(';')
    expect((await https('/api/identity/me', { headers: { cookie: pair } })).status).toBe(200)
    expect((await https('/api/identity/me', { headers: { cookie: pair.replace('__Host-', '') } })).status).toBe(401)
    const change = (site: string) =>
      https('/api/identity/access-keys', {
        method: 'POST',
        headers: { cookie: pair, 'content-type': 'application/json', 'sec-fetch-site': site },
        body: '{}',
      })
    expect([(await change('same-site')).status, (await change('same-origin')).status]).toEqual([403, 200])
  })

  test('the DAQ agent brings a run in', async () => {
    const { accessKey } = JSON.parse(
      (
        await https('/api/identity/clients', {
          method: 'POST',
          headers: { ...(await bearer()), 'content-type': 'application/json' },
          body: JSON.stringify({ experiment: 'demo', name: 'daq' }),
        })
      ).text,
    ) as { accessKey: object }
    writeFileSync(at('daq.key'), JSON.stringify(accessKey), { mode: 0o600 })
    await json('daq', 'simulate', '--dir', at('daq'), '--runs', '1', '--images', '1', '--pedestal-images', '0')
    const place = ['-e', 'demo', '--setup', 'lime', '--series', 'sim', '--server', platform.platformUrl]
    await json('daq', 'watch', at('daq'), ...place, '--key-file', at('daq.key'), '--once')
    const runs = await eventually('the run', async () => {
      const answer = JSON.parse((await https('/api/experiments/demo/runs', { headers: await bearer() })).text) as {
        items: object[]
      }
      return answer.items.length > 0 ? answer.items : undefined
    })
    expect(runs[0]).toMatchObject({ series: 'sim' })
  })

  test.skipIf(noBoto3 !== '')(
    `boto3, and the Python client with the sign-in of the command line ${noBoto3}`,
    async () => {
      const key = await json<{ accessKeyId: string; secretAccessKey: string }>('credentials', 'create')
      const script = `
import boto3, os, sys
s3 = boto3.client("s3", endpoint_url=os.environ["S3"], region_name="cygnet", verify=os.environ["CYGNET_CA_FILE"],
                  aws_access_key_id=os.environ["KEY"], aws_secret_access_key=os.environ["SECRET"])
s3.put_object(Bucket="demo-work", Key="a b/\\u00fc+%2f.txt", Body=b"over https")
print(s3.get_object(Bucket="demo-work", Key="a b/\\u00fc+%2f.txt")["Body"].read().decode())
import cygnet
print(len(cygnet.open("demo").info()) > 0, cygnet.load().s3_url)
`
      const child = spawn(python!, ['-c', script], {
        env: {
          ...process.env,
          ...trusting,
          PYTHONPATH: join(checkout, 'python', 'src'),
          S3: platform.s3Url,
          KEY: key.accessKeyId,
          SECRET: key.secretAccessKey,
        },
        stdio: ['ignore', 'pipe', 'pipe'],
      })
      let out = ''
      let errors = ''
      child.stdout.on('data', (chunk: Buffer) => (out += chunk.toString()))
      child.stderr.on('data', (chunk: Buffer) => (errors += chunk.toString()))
      const [code] = (await once(child, 'close')) as [number]
      expect(code, errors).toBe(0)
      expect(out.trim().split('\n')).toEqual(['over https', `True ${platform.s3Url}`])
    },
  )

  test('a new certificate serves on every gateway without a restart', async () => {
    const pids = ['control', 'gateway-1', 'gateway-2'].map((name) => platform.pidOf(name))
    const nameNow = async () => {
      const { hostname, port } = new URL(platform.platformUrl)
      const socket = connect({ host: hostname, port: Number(port), ca: readFileSync(at('ca.pem')) })
      await once(socket, 'secureConnect')
      const { CN } = socket.getPeerCertificate().subject
      socket.destroy()
      return String(CN)
    }
    expect(await nameNow()).toBe('first')
    installCertificate('second')
    await eventually('the new certificate, ten times in a row', async () => {
      for (let each = 0; each < 10; each++) if ((await nameNow()) !== 'second') return undefined
      return true
    })
    expect(['control', 'gateway-1', 'gateway-2'].map((name) => platform.pidOf(name))).toEqual(pids)
    expect((await https('/api/health')).status).toBe(200)
  })

  async function bearer(): Promise<Record<string, string>> {
    const { accessToken } = JSON.parse(readFileSync(join(folder, '.config', 'cygnet', 'default.json'), 'utf8')) as {
      accessToken: string
    }
    return { authorization: `Bearer ${accessToken}` }
  }
})

test('nobody serves beyond this machine without TLS by mistake', async () => {
  const home = mkdtempSync(join(tmpdir(), 'cygnet-faces-'))
  const { code, stderr } = await runCygnet(['up', '--public', '--home', home, '--port', '8410'])
  rmSync(home, { recursive: true, force: true })
  expect(code).toBe(2)
  expect(stderr).toContain('needs TLS')
  expect(stderr).toContain('http.behindProxy')
})
