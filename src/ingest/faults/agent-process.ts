/** For tests: a DAQ folder, a platform, and an agent in a process of its own that a command stands before. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdir } from 'node:fs/promises'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished } from 'vitest'
import { temporaryDirectory } from '../../foundation/testing.ts'
import { hashFile } from '../hash-file.ts'
import { simulateDaq } from '../index.ts'
import { startPlatform, type AgentChildOptions, type TestPlatform } from '../testing.ts'

export async function openSite(): Promise<{ platform: TestPlatform; directory: string; path: string }> {
  const { path } = await temporaryDirectory()
  const platform = await startPlatform({ folder: join(path, 'home'), port: 0, s3Port: 0 })
  onTestFinished(() => platform.close())
  const directory = join(path, 'daq')
  await mkdir(directory)
  return { platform, directory, path }
}

export interface AgentProcess {
  lines: Record<string, unknown>[]
  /** Waits for a line, past or future. */
  saw(event: string, file?: string): Promise<void>
  kill(): Promise<void>
}

/** Starts the agent; `before` is e.g. ['ip', 'netns', 'exec', 'x']. */
export function startAgent(
  options: AgentChildOptions,
  { before = [], environment = {} }: { before?: string[]; environment?: Record<string, string> } = {},
): AgentProcess {
  const script = join(import.meta.dirname, '..', 'testing-process.ts')
  const argv = [...before, process.execPath, script, 'agent', JSON.stringify({ idleMs: 1500, ...options })]
  const child = spawn(argv[0]!, argv.slice(1), {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const lines: Record<string, unknown>[] = []
  createInterface({ input: child.stdout }).on('line', (line) => lines.push(JSON.parse(line) as Record<string, unknown>))
  const kill = async (): Promise<void> => {
    if (child.exitCode !== null || child.signalCode !== null) return
    const gone = once(child, 'exit')
    child.kill('SIGKILL')
    await gone
  }
  onTestFinished(kill)
  return {
    lines,
    kill,
    async saw(event, file) {
      const found = (): boolean =>
        lines.some((line) => line.event === event && (file === undefined || line.file === file))
      await expect.poll(found, { timeout: 240_000, interval: 100, message: `${event} ${file ?? ''}` }).toBe(true)
    },
  }
}

/** Writes so many small runs after the `first` one. */
export async function takeRuns(directory: string, runs: number, sizes = { width: 128, height: 128 }): Promise<void> {
  const signal = new AbortController().signal
  await simulateDaq({
    runs,
    images: 3,
    pedestalImages: 0,
    seed: 1,
    paceMs: 0,
    frame: sizes,
    directory,
    signal,
    onEvent: () => {},
  })
}

/** Every run is there once, whole, and in order; nothing is left half sent. */
export async function expectAllSafe(
  { platform, directory }: { platform: TestPlatform; directory: string },
  agent: AgentProcess,
  numbers: readonly number[],
): Promise<void> {
  for (const number of numbers) {
    const name = `run${String(number).padStart(5, '0')}.mid`
    await agent.saw('safe', name)
    await expect
      .poll(async () => (await platform.logbook.findRun('demo', 'sim', number))?.state, { timeout: 60_000 })
      .toBe('closed')
    const { files } = await platform.logbook.showRun('demo', `sim:${number}`)
    const raw = files.filter(({ role }) => role === 'raw')
    expect(raw.map(({ state, sha256 }) => ({ state, sha256 }))).toEqual([
      { state: 'safe', sha256: await hashFile(join(directory, name)) },
    ])
  }
  const safe = agent.lines
    .filter(({ event, file }) => event === 'safe' && String(file).endsWith('.mid'))
    .map(({ file }) => file)
  expect(new Set(safe).size, 'each file is said to be safe once').toBe(safe.length)
  expect(safe, 'in the order of the runs').toEqual(safe.toSorted())
  expect(await platform.storage.listUploads('demo-raw')).toEqual([])
}
