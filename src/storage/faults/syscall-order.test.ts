/**
 * Without pulling a plug: the system calls of each acknowledged thing, played on the strictest disk that POSIX allows.
 * fsync of the file before its name, fsync of the folder before the answer; no file system's kindness is needed.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { createDurabilityModel } from './durability-model.ts'
import type { Mark } from './one-of-each.ts'
import { noTracing, traceProgram, type SystemCall } from './syscall-trace.ts'

const reason = noTracing()
const told = reason === undefined ? '' : ` (skipped: ${reason})`

async function traced(): Promise<{ calls: SystemCall[]; marks: Mark[]; root: string; record: string }> {
  const { path } = await temporaryDirectory('cygnet-order-')
  const root = join(path, 'data')
  const record = join(path, 'marks')
  const calls = await traceProgram(join(import.meta.dirname, 'one-of-each.ts'), [root, record], join(path, 'trace'))
  const lines = readFileSync(record, 'utf8').trim().split('\n')
  return { calls, marks: lines.map((line) => JSON.parse(line) as Mark), root: path, record }
}

type Trace = Awaited<ReturnType<typeof traced>>

/** What would be lost or come back, by acknowledged thing. `isPlayed` may leave out calls of the turn that ends in a mark. */
function broken(
  { calls, marks, root, record }: Trace,
  isPlayed: (call: SystemCall, turn: number) => boolean,
): Map<number, string[]> {
  const model = createDurabilityModel(root)
  const found = new Map<number, string[]>()
  let descriptor: number | undefined
  let turn = 0
  for (const call of calls) {
    if (call.name === 'openat' && call.arguments.includes(`"${record}"`)) descriptor = call.result
    else if (call.name === 'write' && Number.parseInt(call.arguments, 10) === descriptor) {
      const { what, there, gone } = marks[turn]!
      const faults = [
        ...there.map((path) => model.missing(join(root, 'data', path))).filter((missing) => missing !== undefined),
        ...gone.filter((path) => model.couldBeThere(join(root, 'data', path))).map((path) => `${path} comes back`),
      ]
      if (faults.length > 0) found.set(turn, [what, ...faults])
      turn += 1
    }
    if (isPlayed(call, turn)) model.play(call)
  }
  expect(turn).toBe(marks.length)
  return found
}

test.skipIf(reason !== undefined)(`each answer comes after what it promises is durable${told}`, async () => {
  const trace = await traced()
  const { calls, marks } = trace
  expect(marks.length).toBeGreaterThan(25)
  expect([...broken(trace, () => true).values()]).toEqual([])
  // It would be seen if the fsyncs of one turn were left out, of folders or of files.
  const folders = foldersSynced(calls)
  const isFileSync = (call: SystemCall) => call.name === 'fsync' && !folders.has(call)
  const unnoticed = (isLeftOut: (call: SystemCall) => boolean) =>
    marks.flatMap(({ what }, turn) =>
      broken(trace, (call, current) => current !== turn || !isLeftOut(call)).has(turn) ? [] : [what],
    )
  expect(unnoticed((call) => folders.has(call))).toEqual(['the same again', ...again])
  expect(unnoticed(isFileSync)).toEqual([
    'the same again',
    'a deletion',
    'a deletion in the attic',
    'a deletion that empties folders',
    ...again,
    'an upload aborted',
  ])
})

/** The second time there is nothing left to do. */
const again = ['new', 'replaced', 'of different sizes'].map((kind) => `an upload completed again (${kind})`)

/** The fsyncs of folders: those of descriptors that were opened for reading only. */
function foldersSynced(calls: readonly SystemCall[]): Set<SystemCall> {
  const readOnly = new Map<number, boolean>()
  const found = new Set<SystemCall>()
  for (const call of calls) {
    if (call.name === 'openat') readOnly.set(call.result, call.arguments.includes('O_RDONLY'))
    if (call.name === 'fsync' && readOnly.get(Number.parseInt(call.arguments, 10))) found.add(call)
  }
  return found
}
