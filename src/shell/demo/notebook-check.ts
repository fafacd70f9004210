/** Opens a run in a notebook the way a browser does, over the wire, and runs every cell of what is found there. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../../foundation/client.ts'
import { openKernel, type notebooksContract, type Session } from '../../notebooks/index.ts'
import { shellFaults } from '../errors.ts'

const startPatienceMs = 180_000

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
  if (!cookie)
    throw shellFaults.demoFailed(`The notebook's ticket was not taken: ${answer.status} ${await answer.text()}`)
  return cookie
}

/** Runs all code cells of the notebook the session opens with, in order, in one kernel; answers the pictures drawn. */
export async function runNotebook(session: Session, cookie: string): Promise<{ pictures: number }> {
  const baseUrl = session.url.replace(/lab$/, '')
  const answer = await fetch(`${baseUrl}api/contents/${session.openPath}`, { headers: { cookie } })
  if (!answer.ok)
    throw shellFaults.demoFailed(
      `The notebook ${session.openPath} cannot be read: ${answer.status} ${await answer.text()}`,
    )
  const { content } = (await answer.json()) as NotebookFile
  const kernel = await openKernel({ baseUrl, cookie })
  try {
    let pictures = 0
    for (const { source } of content.cells.filter((cell) => cell.cell_type === 'code')) {
      const code = Array.isArray(source) ? source.join('') : source
      const { status, error, data } = await kernel.run(code)
      if (status !== 'ok') throw shellFaults.demoFailed(`A notebook cell failed: ${error}\n${code}`)
      pictures += data.filter((each) => each['image/png'] !== undefined).length
    }
    return { pictures }
  } finally {
    await kernel.close()
  }
}

interface NotebookFile {
  content: { cells: { cell_type: string; source: string | string[] }[] }
}
