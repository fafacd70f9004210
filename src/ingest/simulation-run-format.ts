/** For the simulation: run files of lines, `begin 12`, `event`…, `end`. */
import { open, readFile } from 'node:fs/promises'
import type { FoundRun, GrowingRun, RunFormat } from './run-format.ts'

const names = /^run(\d+)\.(mid|truth\.json)$/

export function simulatedRunFormat(): RunFormat {
  const matchFileName: RunFormat['matchFileName'] = (name) => {
    const [, number, ending] = names.exec(name) ?? []
    return number === undefined ? undefined : { number: Number(number), role: ending === 'mid' ? 'raw' : 'sidecar' }
  }
  return {
    name: 'lines',
    matchFileName,
    match(key) {
      const [setup, series, name] = key.split('/')
      const file = name === undefined ? undefined : matchFileName(name)
      return file === undefined ? undefined : { setup: setup!, series: series!, ...file }
    },
    async inspect(path) {
      const run = growingOf(await readFile(path))
      return {
        number: run.number,
        kind: 'data',
        description: '',
        startedMs: null,
        endedMs: null,
        images: run.events,
        triggers: run.events,
        events: run.events,
        endOfRunSeen: run.endOfRunSeen,
        conditions: [],
        faults: [],
      } satisfies FoundRun
    },
    track: (path) => ({
      async advance() {
        const handle = await open(path, 'r')
        try {
          const { size } = await handle.stat()
          const bytes = Buffer.alloc(size)
          const { bytesRead } = await handle.read(bytes, 0, size, 0)
          const run = growingOf(bytes.subarray(0, bytesRead))
          return path.endsWith('.json') ? { ...run, endOfRunSeen: bytes.includes('}') } : run
        } finally {
          await handle.close()
        }
      },
    }),
  }
}

function growingOf(bytes: Buffer): GrowingRun {
  const text = bytes.toString('latin1')
  const number = /^begin (\d+)\n/.exec(text)?.[1]
  return {
    number: number === undefined ? null : Number(number),
    pedestal: undefined,
    description: '',
    startedMs: null,
    endedMs: null,
    events: text.split('\nevent').length - 1,
    endOfRunSeen: text.endsWith('\nend\n'),
    wholeBytes: bytes.length,
  }
}
