/** What all parts of a kill campaign share: the platform, the person who uses it, the log of what happened. */
import { appendFileSync, mkdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { callApi, checkout, type RunningPlatform } from './platform.ts'
import { s3Client, type S3Client } from './s3-client.ts'
import type { AgentProcess, Scenario } from './scenario.ts'

export interface World {
  seed: number
  kills: number
  platform: RunningPlatform
  scenario: Scenario
  /** Both DAQ machines: the second one compresses. */
  daqs: Daq[]
  s3: S3Client
  /** True from the end of the kills on: whoever makes load ends. */
  isOver: boolean
  /** Broken promises that were seen while the campaign ran; any one makes it red. */
  violations: string[]
  /** Pids that were killed on purpose. */
  killed: Set<number>
  /** Resolves when a supervisor is there again. */
  supervised: Promise<void>
  logPath: string
  record(event: string, facts?: Record<string, unknown>): void
  violation(text: string): void
  /** The API as the site admin; the token renews itself. */
  call<Answer>(method: string, path: string, body?: unknown): Promise<Answer>
  /** The same until it is answered: for calls that may be repeated. */
  insist<Answer>(method: string, path: string, body?: unknown, patienceMs?: number): Promise<Answer>
}

export interface Daq {
  folder: string
  series: string
  agent: AgentProcess
}

const tokenRenewMs = 20 * 60_000

export async function openWorld(options: {
  seed: number
  kills: number
  platform: RunningPlatform
  scenario: Scenario
}): Promise<World> {
  const { seed, kills, platform, scenario } = options
  const logPath = join(checkout, 'out', `chaos-${seed}.jsonl`)
  mkdirSync(join(checkout, 'out'), { recursive: true })
  rmSync(logPath, { force: true })
  const record = (event: string, facts: Record<string, unknown> = {}) =>
    appendFileSync(logPath, `${JSON.stringify({ at: new Date().toISOString(), event, ...facts })}\n`)
  const { accessKeyId, secretAccessKey } = await callApi<{ accessKeyId: string; secretAccessKey: string }>(
    platform,
    scenario.token,
    'POST',
    '/api/identity/access-keys',
    { label: 'campaign' },
  )
  const key = { accessKeyId, secretAccessKey }
  let token = scenario.token
  let renewedMs = performance.now()
  const world: World = {
    seed,
    kills,
    platform,
    scenario,
    daqs: [],
    s3: s3Client(() => platform.s3Url, key),
    isOver: false,
    violations: [],
    killed: new Set(),
    supervised: Promise.resolve(),
    logPath,
    record,
    violation(text) {
      world.violations.push(text)
      record('VIOLATION', { text })
      console.error(`chaos seed ${seed}: ${text}`)
    },
    async call<Answer>(method: string, path: string, body?: unknown) {
      if (performance.now() - renewedMs > tokenRenewMs) {
        const renewed = await callApi<{ accessToken: string }>(platform, undefined, 'POST', '/api/identity/token', key)
        token = renewed.accessToken
        renewedMs = performance.now()
      }
      return await callApi<Answer>(platform, token, method, path, body)
    },
    async insist<Answer>(method: string, path: string, body?: unknown, patienceMs = 180_000) {
      const deadlineMs = performance.now() + patienceMs
      for (;;) {
        try {
          return await world.call<Answer>(method, path, body)
        } catch (error) {
          if (!isTemporary(statusOf(error)) || performance.now() > deadlineMs) throw error
          await sleep(150)
        }
      }
    },
  }
  return world
}

/** Waits while many jobs wait: a machine that is slow today gets less load, not a backlog that outlasts the campaign. */
export async function untilRoom(world: World): Promise<void> {
  while (!world.isOver) {
    const { jobs } = await world.insist<{ jobs: { waiting: number } }>('GET', '/api/compute/machine')
    if (jobs.waiting < 12) return
    await sleep(1_000)
  }
}

/** Try again: the platform is away, or has too much to do. */
export const isTemporary = (status: number) => status >= 500 || status === 429 || status === 408

/** HTTP status of an error of `callApi`; 599 when there was no answer at all. */
export function statusOf(error: unknown): number {
  return Number(/ answered (\d{3})/.exec(error instanceof Error ? error.message : '')?.[1] ?? 599)
}
