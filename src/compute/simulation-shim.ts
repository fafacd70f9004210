/** For the simulation: what shim.py does with the folder of an attempt, step by step. The payload outlives a killed shim. */
import { mkdir, readFile, rename, stat, writeFile } from 'node:fs/promises'
import { writeFileDurable } from '../foundation/files.ts'
import { isSameProcess, processIdentity } from '../foundation/processes.ts'
import type { SimulatedProcess, World } from '../foundation/simulation.ts'

export interface Payload {
  jobId: string
  attempt: number
  process: SimulatedProcess
  startedAt: number
  endedAt: number | undefined
}

export interface PayloadPlan {
  tookMs: number
  exitCode: number
}

interface Spec {
  attempt: string
  bell: string
  limits: { walltimeMs: number }
}

const beatMs = 2000

export function createSimulatedShim(world: World, planOf: (jobId: string, attempt: number) => PayloadPlan) {
  const payloads = new Map<string, Payload>()
  /** When the shim of an attempt claimed and ended, in true time. */
  const spans = new Map<string, { claimedAt: number; endedAt: number | undefined; goneAt: number | undefined }>()

  async function writeAtomically(path: string, value: object): Promise<void> {
    await writeFile(`${path}.tmp`, JSON.stringify(value))
    await rename(`${path}.tmp`, path)
  }
  const there = async (path: string): Promise<boolean> => (await stat(path).catch(() => undefined)) !== undefined

  async function claim(folder: string, claimedMs: number): Promise<boolean> {
    const mine = `${folder}/claim.${process.pid}`
    await mkdir(mine)
    const own = processIdentity(process.pid)
    if (own === undefined) throw new Error('it does not know itself')
    await writeAtomically(`${mine}/shim.json`, { ...own, claimedMs })
    try {
      await rename(mine, `${folder}/claim`)
      return true
    } catch {
      return false
    }
  }

  function start(spec: Spec): Payload {
    const [jobId, number] = spec.attempt.split('.') as [string, string]
    const attempt = Number(number)
    if (payloads.has(spec.attempt)) world.violation(`attempt ${spec.attempt.slice(-4)} runs twice`)
    for (const other of payloads.values())
      if (other.jobId === jobId && other.process.alive)
        world.violation(`attempt ${attempt} begins while ${other.attempt} runs`)
    const plan = planOf(jobId, attempt)
    const running = world.start(world.requireProcess().machine, 'payload', async () => {
      await new Promise((resolve) => setTimeout(resolve, plan.tookMs))
      return plan.exitCode
    })
    const payload: Payload = { jobId, attempt, process: running, startedAt: world.nowMs, endedAt: undefined }
    running.onGone.push(() => (payload.endedAt = world.nowMs))
    payloads.set(spec.attempt, payload)
    return payload
  }

  async function run(folder: string, self: SimulatedProcess): Promise<number> {
    const spec = JSON.parse(await readFile(`${folder}/spec.json`, 'utf8')) as Spec
    let asked = false
    const wakers = new Set<() => void>()
    self.onSignal.push(() => {
      asked = true
      for (const wake of wakers) wake()
    })
    const startedMs = Date.now()
    const begun = performance.now()
    // It may stand still between looking at the clock and its claim.
    const claimedAt = world.nowMs
    const now = (): number => Math.round(startedMs + performance.now() - begun)
    if (!(await claim(folder, startedMs))) return 0
    const span = {
      claimedAt,
      endedAt: undefined as number | undefined,
      goneAt: undefined as number | undefined,
    }
    spans.set(spec.attempt, span)
    self.onGone.push(() => (span.goneAt = world.nowMs))
    let reason = (await there(`${folder}/cancel`)) ? 'cancelled' : 'exited'
    let code: number | undefined
    if (reason === 'exited') {
      const payload = start(spec)
      payload.process.onGone.push((ended) => {
        code = ended
        for (const wake of wakers) wake()
      })
      await writeAtomically(`${folder}/claim/payload.json`, { pid: payload.process.pid })
      await writeFile(spec.bell, '').catch(() => undefined)
      while (code === undefined) {
        await writeAtomically(`${folder}/heartbeat`, { atMs: now(), cpuSeconds: 0.001, peakMemoryBytes: 1 })
        if (now() - startedMs > spec.limits.walltimeMs) {
          reason = 'walltime'
          world.kill(payload.process)
        }
        if (asked && (await there(`${folder}/cancel`))) {
          reason = 'cancelled'
          world.kill(payload.process)
        }
        if (code !== undefined) break
        await new Promise<void>((resolve) => {
          const wake = (): void => {
            clearTimeout(timer)
            wakers.delete(wake)
            resolve()
          }
          const timer = setTimeout(wake, beatMs)
          wakers.add(wake)
        })
      }
    }
    const killed = code === 137
    span.endedAt = world.nowMs
    const done = {
      attempt: spec.attempt,
      reason,
      detail: null,
      exitCode: killed ? null : (code ?? null),
      signal: killed ? 'SIGKILL' : null,
      startedMs,
      endedMs: now(),
      cpuSeconds: 0.001,
      peakMemoryBytes: 1,
      outputs: [],
      note: null,
    }
    await writeFileDurable(`${folder}/done.json`, JSON.stringify(done))
    await writeFile(spec.bell, '').catch(() => undefined)
    return 0
  }

  /** `--reap`: ends what a dead shim left. */
  async function reap(folder: string): Promise<number> {
    const text = await readFile(`${folder}/claim/shim.json`, 'utf8').catch(() => '')
    if (text === '' || isSameProcess(JSON.parse(text))) return 3
    const spec = JSON.parse(await readFile(`${folder}/spec.json`, 'utf8')) as Spec
    const payload = payloads.get(spec.attempt)
    if (world.chance.of(0.1)) return 1
    if (payload !== undefined) world.kill(payload.process)
    return 0
  }

  return {
    payloads,
    spans,
    program: async (argv: readonly string[], self: SimulatedProcess): Promise<number> => {
      const folder = argv.at(-1)!
      return argv.includes('--reap') ? await reap(folder) : await run(folder, self)
    },
  }
}
