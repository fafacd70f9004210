/** Opens a run in a notebook the way a browser does, over the wire, and runs every cell of what is found there. */
import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { WebSocket } from 'ws'
import type { Client } from '../../foundation/client.ts'
import type { notebooksContract, Session } from '../../notebooks/index.ts'
import { shellFaults } from '../errors.ts'

const startPatienceMs = 180_000
const cellPatienceMs = 120_000

export interface CellOutput {
  text: string
  images: number
}

/** Starts (or finds) the session of a run and waits until it runs. */
export async function startSession(
  client: Client<typeof notebooksContract>,
  experiment: string,
  run: string,
  onState: (state: string) => void,
): Promise<Session> {
  let session = await client.startSession({ body: { experiment, run } })
  const deadlineMs = performance.now() + startPatienceMs
  while (session.state !== 'running') {
    onState(session.reason === null ? session.state : `${session.state}: ${session.reason}`)
    if (session.state === 'failed' || session.state === 'stopped' || performance.now() > deadlineMs) {
      throw shellFaults.demoFailed(`The notebook session did not start: ${session.state} ${session.reason ?? ''}`)
    }
    await sleep(100)
    session = await client.showSession({ params: { session: session.id } })
  }
  return session
}

/** Enters the content origin with a single-use ticket; answers the cookie header of this browser-to-be. */
export async function enterSession(client: Client<typeof notebooksContract>, session: Session): Promise<string> {
  const ticket = await client.createTicket({ params: { session: session.id } })
  const address = new URL(ticket.url)
  const code = new URLSearchParams(address.hash.slice(1)).get('ticket')
  const answer = await fetch(new URL('/_content/enter', address), {
    method: 'POST',
    headers: { 'content-type': 'application/json', origin: address.origin },
    body: JSON.stringify({ ticket: code }),
    redirect: 'manual',
  })
  const cookie = answer.headers.getSetCookie()[0]?.split(';', 1)[0]
  if (!cookie) throw shellFaults.demoFailed(`The notebook's ticket was not taken: ${answer.status} ${await answer.text()}`)
  return cookie
}

/** Runs all code cells of the notebook the session opens with, in order, in one kernel. */
export async function runNotebook(session: Session, cookie: string): Promise<CellOutput[]> {
  const base = session.url.replace(/lab$/, '')
  const origin = new URL(base).origin
  const jupyter = await jupyterCall(base, origin, cookie)
  const notebook = (await jupyter('GET', `api/contents/${session.openPath}`)) as NotebookFile
  const cells = notebook.content.cells.filter((cell) => cell.cell_type === 'code')
  const kernel = (await jupyter('POST', 'api/kernels', {})) as { id: string }
  const socket = new WebSocket(`${base.replace(/^http/, 'ws')}api/kernels/${kernel.id}/channels?session_id=${randomUUID()}`, {
    headers: { cookie, origin },
  })
  try {
    await new Promise((done, failed) => socket.once('open', done).once('error', failed))
    const outputs: CellOutput[] = []
    for (const { source } of cells) outputs.push(await runCell(socket, Array.isArray(source) ? source.join('') : source))
    return outputs
  } finally {
    socket.close()
    await jupyter('DELETE', `api/kernels/${kernel.id}`)
  }
}

interface NotebookFile {
  content: { cells: { cell_type: string; source: string | string[] }[] }
}

/** Jupyter wants its own cookie echoed in a header on every change: fetched once, like a page load does. */
async function jupyterCall(base: string, origin: string, cookie: string) {
  const page = await fetch(`${base}lab`, { headers: { cookie, accept: 'text/html' } })
  await page.arrayBuffer()
  const xsrf = page.headers.getSetCookie().find((each) => each.startsWith('_xsrf='))?.split(';', 1)[0]
  const cookies = xsrf === undefined ? cookie : `${cookie}; ${xsrf}`
  return async (method: string, path: string, body?: unknown): Promise<unknown> => {
    const answer = await fetch(base + path, {
      method,
      headers: {
        cookie: cookies,
        origin,
        ...(xsrf === undefined ? {} : { 'x-xsrftoken': xsrf.slice('_xsrf='.length) }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await answer.text()
    if (!answer.ok) throw shellFaults.demoFailed(`The notebook server answered ${answer.status} to ${method} ${path}: ${text.slice(0, 300)}`)
    return text === '' ? undefined : JSON.parse(text)
  }
}

/** Jupyter's message protocol on one socket: execute, collect what is printed and drawn, end at `idle`. */
function runCell(socket: WebSocket, code: string): Promise<CellOutput> {
  const messageId = randomUUID()
  const output: CellOutput = { text: '', images: 0 }
  return new Promise((done, failed) => {
    const timer = setTimeout(() => finish(shellFaults.demoFailed('A notebook cell gave no answer for two minutes.')), cellPatienceMs)
    const finish = (error?: Error) => {
      clearTimeout(timer)
      socket.off('message', onMessage)
      if (error) failed(error)
      else done(output)
    }
    const onMessage = (data: Buffer) => {
      const message = JSON.parse(data.toString()) as KernelMessage
      if (message.parent_header.msg_id !== messageId) return
      const { content } = message
      if (message.msg_type === 'stream') output.text += content.text ?? ''
      if (message.msg_type === 'display_data' || message.msg_type === 'execute_result') {
        output.text += content.data?.['text/plain'] ?? ''
        if (content.data?.['image/png'] !== undefined) output.images++
      }
      if (message.msg_type === 'error') finish(shellFaults.demoFailed(`A notebook cell failed: ${content.ename}: ${content.evalue}\n${code}`))
      if (message.msg_type === 'status' && content.execution_state === 'idle') finish()
    }
    socket.on('message', onMessage)
    socket.send(
      JSON.stringify({
        header: { msg_id: messageId, msg_type: 'execute_request', username: '', session: messageId, version: '5.3', date: '' },
        parent_header: {},
        metadata: {},
        content: { code, silent: false, store_history: true, user_expressions: {}, allow_stdin: false, stop_on_error: true },
        channel: 'shell',
        buffers: [],
      }),
    )
  })
}

interface KernelMessage {
  msg_type: string
  parent_header: { msg_id?: string }
  content: {
    text?: string
    data?: Record<string, string>
    execution_state?: string
    ename?: string
    evalue?: string
  }
}
