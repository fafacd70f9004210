/** What the end-to-end tests set up again and again: an experiment, a DAQ machine, an agent that never stays dead. */
import type { ChildProcess } from 'node:child_process'
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { adminToken, callApi, cygnet, eventually, type RunningPlatform } from './platform.ts'

export const experiment = 'demo'

export interface Scenario {
  platform: RunningPlatform
  token: string
  /** The DAQ's folder. */
  daq: string
  keyFile: string
  key: { accessKeyId: string; secretAccessKey: string }
  call<Answer>(method: string, path: string, body?: unknown): Promise<Answer>
}

export async function setUpExperiment(platform: RunningPlatform): Promise<Scenario> {
  const token = await adminToken(platform)
  const call = <Answer>(method: string, path: string, body?: unknown) =>
    callApi<Answer>(platform, token, method, path, body)
  await call('POST', '/api/experiments', { name: experiment, title: 'End to end', setup: 'lime', series: 'sim' })
  await eventually('buckets', async () => {
    const { items } = await call<{ items: unknown[] }>('GET', `/api/experiments/${experiment}/buckets`)
    return items.length === 3 ? items : undefined
  })
  const { accessKey } = await call<{ accessKey: Scenario['key'] }>('POST', '/api/identity/clients', {
    experiment,
    name: 'daq',
  })
  const daq = join(platform.home, 'daq')
  mkdirSync(daq, { recursive: true })
  const keyFile = join(platform.home, 'daq.key')
  const key = { accessKeyId: accessKey.accessKeyId, secretAccessKey: accessKey.secretAccessKey }
  writeFileSync(keyFile, JSON.stringify(key), { mode: 0o600 })
  return { platform, token, daq, keyFile, key, call }
}

export interface AgentProcess {
  pid(): number | undefined
  /** The agent's own lines so far. */
  lines: Record<string, unknown>[]
  stop(): Promise<void>
}

/** Runs `daq watch`, and again whenever it dies, as an init system would. */
export function keepAgent(
  { platform, daq, keyFile }: Scenario,
  options: { folder?: string; setup?: string; series?: string; flags?: string[]; environment?: NodeJS.ProcessEnv } = {},
): AgentProcess {
  const lines: Record<string, unknown>[] = []
  let child: ChildProcess
  let stopping = false
  const { folder = daq, setup = 'lime', series = 'sim', flags = [], environment = {} } = options
  const argv = ['daq', 'watch', folder, '-e', experiment, '--setup', setup, '--series', series, ...flags]
  const start = () => {
    const place = ['--server', platform.platformUrl, '--key-file', keyFile, '--idle', '3', '--json']
    child = cygnet([...argv, ...place], environment)
    child.stderr!.resume()
    createInterface({ input: child.stdout! }).on('line', (line) =>
      lines.push(JSON.parse(line) as Record<string, unknown>),
    )
    child.once('exit', () => void (stopping || setTimeout(start, 300)))
  }
  start()
  return {
    pid: () => child.pid,
    lines,
    async stop() {
      stopping = true
      const ended =
        child.exitCode === null && child.signalCode === null
          ? new Promise((done) => child.once('exit', done))
          : undefined
      child.kill('SIGKILL')
      await ended
    },
  }
}

export interface RunAnswer {
  run: { reference: string; state: string; kind: string; images: number | null; faults: number }
  files: {
    bucket: string
    key: string
    role: string
    state: string
    sha256: string | null
    sizeBytes: number
    reason: string
  }[]
  faults: { code: string; detail: string; hint: string; resolvedMs: number | null }[]
}

export interface ReconstructionAnswer {
  tasks: { id: string; state: string; kind: string; campaign: string; reason: string | null; jobId: string | null }[]
  summaries: {
    campaign: string
    bucket: string
    prefix: string
    images: number
    clusters: number
    details: { contentSha256: string }
  }[]
}

export const showRun = ({ call }: Scenario, run: string) =>
  call<RunAnswer>('GET', `/api/experiments/${experiment}/runs/${run}`)
export const showReconstruction = ({ call }: Scenario, run: string) =>
  call<ReconstructionAnswer>('GET', `/api/experiments/${experiment}/runs/${run}/reconstruction`)

export async function sha256OfFile(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path)) hash.update(chunk as Buffer)
  return hash.digest('hex')
}

/** Reads an object's bytes through the platform and answers their SHA-256. */
export async function sha256OfObject({ platform, token }: Scenario, bucket: string, key: string): Promise<string> {
  const answer = await fetch(`${platform.platformUrl}/api/buckets/${bucket}/object?key=${encodeURIComponent(key)}`, {
    headers: { authorization: `Bearer ${token}` },
  })
  if (!answer.ok) throw new Error(`${bucket}/${key}: ${answer.status} ${await answer.text()}`)
  const hash = createHash('sha256')
  for await (const chunk of answer.body!) hash.update(chunk)
  return hash.digest('hex')
}
