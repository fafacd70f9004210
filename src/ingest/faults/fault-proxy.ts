/** For tests: a TCP proxy that does to connections what bad networks do. */
import { connect, createServer, type Server, type Socket } from 'node:net'
import { onTestFinished } from 'vitest'

export interface FaultProxy {
  port: number
  /** Each piece waits so long, in either direction. */
  delayMs: number
  /** Bytes are taken and go nowhere; connections stay open (half-open). */
  silent: boolean
  /** Connections are reset once so many bytes have gone up. */
  resetAfterBytes: number
  /** The answer is thrown away and the connection reset: its effect has happened. */
  resetAtAnswer: boolean
  resets: number
  /** Resets everything that is open. */
  cut(): void
}

export async function openFaultProxy(targetPort: number, host: string): Promise<FaultProxy> {
  const open = new Set<Socket>()
  const proxy: FaultProxy = {
    port: 0,
    delayMs: 0,
    silent: false,
    resetAfterBytes: Infinity,
    resetAtAnswer: false,
    resets: 0,
    cut() {
      for (const socket of open) socket.resetAndDestroy()
    },
  }
  const server: Server = createServer((inner) => {
    const outer = connect(targetPort, '127.0.0.1')
    let sentBytes = 0
    const reset = (): void => {
      proxy.resets += 1
      inner.resetAndDestroy()
      outer.destroy()
    }
    for (const socket of [inner, outer]) {
      open.add(socket)
      socket.on('error', () => undefined).on('close', () => (open.delete(socket), inner.destroy(), outer.destroy()))
    }
    const pass = (to: Socket, chunk: Buffer): void => {
      if (proxy.silent) return
      if (proxy.delayMs === 0) to.write(chunk)
      else setTimeout(() => to.writable && to.write(chunk), proxy.delayMs)
    }
    inner.on('data', (chunk: Buffer) => {
      sentBytes += chunk.length
      if (sentBytes > proxy.resetAfterBytes) reset()
      else pass(outer, chunk)
    })
    outer.on('data', (chunk: Buffer) => (proxy.resetAtAnswer ? reset() : pass(inner, chunk)))
  })
  await new Promise<void>((listening) => server.listen(0, host, listening))
  proxy.port = (server.address() as { port: number }).port
  onTestFinished(async () => {
    proxy.cut()
    await new Promise((closed) => server.close(closed))
  })
  return proxy
}
