/** System calls of a program as strace saw them, each with when it began and when it had its answer. */
import { spawn, spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'

export interface SystemCall {
  name: string
  /** As strace prints them; file descriptors carry their path in angle brackets. */
  arguments: string
  result: number
  isInjected: boolean
  began: number
  ended: number
}

/** Why nothing can be traced here; undefined if it can. */
export function noTracing(): string | undefined {
  const { status } = spawnSync('strace', ['-qq', '-o', '/dev/null', 'true'])
  if (status === 0) return undefined
  return status === null ? 'needs strace' : 'this process may not trace others'
}

const traced = [
  'openat,open,creat,close,mkdir,mkdirat,link,linkat,rename,renameat,renameat2,unlink,unlinkat,rmdir',
  'write,pwrite64,writev,pwritev,ftruncate,fallocate,fsync,fdatasync',
  'setxattr,lsetxattr,fsetxattr,chmod,fchmod,chown,fchown,fchownat,fchmodat',
].join(',')

/** Runs a program of this folder to its end; rejects with what it complained of. */
export async function traceProgram(program: string, argv: readonly string[], output: string): Promise<SystemCall[]> {
  const command = ['-f', '-qq', '-s', '300', '-e', `trace=${traced}`, '-e', 'signal=none', '-o', output]
  const child = spawn('strace', [...command, process.execPath, program, ...argv], {
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const code = await new Promise((resolve) => child.once('close', resolve))
  if (code !== 0) throw new Error(`${program} ended with ${String(code)}: ${complaint}`)
  return systemCallsOf(readFileSync(output, 'utf8'))
}

export function systemCallsOf(text: string): SystemCall[] {
  const calls: SystemCall[] = []
  const unfinished = new Map<string, { text: string; began: number }>()
  for (const [time, line] of text.split('\n').entries()) {
    const match = /^(\d+) +(.*)$/.exec(line)
    if (match === null) continue
    const [, pid, rest] = match as unknown as [string, string, string]
    if (rest.endsWith('<unfinished ...>')) {
      unfinished.set(pid, { text: rest.slice(0, -'<unfinished ...>'.length), began: time })
      continue
    }
    const resumed = /^<\.\.\. \w+ resumed>(.*)$/.exec(rest)
    const first = resumed === null ? undefined : unfinished.get(pid)
    const whole = first === undefined ? rest : `${first.text}${resumed![1]}`
    const parsed = /^(\w+)\((.*)\) += (-?\d+)(.*)$/.exec(whole)
    if (parsed === null) continue
    calls.push({
      name: parsed[1]!,
      arguments: parsed[2]!,
      result: Number(parsed[3]),
      isInjected: parsed[4]!.includes('(INJECTED)'),
      began: first?.began ?? time,
      ended: time,
    })
  }
  return calls
}
