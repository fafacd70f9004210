/** Signed requests to a gateway of its own process, and that process. */
import { spawn } from 'node:child_process'
import { Agent, request } from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { signedHeaders } from '../test-signing.ts'

export interface Answer {
  status: number
  etag: string | undefined
  body: Buffer
}

export interface Gateway {
  /** Rejects when there was no whole answer: nobody knows what has happened then. */
  ask(
    method: string,
    path: string,
    options?: { headers?: Record<string, string>; body?: string | Buffer },
  ): Promise<Answer>
  kill(): Promise<void>
  isAlive(): boolean
}

/** Started on a data root; resolves when it answers. */
export async function startGateway(root: string): Promise<Gateway> {
  const child = spawn(process.execPath, [join(import.meta.dirname, 'gateway.ts'), root], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const { value } = await createInterface({ input: child.stdout })[Symbol.asyncIterator]().next()
  if (value === undefined) throw new Error(`The gateway ended: ${complaint}`)
  const port = Number(value)
  const agent = new Agent({ keepAlive: true })
  return {
    isAlive: () => child.exitCode === null && child.signalCode === null,
    async kill() {
      child.kill('SIGKILL')
      await ended
      agent.destroy()
    },
    ask: async (method, path, { headers = {}, body = '' } = {}) =>
      await new Promise((resolve, reject) => {
        const signed = signedHeaders(method, `http://127.0.0.1:${port}${path}`, { headers, body })
        signed['content-length'] = `${Buffer.byteLength(body)}`
        const outgoing = request({ host: '127.0.0.1', port, method, path, headers: signed, agent }, (response) => {
          const chunks: Buffer[] = []
          response.on('data', (chunk: Buffer) => chunks.push(chunk))
          response.on('error', reject)
          response.on('aborted', () => reject(new Error('The answer was cut off.')))
          response.on('end', () =>
            resolve({
              status: response.statusCode!,
              etag: response.headers.etag?.replaceAll('"', ''),
              body: Buffer.concat(chunks),
            }),
          )
        })
        outgoing.on('error', reject)
        outgoing.end(body)
      }),
  }
}
