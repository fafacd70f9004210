/** Notebook sessions with busy kernels while everything dies: alive with what they know, or honestly reported. */
import { setTimeout as sleep } from 'node:timers/promises'
import { statusOf, type World } from './chaos-world.ts'
import { callJupyter, enterSession, runCell, startKernel, type SessionDoor } from './kernel.ts'

interface SessionAnswer {
  id: string
  jobId: string
  state: string
  reason: string | null
  url: string
}

export interface Keeper {
  /** Nothing of it is ever killed: it must live to the end with all it knows. */
  isSheltered: boolean
  jobId: string | undefined
  /** A kernel answered: the session is worth killing. */
  isBusy: boolean
  /** Somebody is about to kill this part of it. */
  aim(what: 'session' | 'kernel'): void
  kernels(): number
  ended: Promise<void>
}

const beginning = `
import threading, time
ticks = 0
def count():
    global ticks
    while True:
        time.sleep(0.5)
        ticks += 1
threading.Thread(target=count, daemon=True).start()
`
/** After a kill the platform may take so long to say what became of a session. */
const honestWithinMs = 60_000

/** Keeps one session of an experiment: starts it again whenever it was killed, and asks its kernel what it knows. */
export function keepSession(world: World, experiment: string, isSheltered: boolean): Keeper {
  let kernels = 0
  let aimed: 'session' | 'kernel' | undefined
  let aimedMs = 0
  const keeper: Keeper = {
    isSheltered,
    jobId: undefined,
    isBusy: false,
    aim(what) {
      // The end of a session takes its kernel along.
      if (aimed !== 'session') aimed = what
      aimedMs = performance.now()
      if (what === 'session') keeper.isBusy = false
    },
    kernels: () => kernels,
    ended: Promise.resolve(),
  }
  const show = (id: string) => world.insist<SessionAnswer>('GET', `/api/notebooks/sessions/${id}`)
  keeper.ended = live()
  return keeper

  async function live(): Promise<void> {
    while (!world.isOver) {
      const session = await started()
      if (session === undefined) continue
      const ended = await withKernel(session)
      keeper.isBusy = false
      if (ended === undefined) continue
      world.record('session-ended', { experiment, session: session.id, state: ended.state, reason: ended.reason })
      if (aimed !== 'session') world.violation(`session ${session.id} ended and nobody killed it: ${ended.reason}`)
      else if ((ended.reason ?? '') === '') world.violation(`session ${session.id} ended without a reason`)
      aimed = undefined
    }
  }

  async function started(): Promise<SessionAnswer | undefined> {
    let session = await world.insist<SessionAnswer>('POST', '/api/notebooks/sessions', { experiment })
    keeper.jobId = session.jobId
    const deadlineMs = performance.now() + 180_000
    while (session.state !== 'running') {
      if (session.state === 'failed' || session.state === 'stopped') {
        world.record('session-did-not-start', { experiment, session: session.id, reason: session.reason })
        // Failpoints of the shim meet sessions as well as jobs.
        if (isSheltered || !/killed/.test(session.reason ?? ''))
          world.violation(`session ${session.id} did not start: ${session.reason}`)
        return undefined
      }
      if (performance.now() > deadlineMs) {
        world.violation(`session ${session.id} is ${session.state} for three minutes`)
        return undefined
      }
      await sleep(300)
      session = await show(session.id)
    }
    return session
  }

  /** Works in one session until it is said to have ended. */
  async function withKernel(session: SessionAnswer): Promise<SessionAnswer | undefined> {
    const door = await persist(session, async () => {
      const { url } = await world.insist<{ url: string }>('POST', `/api/notebooks/sessions/${session.id}/ticket`, {})
      return await enterSession(url, session.url)
    })
    if ('state' in door) return door
    const kernelId = await persist(session, () => startKernel(door))
    if (typeof kernelId !== 'string') return kernelId
    let secret = `${session.id}/${(kernels += 1)}`
    const begun = await persist(session, () => runCell(door, kernelId, `${beginning}secret = '${secret}'`))
    if (typeof begun !== 'string') return begun
    const busyKernelId = isSheltered ? await persist(session, () => busyKernel(door)) : undefined
    if (typeof busyKernelId === 'object') return busyKernelId
    world.record('kernel', { session: session.id, kernel: kernelId, secret })
    let ticks = 0
    while (!world.isOver || isSheltered) {
      keeper.isBusy = true
      for (let wait = 0; wait < 20 && !world.isOver; wait++) await sleep(150)
      const said = await persist(session, () => runCell(door, kernelId, 'print(secret, ticks)', { timeoutMs: 20_000 }))
      if (typeof said !== 'string') return said
      const [known, counted] = said.trim().split(' ')
      if (known !== secret || Number(counted) < ticks) {
        if (aimed !== 'kernel')
          world.violation(`a kernel of ${session.id} forgot: knows '${said.trim()}', not ${secret}`)
        else if (!/^ERROR (NameError|aborted)/.test(said))
          world.violation(`a killed kernel of ${session.id} says '${said}'`)
        world.record('kernel-restarted', { session: session.id, kernel: kernelId, said })
        aimed = undefined
        secret = `${session.id}/${(kernels += 1)}`
        const again = await persist(session, () => runCell(door, kernelId, `${beginning}secret = '${secret}'`))
        if (typeof again !== 'string') return again
        ticks = 0
      } else ticks = Number(counted)
      if (world.isOver) break
    }
    if (busyKernelId !== undefined) await checkBusyKernel(session, door, busyKernelId)
    const lastly = await show(session.id)
    return lastly.state === 'running' ? undefined : lastly
  }

  /** A cell that never ends by itself. */
  async function busyKernel(door: SessionDoor): Promise<string> {
    const kernelId = await startKernel(door)
    await runCell(door, kernelId, "steps, treasure = 0, 'kept'")
    await runCell(door, kernelId, 'import time\nwhile True:\n    time.sleep(0.2)\n    steps += 1', { wait: false })
    return kernelId
  }

  async function checkBusyKernel(session: SessionAnswer, door: SessionDoor, kernelId: string): Promise<void> {
    const state = await callJupyter<{ execution_state: string }>(door, 'GET', `api/kernels/${kernelId}`)
    if (state.execution_state !== 'busy') world.violation(`a busy kernel of ${session.id} is ${state.execution_state}`)
    await callJupyter(door, 'POST', `api/kernels/${kernelId}/interrupt`)
    let said = ''
    // What is sent in the same moment as an interrupt may be given up by the kernel, with an empty answer.
    for (let tries = 0; tries < 20 && said === ''; tries++) {
      await sleep(500)
      said = await runCell(door, kernelId, 'print(treasure, steps > 5)')
    }
    if (said.trim() !== 'kept True') world.violation(`a busy kernel of ${session.id} says '${said.trim()}'`)
    kernels++
  }

  /**
   * Tries until it is answered, or until the session is said to have ended. A session that is said to run while nothing
   * answers for a minute is a broken promise.
   */
  async function persist<Value>(session: SessionAnswer, work: () => Promise<Value>): Promise<Value | SessionAnswer> {
    const begunMs = performance.now()
    for (;;) {
      try {
        return await work()
      } catch (error) {
        const now = await show(session.id).catch((problem: unknown) => {
          if (statusOf(problem) < 500) throw problem
          return session
        })
        if (now.state === 'failed' || now.state === 'stopped') return now
        const sinceMs = performance.now() - Math.max(begunMs, aimedMs)
        if (sinceMs > honestWithinMs) {
          const text = error instanceof Error ? `${error.message} ${String(error.cause ?? '')}` : String(error)
          world.violation(`session ${session.id} is said to be ${now.state}, and nothing answers: ${text}`)
          return { ...now, state: 'silent', reason: text }
        }
        await sleep(500)
      }
    }
  }
}
