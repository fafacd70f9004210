/**
 * Places where tests make the program die, fail or wait. Dead unless CYGNET_TEST=1 and CYGNET_FAILPOINTS names the
 * place: 'storage.after-rename=kill', 'a.b=error', 'a.b=delay:250', each with an optional '@3rd' (only the third time);
 * several are separated by commas. A campaign arms one at a time while everything runs: CYGNET_FAILPOINTS_FILE names a
 * file with the same text, read at each place; whoever fires takes the file away (it becomes FILE.fired.PID), so that it
 * fires once in all processes together.
 */
import { readFileSync, renameSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { foundationFaults } from './errors.ts'

export interface Failpoint {
  name: string
  effect: 'kill' | 'error' | 'delay'
  delayMs: number
  /** Only the n-th passage; 0 = every one. */
  nth: number
}

export function parseFailpoints(text: string): Failpoint[] {
  return text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')
    .map((part) => {
      const match = /^([\w.-]+)=(kill|error|delay:(\d+))(?:@(\d+)(?:st|nd|rd|th)?)?$/.exec(part)
      if (match === null) throw foundationFaults.badRequest(`'${part}' is not a failpoint.`)
      const [, name, effect, delayMs, nth] = match
      return {
        name: name!,
        effect: effect!.startsWith('delay') ? 'delay' : (effect as 'kill' | 'error'),
        delayMs: Number(delayMs ?? 0),
        nth: Number(nth ?? 0),
      }
    })
}

/** Armed failpoints; `failpoint` below is the set that the environment of this process names. */
export function createFailpoints(armed: readonly Failpoint[]): (name: string) => Promise<void> {
  const passages = new Map<string, number>()
  return async (name) => {
    const point = armed.find((candidate) => candidate.name === name)
    if (point === undefined) return
    const passage = (passages.get(name) ?? 0) + 1
    passages.set(name, passage)
    if (point.nth !== 0 && point.nth !== passage) return
    await fire(point)
  }
}

/** Failpoints armed by a file that comes and goes; everything up to the kill happens without giving way. */
export function createFileFailpoints(path: string): (name: string) => Promise<void> {
  return async (name) => {
    let text: string
    try {
      text = readFileSync(path, 'utf8')
    } catch {
      return
    }
    const point = parseFailpoints(text).find((candidate) => candidate.name === name)
    if (point === undefined) return
    try {
      renameSync(path, `${path}.fired.${process.pid}`)
    } catch {
      // Another process came first.
      return
    }
    await fire(point)
  }
}

async function fire(point: Failpoint): Promise<void> {
  if (point.effect === 'delay') return await sleep(point.delayMs)
  if (point.effect === 'error') throw foundationFaults.injected(`Failpoint '${point.name}' was armed.`)
  process.kill(process.pid, 'SIGKILL')
  await new Promise<never>(() => {})
}

const isTest = process.env.CYGNET_TEST === '1'
const named =
  isTest && process.env.CYGNET_FAILPOINTS ? createFailpoints(parseFailpoints(process.env.CYGNET_FAILPOINTS)) : undefined
const inFile =
  isTest && process.env.CYGNET_FAILPOINTS_FILE ? createFileFailpoints(process.env.CYGNET_FAILPOINTS_FILE) : undefined

/** What a process without our environment (a shim) must be told to know the same failpoints; nothing outside of tests. */
export function failpointEnvironment(): Record<string, string> {
  if (!isTest) return {}
  const names = ['CYGNET_TEST', 'CYGNET_FAILPOINTS', 'CYGNET_FAILPOINTS_FILE']
  return Object.fromEntries(names.flatMap((name) => (process.env[name] ? [[name, process.env[name]]] : [])))
}

/** A named place; nothing happens there outside of tests. */
export async function failpoint(name: string): Promise<void> {
  if (named !== undefined) await named(name)
  if (inFile !== undefined) await inFile(name)
}
