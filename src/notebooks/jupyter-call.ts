/** Small calls of the platform itself to a session's server: is it there, write a file. */
import { randomBytes } from 'node:crypto'
import { request as httpRequest } from 'node:http'
import { notebookErrors } from './errors.ts'
import { identityHeader, signIdentity } from './proxy/identity-header.ts'
import { reach } from './proxy/notebook-proxy.ts'

const mostAnswerBytes = 4 * 1024 * 1024

export interface JupyterPlace {
  socketPath: string
  basePath: string
  sessionId: string
  key: string
  owner: { id: string; name: string }
}

export async function callJupyter(
  place: JupyterPlace,
  call: { method: string; path: string; body?: unknown; timeoutMs?: number },
): Promise<{ status: number; body: string }> {
  const door = reach(place.socketPath)
  const xsrf = randomBytes(16).toString('hex')
  const deadline = new AbortController()
  const timer = setTimeout(() => deadline.abort(), (call.timeoutMs ?? 10_000) * 3)
  const body = call.body === undefined ? undefined : JSON.stringify(call.body)
  try {
    return await new Promise((resolve, reject) => {
      const request = httpRequest(
        {
          socketPath: door.path,
          method: call.method,
          path: place.basePath + call.path,
          agent: false,
          signal: deadline.signal,
          timeout: call.timeoutMs ?? 10_000,
          headers: {
            host: 'localhost',
            [identityHeader]: signIdentity(place.owner, { sessionId: place.sessionId, key: place.key }, Date.now()),
            // Jupyter compares cookie and header; any pair that agrees will do for a caller who can set both.
            cookie: `_xsrf=${xsrf}`,
            'x-xsrftoken': xsrf,
            ...(body !== undefined && {
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
          },
        },
        (response) => {
          const chunks: Buffer[] = []
          let sizeBytes = 0
          response.on('data', (chunk: Buffer) => {
            sizeBytes += chunk.length
            // The server is the person's to replace: it may say as much as it likes, for as long as it likes.
            if (sizeBytes > mostAnswerBytes) request.destroy(new Error('the answer is too long'))
            else chunks.push(chunk)
          })
          response.on('end', () =>
            resolve({ status: response.statusCode ?? 0, body: Buffer.concat(chunks).toString('utf8') }),
          )
          response.on('error', reject)
        },
      )
      request.on('timeout', () => request.destroy(new Error('no answer in time')))
      request.on('error', reject)
      request.end(body)
    })
  } finally {
    clearTimeout(timer)
    door.release()
  }
}

/** True when the server answers at all; it is the one endpoint that asks nobody who they are. */
export async function answers(place: JupyterPlace): Promise<boolean> {
  return await callJupyter(place, { method: 'GET', path: 'api', timeoutMs: 5_000 }).then(
    ({ status }) => status === 200,
    () => false,
  )
}

/** Writes a notebook as the person, from inside the sandbox; folders are made. An existing file is left alone. */
export async function writeNotebook(place: JupyterPlace, path: string, notebook: unknown): Promise<void> {
  const there = await callJupyter(place, { method: 'GET', path: `api/contents/${encodePath(path)}?content=0` })
  if (there.status === 200) return
  const folders = path.split('/').slice(0, -1)
  for (let depth = 1; depth <= folders.length; depth++) {
    const folder = folders.slice(0, depth).join('/')
    const found = await callJupyter(place, { method: 'GET', path: `api/contents/${encodePath(folder)}?content=0` })
    if (found.status !== 200) await expectWritten(place, folder, { type: 'directory' })
  }
  await expectWritten(place, path, { type: 'notebook', format: 'json', content: notebook })
}

async function expectWritten(place: JupyterPlace, path: string, model: unknown): Promise<void> {
  const { status, body } = await callJupyter(place, {
    method: 'PUT',
    path: `api/contents/${encodePath(path)}`,
    body: model,
  })
  if (status === 200 || status === 201) return
  throw notebookErrors.serverSilent(`The notebook server did not write ${path} (${status}): ${body.slice(0, 200)}`)
}

function encodePath(path: string): string {
  return path.split('/').map(encodeURIComponent).join('/')
}
