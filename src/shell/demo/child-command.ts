/** The demo's helpers are the same commands a person would type, in processes of their own, heard by their JSON lines. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { shellFaults } from '../errors.ts'

export interface ChildCommand {
  pid: number
  /** Resolves when it has ended well; rejects with its last words when not. */
  done: Promise<void>
  stop(): Promise<void>
}

export function runCommandLine(
  argv: string[],
  onEvent: (event: { event: string; [detail: string]: unknown }) => void,
): ChildCommand {
  const commandLine = join(import.meta.dirname, '..', 'cli.ts')
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', commandLine, ...argv, '--json'], {
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let lastWords = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (lastWords = (lastWords + text).slice(-2_000)))
  createInterface({ input: child.stdout }).on('line', (line) => onEvent(JSON.parse(line) as { event: string }))
  let stopping = false
  const ended = once(child, 'exit') as Promise<[number | null]>
  const done = ended.then(([code]) => {
    if (code !== 0 && !stopping)
      throw shellFaults.demoFailed(`cygnet ${argv.join(' ')} ended with code ${code}: ${lastWords.trim()}`)
  })
  done.catch(() => {})
  return {
    pid: child.pid!,
    done,
    async stop() {
      stopping = true
      child.kill('SIGTERM')
      await ended
    },
  }
}
