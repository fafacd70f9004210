/** Whether a process still answers, each gateway on a socket of its own: the public ports belong to all of them. */
import { createServer, request as httpRequest } from 'node:http'
import { chmod, readdir, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { processIdentity } from '../foundation/processes.ts'
import type { Home } from './home.ts'

/**
 * Where the gateway with this pid says that it serves, there from the moment its listeners listen; and a control in
 * standby that it is ready. No sandbox sees this folder.
 */
export function healthSocket(home: Home, pid: number): string {
  return join(home.health, String(pid))
}

/** True when the process answers 200 within the time. */
export function isHealthy(socketPath: string, path: string, timeoutMs: number): Promise<boolean> {
  return new Promise((done) => {
    const request = httpRequest({ socketPath, path, agent: false, timeout: timeoutMs }, (answer) => {
      answer.resume()
      answer.once('close', () => done(answer.complete && answer.statusCode === 200))
    })
    request.on('timeout', () => request.destroy())
    request.on('error', () => done(false))
    request.end()
  })
}

/** In a gateway, once it serves: answers on its own socket until the returned function is called. */
export async function answerHealth(home: Home): Promise<() => Promise<void>> {
  const path = healthSocket(home, process.pid)
  await rm(path, { force: true })
  const server = createServer((_request, response) => void response.end('serves\n'))
  await new Promise<void>((done, failed) => {
    server.once('error', failed)
    server.listen({ path }, done)
  })
  await chmod(path, 0o600)
  return () => new Promise((done) => (server.close(() => done()), server.closeAllConnections()))
}

/** Of processes that were killed while nobody looked. */
export async function removeDeadHealthSockets(home: Home): Promise<void> {
  for (const name of await readdir(home.health).catch(() => []))
    if (processIdentity(Number(name)) === undefined) await rm(join(home.health, name), { force: true })
}
