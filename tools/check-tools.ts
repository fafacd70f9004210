/** Running a checking tool of node_modules and making its words into findings. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { root } from './sources.ts'

export interface Finding {
  problems: string[]
  /** What was looked at. */
  words: string
  advice?: boolean
}

export interface Check {
  name: string
  advice?: boolean
  run(): Promise<Finding>
}

export async function runTool(bin: string, argv: string[], words: string, hint?: string): Promise<Finding> {
  const child = spawn(process.execPath, [join(root, 'node_modules', bin), ...argv], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  child.stdout.on('data', (chunk) => (output += chunk))
  child.stderr.on('data', (chunk) => (output += chunk))
  const code = await new Promise<number | null>((resolve) => child.once('close', resolve))
  if (code === 0) return { problems: [], words }
  const lines = stripVTControlCharacters(output)
    .split('\n')
    .map((line) => line.trimEnd())
    .filter((line) => line !== '')
  return {
    problems: [...(lines.length === 0 ? [`ended with code ${code}`] : lines), ...(hint === undefined ? [] : [hint])],
    words,
  }
}
