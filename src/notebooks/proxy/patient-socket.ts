/**
 * A connection to a server that may answer before it has read the whole request and close at once (Jupyter refuses on
 * the headers alone). Node gives such a socket up at the first failed write, with the answer unread; this one drops
 * what can no longer be sent and goes on reading, so that the answer is what the browser gets.
 */
import { Socket } from 'node:net'

type WriteDone = (error?: Error | null) => void

export class PatientSocket extends Socket {
  #deaf = false

  override _write(chunk: unknown, encoding: BufferEncoding, done: WriteDone): void {
    if (this.#deaf) done()
    else super._write(chunk, encoding, this.#forgiving(done))
  }

  override _writev(chunks: { chunk: unknown; encoding: BufferEncoding }[], done: WriteDone): void {
    if (this.#deaf) done()
    else super._writev?.(chunks, this.#forgiving(done))
  }

  #forgiving(done: WriteDone): WriteDone {
    return (error) => {
      const code = (error as NodeJS.ErrnoException | null | undefined)?.code
      this.#deaf = code === 'EPIPE' || code === 'ECONNRESET'
      done(this.#deaf ? null : error)
    }
  }
}

/** Connects to a unix socket. */
export function connectPatiently(path: string): Socket {
  return new PatientSocket().connect({ path })
}
