/** People's batch jobs under fire: each leaves its number once, never beside itself, and ends in a final state. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { generator } from './chaos-plan.ts'
import { statusOf, untilRoom, type World } from './chaos-world.ts'
import { eventually } from './platform.ts'
import { experiment } from './scenario.ts'

export interface Jobs {
  /** Ids by number, of all that were acknowledged. */
  accepted: Map<number, string>
  /** Submits one more that runs for so long, and waits until it is accepted. */
  submit(seconds: number): Promise<void>
  ended: Promise<void>
  /** Waits for every end, then looks at each effect; answers what is wrong. */
  check(): Promise<string[]>
}

interface JobAnswer {
  id: string
  state: string
  reason: string | null
  attempt: number
  outputs: { name: string; sizeBytes: number }[]
}

const final = ['done', 'failed', 'cancelled']
/** Two attempts at the same time would meet in the lock of this file; a flock that is killed itself has met nobody. */
const script = (number: number, seconds: number) => `
mkdir -p /data/${experiment}-work/effects
exec 9>>/data/${experiment}-work/effects/${number}
flock -n 9 || { [ $? = 1 ] && echo overlap >> /data/${experiment}-work/effects/${number}; exit 66; }
echo begin >&9
sleep ${seconds}
echo ${number} > /out/number
echo end >&9
`

export function startJobs(world: World): Jobs {
  const accepted = new Map<number, string>()
  const cancelled = new Set<number>()
  let last = 0

  async function submit(seconds: number): Promise<number> {
    const number = (last += 1)
    const job = await world.insist<JobAnswer>('POST', `/api/experiments/${experiment}/jobs`, {
      argv: ['/bin/sh', '-c', script(number, seconds)],
      environment: 'system',
      title: `job ${number}`,
      request: { cpuMilli: 100, memoryMiB: 64 },
      idempotencyKey: `campaign-${number}`,
    })
    accepted.set(number, job.id)
    world.record('job', { number, job: job.id })
    return number
  }

  async function cancel(number: number): Promise<void> {
    cancelled.add(number)
    await world.insist('POST', `/api/jobs/${accepted.get(number)!}/cancel`).catch((error: unknown) => {
      if (statusOf(error) !== 409) throw error
    })
  }

  async function run(random: () => number): Promise<void> {
    while (!world.isOver) {
      await untilRoom(world)
      const number = await submit(random() < 0.15 ? 6 : random() * 2)
      await sleep(800 + random() * 1_500)
      if (random() < 0.1) await cancel(number)
    }
  }

  async function checkOne(number: number, id: string): Promise<string | undefined> {
    const job = await eventually(
      `the end of job ${number} (${id})`,
      async () => {
        const answer = await world.insist<JobAnswer>('GET', `/api/jobs/${id}`)
        return final.includes(answer.state) ? answer : undefined
      },
      180_000,
    )
    let lines: string[] = []
    try {
      const path = join(world.platform.home, 'data', `${experiment}-work`, 'effects', String(number))
      lines = readFileSync(path, 'utf8').trim().split('\n')
    } catch {
      // It never began.
    }
    if (lines.includes('overlap')) return `job ${number} ran beside itself`
    if (job.state === 'cancelled' && !cancelled.has(number)) return `job ${number} was cancelled by nobody`
    if (job.state === 'failed' && (job.reason ?? '') === '') return `job ${number} failed without a reason`
    if (job.state === 'failed' && !/killed/.test(job.reason!)) return `job ${number} failed: ${job.reason}`
    if (job.state !== 'done') return undefined
    if (!lines.includes('end')) return `job ${number} is done and never ended`
    const path = `/api/jobs/${id}/output?name=number`
    const output = await world.insist<number>('GET', path)
    return output === number ? undefined : `job ${number} left ${String(output)}`
  }

  return {
    accepted,
    submit: async (seconds) => void (await submit(seconds)),
    ended: run(generator(world.seed + 1000)),
    async check() {
      const wrong: string[] = []
      for (const [number, id] of accepted) {
        const text = await checkOne(number, id)
        if (text !== undefined) wrong.push(text)
      }
      if (new Set(accepted.values()).size !== accepted.size) wrong.push('two submissions gave the same job')
      return wrong
    },
  }
}
