/** One pulled plug after the other: workload, cut, recovery, findings. */
import { spawn } from 'node:child_process'
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { FileSystem, LoopDisk, openDisks } from './disk.ts'
import { readHistory } from './history.ts'
import { randomOf } from './random.ts'
import { findingsOf, type Findings } from './recovery.ts'
import type { Mutant, WorkloadOptions } from './workload.ts'

export interface CutTally {
  cuts: number
  acknowledged: number
  lost: string[]
  torn: string[]
  wrong: string[]
}

export interface CutPlan {
  disks: Awaited<ReturnType<typeof openDisks>>
  fileSystem: FileSystem
  cuts: number
  seed: number
  /** 'cut': no write after that instant; 'snapshot': the disk as it is at an instant, while work goes on. */
  method: 'cut' | 'snapshot'
  hasDatabase?: boolean
  mutant?: Mutant
  /** Few people who rest between two operations: the cut meets what was acknowledged last. */
  isQuiet?: boolean
}

/** Cuts that one disk survives before it is made new. */
const cutsPerDisk = 8

export async function cutPower(plan: CutPlan): Promise<CutTally> {
  const tally: CutTally = { cuts: 0, acknowledged: 0, lost: [], torn: [], wrong: [] }
  const random = randomOf(plan.seed)
  const work = mkdtempSync(join(tmpdir(), 'cygnet-cuts-'))
  let disk: LoopDisk | undefined
  let contents: Findings['contents'] = new Map()
  try {
    while (tally.cuts < plan.cuts) {
      if (tally.cuts % cutsPerDisk === 0 || plan.mutant !== undefined) {
        await disk?.dispose()
        disk = await plan.disks.make(plan.fileSystem)
        contents = new Map()
      }
      const acknowledgements = join(work, `${tally.cuts}`)
      const options: WorkloadOptions = {
        root: join(disk!.path, 'data'),
        acknowledgements,
        seed: random.below(2 ** 31),
        lanes: plan.isQuiet ? 1 : 1 + random.below(5),
        pauseMs: plan.isQuiet ? 25 : random.pick([0, 0, 3, 15]),
        firstId: (tally.cuts + 1) * 1_000_000,
        ...(plan.hasDatabase ? { database: join(disk!.path, 'database', 'cygnet.sqlite') } : {}),
        ...(plan.mutant === undefined ? {} : { mutant: plan.mutant }),
      }
      const cut = await oneCut(plan, disk!, options, random.below(120), random.below(60))
      const database = options.database?.replace(disk!.path, cut.disk.path)
      const findings = await findingsOf({
        root: join(cut.disk.path, 'data'),
        history: cut.history,
        before: contents,
        ...(database === undefined ? {} : { database }),
      })
      if (cut.disk !== disk) await cut.disk.dispose()
      // Of the disk that was only copied nobody knows what it holds now.
      if (plan.method === 'snapshot') {
        await disk!.dispose()
        disk = await plan.disks.make(plan.fileSystem)
      } else contents = findings.contents
      tally.cuts += 1
      tally.acknowledged += findings.acknowledged
      for (const kind of ['lost', 'torn', 'wrong'] as const)
        tally[kind].push(...findings[kind].map((one) => `cut ${tally.cuts} (seed ${options.seed}): ${one}`))
      rmSync(acknowledgements)
    }
  } finally {
    await disk?.dispose()
    rmSync(work, { recursive: true, force: true })
  }
  return tally
}

async function oneCut(plan: CutPlan, disk: LoopDisk, options: WorkloadOptions, afterLines: number, thenMs: number) {
  const program = join(import.meta.dirname, 'workload.ts')
  const child = spawn(process.execPath, [program, JSON.stringify(options)], { stdio: ['ignore', 'ignore', 'pipe'] })
  let complaint = ''
  child.stderr.on('data', (chunk: Buffer) => (complaint += chunk.toString()))
  const ended = new Promise((resolve) => child.once('close', resolve))
  const plug = plan.method === 'cut' ? await disk.plug(options.acknowledgements) : undefined
  const lines = () =>
    existsSync(options.acknowledgements) ? readFileSync(options.acknowledgements, 'utf8').split('\n').length : 0
  try {
    for (const deadlineMs = performance.now() + 60_000; lines() < 3 + afterLines; await sleep(2)) {
      if (child.exitCode !== null || performance.now() > deadlineMs)
        throw new Error(`The workload stopped: ${complaint}`)
    }
    await sleep(thenMs)
    if (plan.method === 'cut') {
      const sizeBytes = await plug!.pull()
      child.kill('SIGKILL')
      await ended
      await disk.revive()
      const before = readHistory(options.acknowledgements, sizeBytes)
      return { disk, history: withoutLater(readHistory(options.acknowledgements), before) }
    }
    const before = readHistory(options.acknowledgements)
    const copy = await disk.snapshot()
    child.kill('SIGKILL')
    await ended
    return { disk: copy, history: withoutLater(readHistory(options.acknowledgements), before) }
  } finally {
    plug?.release()
    child.kill('SIGKILL')
    await ended
  }
}

/** What was acknowledged only after the instant of the cut or copy may be there or not. */
function withoutLater(history: ReturnType<typeof readHistory>, before: ReturnType<typeof readHistory>) {
  const known = new Map(before.operations.map((operation) => [operation.id, operation]))
  for (const operation of history.operations) {
    if (known.get(operation.id)?.outcome === 'acknowledged' || operation.outcome === 'refused') continue
    operation.outcome = 'unknown'
    operation.ended = Infinity
  }
  const uploads = new Map(before.uploads.map((upload) => [upload.uploadId, upload]))
  history.uploads = history.uploads.map((upload) => {
    const old = uploads.get(upload.uploadId)
    if (old === undefined) return { ...upload, state: 'ending' }
    return old.state === 'ended' ? old : { ...old, state: upload.state === 'open' ? 'open' : 'ending' }
  })
  history.committed = before.committed
  return history
}
