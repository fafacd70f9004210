/**
 * The inflater of `assembly/inflate.ts` in its own small memory: 1.2 MB for each stream, whatever the stream claims. Instances are used again, since
 * each reserves address space.
 */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'

/** What `run` answers; anything below 0 is damage. */
export const needInput = 0
export const needOutput = 1
export const streamEnd = 2

export const windowBytes = 32 * 1024

interface Exports {
  memory: WebAssembly.Memory
  memoryMap(which: number): number
  begin(): void
  run(limit: number): number
  readHeader(): number
  resumeStored(left: number, last: boolean): void
  setInput(at: number, end: number, unused: number, moved: number): void
  setOutput(at: number, oldest: number): void
  getInAt(): number
  getBitsLeft(): number
  getOutAt(): number
  getMode(): number
  isLastBlock(): number
  getStoredLeft(): number
  getHeaderBit(): number
}

export interface InflateMachine extends Exports {
  bytes: Uint8Array<ArrayBuffer>
  /** Regions of the memory: [begin, end). The byte before input may hold bits still to come. */
  input: { begin: number; end: number }
  /** Window and output. */
  output: { begin: number; end: number }
}

/** Modes of the machine between calls of `run`. */
export const machineModes = { header: 0, stored: 1, fixed: 2, dynamic: 3, done: 4 } as const

/** Why `run` or `readHeader` gave a number below 0. */
export const damageWords: Record<number, string> = {
  [-1]: 'a block of no known type',
  [-2]: 'a stored block whose two lengths differ',
  [-3]: 'a block with more symbols than there are',
  [-4]: 'a block whose code makes no sense',
  [-5]: 'a block that could never end',
  [-6]: 'a code that stands for nothing',
  [-7]: 'a reference to what was before the beginning',
}

let compiled: WebAssembly.Module | undefined
const idle: InflateMachine[] = []
const idleAtMost = 4

export function takeMachine(): InflateMachine {
  const used = idle.pop()
  if (used) return used
  compiled ??= new WebAssembly.Module(readFileSync(join(import.meta.dirname, 'inflate.wasm')))
  const exports = new WebAssembly.Instance(compiled, {}).exports as unknown as Exports
  const [inputAt = 0, inputBytes = 0, outputAt = 0, outputBytes = 0] = [0, 1, 2, 3].map((one) => exports.memoryMap(one))
  return {
    ...exports,
    bytes: new Uint8Array(exports.memory.buffer as ArrayBuffer),
    input: { begin: inputAt, end: inputAt + inputBytes },
    output: { begin: outputAt, end: outputAt + windowBytes + outputBytes },
  }
}

/** The machine must not be used by its former owner any more. */
export function giveMachineBack(machine: InflateMachine): void {
  if (idle.length < idleAtMost) idle.push(machine)
}
