/** People with sessions on a running platform, for the tests of what keeps them apart. */
import { readFileSync } from 'node:fs'
import { request as httpRequest, type IncomingMessage } from 'node:http'
import { expect } from 'vitest'
import { callApi, eventually, type RunningPlatform } from './platform.ts'
import type { Scenario } from './scenario.ts'

export interface Person {
  id: string
  name: string
  token: string
  session: Session
  /** Cookie header of the content origin, after the ticket was handed over. */
  cookie: string
}

export interface Session {
  id: string
  jobId: string
  url: string
  state: string
  reason: string | null
}

interface Job {
  id: string
  state: string
  reason: string | null
  attempt: number
  endedMs: number | null
}

/** People's own code has another host name on the same port. */
export function contentHost(platform: RunningPlatform): string {
  return new URL(platform.platformUrl.replace('127.0.0.1', 'localhost')).host
}

/** `/user/<name>/<session>/` */
export function baseOf(session: Session): string {
  return new URL(session.url).pathname.split('/').slice(0, 4).join('/') + '/'
}

export async function newPerson(
  scenario: Scenario,
  name: string,
  roles: { experiment: string; role: string }[],
): Promise<Omit<Person, 'session' | 'cookie'>> {
  const { person, signInLink } = await scenario.call<{ person: { id: string }; signInLink: { url: string } }>(
    'POST',
    '/api/identity/people',
    { name, displayName: name, roles },
  )
  const code = new URL(signInLink.url).hash.replace('#code=', '')
  const { accessToken } = await callApi<{ accessToken: string }>(
    scenario.platform,
    undefined,
    'POST',
    '/api/identity/token',
    { code },
  )
  return { id: person.id, name, token: accessToken }
}

export async function withSession({ platform }: Scenario, person: Omit<Person, 'session' | 'cookie'>): Promise<Person> {
  const call = <Answer>(method: string, path: string, body?: unknown) =>
    callApi<Answer>(platform, person.token, method, path, body)
  const { id } = await call<Session>('POST', '/api/notebooks/sessions', { experiment: 'demo' })
  const session = await eventually(
    `the session of ${person.name}`,
    async () => {
      const now = await call<Session>('GET', `/api/notebooks/sessions/${id}`)
      if (now.state === 'failed') throw new Error(now.reason ?? 'failed')
      return now.state === 'running' ? now : undefined
    },
    280_000,
  )
  const ticket = await call<{ url: string }>('POST', `/api/notebooks/sessions/${id}/ticket`, {})
  const entered = await content(platform, 'POST', '/_content/enter', {
    body: JSON.stringify({ ticket: new URLSearchParams(new URL(ticket.url).hash.slice(1)).get('ticket') }),
    headers: { 'content-type': 'application/json', origin: new URL(ticket.url).origin },
  })
  expect(entered.status, entered.body).toBe(200)
  const cookie = (entered.headers['set-cookie'] ?? []).map((each) => each.split(';', 1)[0]).join('; ')
  return { ...person, session, cookie }
}

interface Answer {
  status: number
  headers: IncomingMessage['headers']
  body: string
}

/** One request on the content origin, its target sent as it is written. A websocket that opens answers 101. */
export function content(
  platform: RunningPlatform,
  method: string,
  target: string,
  options: { headers?: Record<string, string>; body?: string; socket?: boolean } = {},
): Promise<Answer> {
  const { port } = new URL(platform.platformUrl)
  const host = contentHost(platform)
  const upgrade = {
    connection: 'Upgrade',
    upgrade: 'websocket',
    'sec-websocket-key': 'dGhlIHNhbXBsZSBub25jZQ==',
    'sec-websocket-version': '13',
    origin: `http://${host}`,
  }
  return new Promise((done, failed) => {
    const request = httpRequest({
      host: '127.0.0.1',
      port,
      method,
      path: target,
      headers: { host, ...(options.socket === true && upgrade), ...options.headers },
    })
    request.on('upgrade', (response, socket) => {
      socket.destroy()
      done({ status: 101, headers: response.headers, body: '' })
    })
    request.on('response', (response) => {
      let body = ''
      response.setEncoding('latin1').on('data', (chunk: string) => (body += chunk))
      response.on('end', () => done({ status: response.statusCode!, headers: response.headers, body }))
    })
    request.on('error', failed)
    request.end(options.body)
  })
}

/** Ways to write the address of another's session, and what is in it. */
export function forms(base: string, own: string): string[] {
  const [, , name = '', session = ''] = base.split('/')
  const upper = name.toUpperCase()
  return [
    base,
    base.slice(0, -1),
    `${base}lab`,
    `${base}lab/tree/secret.txt`,
    `${base}tree`,
    `${base}api`,
    `${base}api/status`,
    `${base}api/contents/secret.txt`,
    `${base}api/contents/secret.txt/checkpoints`,
    `${base}files/secret.txt`,
    `${base}files/secret.txt?download=1`,
    `${base}api/kernels`,
    `${base}api/kernels/00000000-0000-0000-0000-000000000000/channels`,
    `${base}api/terminals`,
    `${base}terminals/websocket/1`,
    `${base}api/sessions`,
    `${base}api/events/subscribe`,
    `${base}lsp/ws/python`,
    `${base}proxy/8410/`,
    `${base}proxy/169.254.169.254/`,
    `${base}static/style/bootstrap.min.css`,
    `${base}?token=${session}`,
    `${base}api/contents?cookie=${session}`,
    `${own}../../${name}/${session}/api/status`,
    `${own}..%2f..%2f${name}%2f${session}/api/status`,
    `${own}%2e%2e/%2e%2e/${name}/${session}/api/status`,
    `${own}..\\..\\${name}\\${session}\\api\\status`,
    `/user/${upper}/${session}/api/status`,
    `/user//${name}/${session}/api/status`,
    `//user/${name}/${session}/api/status`,
    `/user/${name}%2f${session}/api/status`,
    `/user/${name}/${session}%00/api/status`,
    `/user/${name}2/${session}/api/status`,
    `/user/${name.slice(0, -1)}/${session}/api/status`,
    `/./user/${name}/${session}/api/status`,
    `/api/../user/${name}/${session}/api/status`,
  ]
}

export async function runJob(
  platform: RunningPlatform,
  person: Pick<Person, 'token'>,
  script: string,
  environment = 'notebook',
): Promise<{ job: Job; log: string; id: string }> {
  const { id } = await callApi<Job>(platform, person.token, 'POST', '/api/experiments/demo/jobs', {
    argv: ['python3', '-c', script],
    environment,
    request: { cpuMilli: 500, memoryMiB: 512, walltimeMs: 120_000 },
  })
  const job = await eventually('a job', async () => {
    const now = await callApi<Job>(platform, person.token, 'GET', `/api/jobs/${id}`)
    return now.endedMs === null ? undefined : now
  })
  const answer = await fetch(`${platform.platformUrl}/api/jobs/${id}/log`, {
    headers: { authorization: `Bearer ${person.token}` },
  })
  return { job, log: await answer.text(), id }
}

export function textOf(path: string): string {
  try {
    return readFileSync(path, 'latin1')
  } catch {
    return ''
  }
}
