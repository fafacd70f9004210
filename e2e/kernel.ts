/** A browser's way to a kernel: ticket, cookie, Jupyter's REST and its websocket. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'

export interface SessionDoor {
  /** `http://localhost:PORT/user/NAME/ID/` */
  url: string
  cookie: string
}

/** Redeems a ticket's address (as printed by the API) for the session's cookie. */
export async function enterSession(ticketUrl: string, sessionUrl: string): Promise<SessionDoor> {
  const opened = new URL(ticketUrl)
  const fragment = new URLSearchParams(opened.hash.slice(1))
  const answer = await fetch(new URL('/_content/enter', opened), {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: opened.origin },
    body: JSON.stringify({ ticket: fragment.get('ticket'), to: fragment.get('to') ?? '' }),
    signal: AbortSignal.timeout(30_000),
  })
  if (!answer.ok) throw new Error(`entering a session answered ${answer.status}: ${await answer.text()}`)
  const cookie = answer.headers.getSetCookie()[0]!.split(';', 1)[0]!
  return { url: sessionUrl, cookie }
}

export async function callJupyter<Answer>(
  { url, cookie }: SessionDoor,
  method: string,
  path: string,
  body?: unknown,
): Promise<Answer> {
  const xsrf = randomUUID().replaceAll('-', '')
  const answer = await fetch(new URL(path, url), {
    method,
    headers: { cookie: `${cookie}; _xsrf=${xsrf}`, 'x-xsrftoken': xsrf, 'content-type': 'application/json' },
    signal: AbortSignal.timeout(30_000),
    ...(body !== undefined && { body: JSON.stringify(body) }),
  })
  const text = await answer.text()
  if (!answer.ok) throw new Error(`${method} ${path} of a session answered ${answer.status}: ${text.slice(0, 300)}`)
  return (text === '' ? undefined : JSON.parse(text)) as Answer
}

export const startKernel = async (door: SessionDoor): Promise<string> =>
  (await callJupyter<{ id: string }>(door, 'POST', 'api/kernels', { name: 'python3' })).id

/** Sends one cell; with `wait: false` only until it is handed over. Answers what was printed, or 'ERROR name: value'. */
export async function runCell(
  door: SessionDoor,
  kernelId: string,
  code: string,
  { wait = true, timeoutMs = 60_000 }: { wait?: boolean; timeoutMs?: number } = {},
): Promise<string> {
  const session = randomUUID()
  const base = new URL(door.url)
  const place = new URL(`api/kernels/${kernelId}/channels?session_id=${session}`, base)
  const url = place.href.replace(/^http/, 'ws')
  const socket = new WebSocket(url, { headers: { cookie: door.cookie, origin: base.origin } })
  const signal = AbortSignal.timeout(timeoutMs)
  try {
    await once(socket, 'open', { signal })
    return await new Promise<string>((resolve, reject) => {
      socket.once('close', () => reject(new Error('the kernel connection was closed')))
      socket.once('error', reject)
      signal.addEventListener('abort', () => reject(new Error(`the kernel was silent for ${timeoutMs} ms`)))
      const header = (type: string) => {
        const date = new Date().toISOString()
        return { msg_id: randomUUID(), username: '', session, msg_type: type, version: '5.3', date }
      }
      const send = (type: string, content: unknown) => {
        const whole = { channel: 'shell', header: header(type), parent_header: {}, metadata: {}, content, buffers: [] }
        socket.send(JSON.stringify(whole))
        return whole.header.msg_id
      }
      const options = { silent: false, store_history: false, user_expressions: {}, allow_stdin: false }
      const asked = send('execute_request', { code, ...options, stop_on_error: true })
      let printed = ''
      let replied = false
      let idle = false
      socket.on('message', (raw: Buffer) => {
        const message = JSON.parse(raw.toString()) as {
          header: { msg_type: string }
          parent_header: { msg_id?: string }
          content: Record<string, unknown>
        }
        if (message.parent_header.msg_id !== asked) return
        const { content } = message
        if (message.header.msg_type === 'stream') printed += String(content.text)
        else if (message.header.msg_type === 'error')
          printed = `ERROR ${String(content.ename)}: ${String(content.evalue)}`
        else if (message.header.msg_type === 'execute_reply') {
          // A kernel that was killed while the cell waited says only this.
          if (content.status === 'aborted') printed = 'ERROR aborted: the kernel ended before the cell began'
          replied = true
        } else if (message.header.msg_type === 'status') {
          if (!wait && content.execution_state === 'busy') resolve(printed)
          idle ||= content.execution_state === 'idle'
        }
        if (replied && idle) resolve(printed)
      })
    })
  } finally {
    socket.terminate()
  }
}
