/** Behind a real reverse proxy that ends TLS: what it passes on works, and its word about the client is believed. */
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import type { IncomingMessage } from 'node:http'
import { request as httpsRequest, type RequestOptions } from 'node:https'
import { connect } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { expect, onTestFinished, test } from 'vitest'
import { WebSocket } from 'ws'
import { freePort, temporaryDirectory } from '../../foundation/testing.ts'
import { contentCookie, openStand, sessionCookie, signedGet } from './testing.ts'
import { makeAuthority, noCertificates } from './testing-certificates.ts'

const noNginx =
  spawnSync('nginx', ['-v']).error === undefined
    ? noCertificates
    : 'SKIPPED: there is no nginx on this machine (Debian package nginx-light)'

/** As docs/admin-guide.md shows it: one server block, every name to the same address, the Host as it came. */
function configuration(
  folder: string,
  port: number,
  upstream: number,
  pair: { certificate: string; key: string },
): string {
  return `daemon off; pid ${folder}/nginx.pid; error_log ${folder}/error.log; worker_processes 1;
events { worker_connections 256; }
http {
  access_log off; client_max_body_size 0; proxy_request_buffering off; proxy_buffering off; large_client_header_buffers 4 16k;
  client_body_temp_path ${folder}; proxy_temp_path ${folder}; fastcgi_temp_path ${folder}; uwsgi_temp_path ${folder}; scgi_temp_path ${folder};
  map $http_upgrade $connection_upgrade { default upgrade; '' ''; }
  server {
    listen 127.0.0.1:${port} ssl; ssl_certificate ${pair.certificate}; ssl_certificate_key ${pair.key};
    location / {
      proxy_pass http://127.0.0.1:${upstream}; proxy_http_version 1.1;
      proxy_set_header Host $http_host;
      proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
      proxy_set_header X-Forwarded-Proto $scheme;
      proxy_set_header Upgrade $http_upgrade; proxy_set_header Connection $connection_upgrade;
    }
  }
}
`
}

test.skipIf(noNginx !== undefined)(
  `pages, cookies, S3 signatures and websockets through nginx ${noNginx ?? ''}`,
  async () => {
    const { path } = await temporaryDirectory()
    const authority = makeAuthority(path)
    const names = ['cygnet.example.test', 'nb.example.test', 's3.example.test']
    const pair = authority.issue('site', names.map((name) => `DNS:${name}`).join(','))
    const port = await freePort()
    const [publicUrl, contentUrl, s3Url] = names.map((name) => `https://${name}:${port}`) as [string, string, string]
    const stand = await openStand({
      exactUrls: true,
      http: { behindProxy: { trusted: ['127.0.0.1'] }, publicUrl, contentUrl, s3Url },
    })
    const { port: upstream } = stand.listeners[0]!.to as { port: number }
    const file = join(path, 'nginx.conf')
    writeFileSync(file, configuration(path, port, upstream, pair))
    const nginx = spawn('nginx', ['-p', path, '-c', file], { stdio: 'ignore' })
    onTestFinished(async () => {
      const ended = once(nginx, 'exit')
      nginx.kill('SIGTERM')
      await ended
    })
    for (let tries = 0; tries < 500 && !(await isOpen(port)); tries++) await sleep(20)

    const ask = async (url: string, options: RequestOptions = {}) => {
      const { hostname, host, pathname } = new URL(url)
      const headers = { host, ...(options.headers as object) }
      const request = httpsRequest({
        host: '127.0.0.1',
        port,
        path: pathname,
        ca: authority.ca,
        servername: hostname,
        ...options,
        headers,
      })
      request.end()
      const [answer] = (await once(request, 'response')) as [IncomingMessage]
      let body = ''
      for await (const chunk of answer) body += String(chunk)
      return { status: answer.statusCode, headers: answer.headers, body }
    }
    expect(await ask(`${publicUrl}/runs`)).toMatchObject({ status: 200, body: 'page /runs' })
    const spoof = { 'x-forwarded-for': '6.6.6.6', 'x-forwarded-user': 'root', cookie: sessionCookie }
    expect((await ask(`${publicUrl}/api/things`, { headers: spoof })).status).toBe(200)
    const arrived = stand.seen.control.at(-1)!.headers
    // What the client wrote stands left of what nginx saw: 127.0.0.1 is a proxy of ours here, so 6.6.6.6 is the client.
    expect(arrived).toMatchObject({
      cookie: sessionCookie,
      'x-forwarded-for': '6.6.6.6',
      host: new URL(publicUrl).host,
    })
    expect(arrived).not.toHaveProperty('x-forwarded-user')
    const signed = await ask(`${s3Url}/`, { headers: signedGet(s3Url, 'CYGKEY') })
    expect(signed.status, signed.body).toBe(200)
    expect(signed.body).toContain('<Name>demo-work</Name>')
    expect((await ask(`${contentUrl}/user/alice/s1/lab`, { headers: { cookie: contentCookie } })).body).toBe('jupyter')

    const socket = new WebSocket(`wss://${new URL(contentUrl).host}/user/alice/s1/api/kernels/1/channels`, {
      ca: authority.ca,
      headers: { cookie: contentCookie, origin: contentUrl },
      lookup: ((
        _name: string,
        options: { all?: boolean },
        done: (error: null, address: unknown, family?: number) => void,
      ) => (options.all ? done(null, [{ address: '127.0.0.1', family: 4 }]) : done(null, '127.0.0.1', 4))) as never,
    })
    await once(socket, 'open')
    socket.send('through nginx')
    expect(String((await once(socket, 'message'))[0])).toBe('heard through nginx')
    socket.close()
  },
)

async function isOpen(port: number): Promise<boolean> {
  const socket = connect(port, '127.0.0.1')
  try {
    await once(socket, 'connect')
    return true
  } catch {
    return false
  } finally {
    socket.destroy()
  }
}
