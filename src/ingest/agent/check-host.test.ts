/** The look at a DAQ machine: each thing that can be wrong is named, with what to do about it, and nothing is changed. */
import { execFile, execFileSync } from 'node:child_process'
import { chmod, mkdir, readFile, readdir, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import { createServer as createSecureServer } from 'node:https'
import { connect, type AddressInfo, type Server } from 'node:net'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { Finding } from '../../foundation/findings.ts'
import { freePort, temporaryDirectory } from '../../foundation/testing.ts'
import { checkHost, type HostCheck } from './check-host.ts'

async function place(more: Partial<HostCheck> = {}): Promise<HostCheck> {
  const { path } = await temporaryDirectory()
  const directory = join(path, 'daq')
  await mkdir(directory)
  const keyFile = join(path, 'daq.key')
  await writeFile(keyFile, '{"accessKeyId":"CYGTEST","secretAccessKey":"s"}', { mode: 0o600 })
  const serverUrl = `http://127.0.0.1:${await freePort()}`
  return { directory, keyFile, serverUrl, experiment: 'demo', setup: 'lime', series: 'sim', ...more }
}

async function listening(server: Server): Promise<number> {
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done))
  onTestFinished(() => void server.close())
  return (server.address() as AddressInfo).port
}

/** What a platform says about its health, `skewMs` away from us; everything else is refused as an unknown key is. */
async function healthy(skewMs = 0): Promise<string> {
  const server = createServer((request, response) => {
    response.setHeader('connection', 'close')
    if (request.url === '/api/health')
      return void response.end(JSON.stringify({ status: 'ok', version: '9.9.9', nowMs: Date.now() + skewMs }))
    response.writeHead(401, { 'content-type': 'application/problem+json' })
    response.end(
      JSON.stringify({ title: 'no', status: 401, detail: 'this key is not known', code: 'identity.bad_key' }),
    )
  })
  return `http://127.0.0.1:${await listening(server)}`
}

const about = (findings: Finding[], what: string) => findings.find((finding) => finding.what === what)

test('a server that is not there, a folder that is not there, a key file open to others', async () => {
  const check = await place()
  await chmod(check.keyFile, 0o644)
  const findings = await checkHost({ ...check, directory: join(check.directory, 'none') })
  expect(about(findings, 'server')).toMatchObject({ verdict: 'bad' })
  expect(about(findings, 'server')!.hint).toMatch(/is the platform running/)
  expect(about(findings, 'folder')).toMatchObject({ verdict: 'bad' })
  expect(about(findings, 'key file')!.hint).toMatch(/chmod 600/)
})

test('a key that the server does not know is bad although everything else is good; nothing is written', async () => {
  const check = await place({ serverUrl: await healthy() })
  await writeFile(join(check.directory, 'run00012.mid.gz'), '')
  await writeFile(join(check.directory, 'notes.txt'), '')
  const findings = await checkHost(check)
  expect(findings.filter(({ verdict }) => verdict === 'bad').map(({ what }) => what)).toEqual(['key'])
  expect(about(findings, 'key')!.detail).toMatch(/not known/)
  expect(about(findings, 'run files')!.detail).toBe('1 of 2 files are named like runs')
  expect(about(findings, 'clock')).toMatchObject({ verdict: 'good' })
  expect(await readdir(check.directory)).toEqual(['notes.txt', 'run00012.mid.gz'])
})

test('files that are no runs, and clocks that differ', async () => {
  const check = await place({ serverUrl: await healthy(5 * 60_000) })
  await writeFile(join(check.directory, 'data_1.raw'), '')
  const findings = await checkHost(check)
  expect(about(findings, 'run files')).toMatchObject({ verdict: 'warning' })
  expect(about(findings, 'clock')).toMatchObject({
    verdict: 'warning',
    detail: expect.stringMatching(/behind/) as string,
  })
  const ahead = await checkHost(await place({ serverUrl: await healthy(-20 * 60_000) }))
  expect(about(ahead, 'clock')).toMatchObject({ verdict: 'bad', hint: expect.stringMatching(/chrony/) as string })
})

test('a certificate of an authority this machine does not know', async () => {
  const { path } = await temporaryDirectory()
  const [key, cert] = [join(path, 'key.pem'), join(path, 'cert.pem')]
  const subject = ['-subj', '/CN=localhost', '-addext', 'subjectAltName=DNS:localhost']
  execFileSync('openssl', ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-keyout', key, '-out', cert, ...subject], {
    stdio: 'ignore',
  })
  const server = createSecureServer({ key: await readFile(key), cert: await readFile(cert) }, (_request, response) =>
    response.end('{}'),
  )
  const findings = await checkHost(await place({ serverUrl: `https://localhost:${await listening(server)}` }))
  expect(about(findings, 'server')).toMatchObject({ verdict: 'bad' })
  expect(about(findings, 'server')!.hint).toMatch(/CYGNET_CA_FILE/)
})

test('requests of the agent to the store go through the proxy of the environment, and to this machine they do not', async () => {
  const asked: string[] = []
  const store = createServer((_request, response) => response.writeHead(404).end())
  const storePort = await listening(store)
  // Node.js asks a proxy to forward plain requests and to tunnel the others; either way it names whom it wants.
  const proxy = createServer((request, response) => {
    asked.push(request.url!)
    response.writeHead(404).end()
  })
  proxy.on('connect', (request, socket) => {
    asked.push(request.url!)
    const upstream = connect(storePort, '127.0.0.1', () => {
      socket.write('HTTP/1.1 200 OK\r\n\r\n')
      upstream.pipe(socket).pipe(upstream)
    })
  })
  const proxyUrl = `http://127.0.0.1:${await listening(proxy)}`
  const client = new URL('s3-client.ts', import.meta.url).href
  const program = `
    const { createS3Client } = await import(${JSON.stringify(client)})
    const key = { region: 'r', accessKeyId: 'a', secretAccessKey: 's', timeoutMs: 5000 }
    for (const url of process.argv.slice(1)) {
      const s3 = createS3Client({ url, ...key })
      console.log(String(await s3.headObject('demo-raw', 'run00001.mid').catch((error) => error.message)))
      s3.close()
    }`
  const launcherSays = execFileSync('sh', ['-c', '. packaging/environment.sh; echo "$NODE_USE_ENV_PROXY $NO_PROXY"'], {
    cwd: join(import.meta.dirname, '..', '..', '..'),
    env: { PATH: process.env.PATH, NO_PROXY: 'inside.example.org' },
    encoding: 'utf8',
  }).trim()
  expect(launcherSays).toBe('1 127.0.0.1,localhost,::1,inside.example.org')
  const [use, without] = launcherSays.split(' ')
  const urls = ['http://store.example.org:8411', `http://127.0.0.1:${storePort}`]
  const said = await new Promise<string>((done) =>
    execFile(
      process.execPath,
      ['--disable-warning=ExperimentalWarning', '--input-type=module', '-e', program, ...urls],
      { env: { ...process.env, HTTP_PROXY: proxyUrl, NODE_USE_ENV_PROXY: use, NO_PROXY: without }, timeout: 30_000 },
      (_error, stdout, stderr) => done(stdout + stderr),
    ),
  )
  expect(said).toBe('undefined\nundefined\n')
  expect(asked).toHaveLength(1)
  expect(asked[0]).toMatch(/store\.example\.org/)
})
