/** A thread that only hashes. Messages of one body come and are answered in order; bytes lie in shared memory. */
import { parentPort } from 'node:worker_threads'
import { createChecksum, type Checksum } from './checksums.ts'
import type { HashAnswer, HashRequest } from './hash-threads.ts'

const bodies = new Map<number, [string, Checksum][]>()
const port = parentPort!

port.on('message', (request: HashRequest) => {
  switch (request.kind) {
    case 'begin':
      bodies.set(
        request.body,
        request.names.map((name) => [name, createChecksum(name)]),
      )
      return
    case 'update': {
      const bytes = new Uint8Array(request.memory, 0, request.sizeBytes)
      for (const [, checksum] of bodies.get(request.body) ?? []) checksum.update(bytes)
      port.postMessage({ kind: 'updated', body: request.body } satisfies HashAnswer)
      return
    }
    case 'end': {
      const digests = (bodies.get(request.body) ?? []).map(([name, checksum]): [string, Uint8Array] => [
        name,
        checksum.digest(),
      ])
      bodies.delete(request.body)
      port.postMessage({ kind: 'ended', body: request.body, digests } satisfies HashAnswer)
      return
    }
    case 'drop':
      bodies.delete(request.body)
  }
})
