/** A small client of a kernel through the platform: starts one, runs a cell over the websocket. For tests, benches and checks. */
import { randomUUID } from 'node:crypto'
import { once } from 'node:events'
import { WebSocket } from 'ws'

export interface KernelPlace {
  /** `http://localhost:8410/user/alice/<session>/` */
  baseUrl: string
  /** Where to connect when it is not the host of `baseUrl`: `http://127.0.0.1:8410`. */
  connectUrl?: string
  cookie: string
}

export interface CellResult {
  status: 'ok' | 'error'
  /** What it printed. */
  text: string
  /** Text of the result and of displayed data, by MIME type. */
  data: Record<string, string>[]
  error: string | null
}

export interface Kernel {
  id: string
  run(code: string): Promise<CellResult>
  close(): Promise<void>
}

interface Message {
  channel: string
  header: { msg_type: string; msg_id: string }
  parent_header: { msg_id?: string }
  content: Record<string, unknown>
}

/** Starts a kernel, or takes up a running one, and waits until it answers. Throws when the server refuses. */
export async function openKernel(place: KernelPlace, kernelId?: string): Promise<Kernel> {
  const base = new URL(place.baseUrl)
  const connect = new URL(place.connectUrl ?? place.baseUrl)
  const path = base.pathname
  const call = async (method: string, below: string, body?: unknown): Promise<unknown> => {
    const xsrf = randomUUID().replaceAll('-', '')
    const response = await fetch(new URL(path + below, connect), {
      method,
      headers: {
        cookie: `${place.cookie}; _xsrf=${xsrf}`,
        'x-xsrftoken': xsrf,
        'content-type': 'application/json',
        host: base.host,
      },
      ...(body !== undefined && { body: JSON.stringify(body) }),
    })
    if (!response.ok) throw new Error(`${method} ${below}: ${response.status} ${await response.text()}`)
    return response.status === 204 ? undefined : await response.json()
  }
  const id = kernelId ?? ((await call('POST', 'api/kernels', { name: 'python3' })) as { id: string }).id
  const session = randomUUID()
  const url = `${connect.protocol === 'https:' ? 'wss' : 'ws'}://${connect.host}${path}api/kernels/${id}/channels?session_id=${session}`
  const socket = new WebSocket(url, { headers: { cookie: place.cookie, host: base.host, origin: base.origin } })
  await once(socket, 'open')
  const waiting = new Map<string, (message: Message) => void>()
  socket.on('message', (raw: Buffer) => {
    const message = JSON.parse(raw.toString()) as Message
    waiting.get(message.parent_header.msg_id ?? '')?.(message)
  })
  const send = (type: string, content: unknown): string => {
    const messageId = randomUUID()
    const header = {
      msg_id: messageId,
      username: '',
      session,
      msg_type: type,
      version: '5.3',
      date: new Date().toISOString(),
    }
    socket.send(JSON.stringify({ channel: 'shell', header, parent_header: {}, metadata: {}, content, buffers: [] }))
    return messageId
  }
  const ask = (type: string, content: unknown, each: (message: Message) => boolean): Promise<void> =>
    new Promise((resolve, reject) => {
      const ended = () => reject(new Error('the kernel connection was closed'))
      socket.once('close', ended)
      const messageId = send(type, content)
      waiting.set(messageId, (message) => {
        if (!each(message)) return
        waiting.delete(messageId)
        socket.off('close', ended)
        resolve()
      })
    })
  await ask('kernel_info_request', {}, (message) => message.header.msg_type === 'kernel_info_reply')
  return {
    id,
    async run(code) {
      const result: CellResult = { status: 'ok', text: '', data: [], error: null }
      let replied = false
      let idle = false
      await ask(
        'execute_request',
        { code, silent: false, store_history: false, user_expressions: {}, allow_stdin: false, stop_on_error: true },
        (message) => {
          const { content } = message
          switch (message.header.msg_type) {
            case 'stream':
              result.text += String(content.text)
              break
            case 'execute_result':
            case 'display_data':
              result.data.push(content.data as Record<string, string>)
              break
            case 'error':
              result.error = `${String(content.ename)}: ${String(content.evalue)}`
              break
            case 'execute_reply':
              result.status = content.status as CellResult['status']
              replied = true
              break
            case 'status':
              idle ||= content.execution_state === 'idle'
          }
          return replied && idle
        },
      )
      return result
    },
    async close() {
      await call('DELETE', `api/kernels/${id}`).catch(() => undefined)
      socket.terminate()
    },
  }
}
