/** After the last kill: everything must come to rest by itself, and every promise is looked at from outside. */
import { once } from 'node:events'
import { request, type IncomingMessage } from 'node:http'
import { join } from 'node:path'
import { json } from 'node:stream/consumers'
import type { Load } from './chaos-kills.ts'
import { findLeftovers } from './chaos-leftovers.ts'
import { readLedger, type LedgerReport } from './chaos-ledger.ts'
import { workBucket } from './chaos-writers.ts'
import type { World } from './chaos-world.ts'
import { eventually } from './platform.ts'
import { experiment } from './scenario.ts'

export interface Verdict {
  acknowledged: number
  runs: number
  results: number
  jobs: number
  kernels: number
  lost: string[]
  doubled: string[]
  /** Everything else that was promised and is not so. */
  wrong: string[]
  ledger: LedgerReport
}

export async function checkEverything(world: World, load: Load): Promise<Verdict> {
  const { writers, jobs, runs, keepers } = load
  world.isOver = true
  const note = (text: string) => world.record('check', { text })
  note('loads end')
  await Promise.all([writers.ended, jobs.ended, runs.ended, ...keepers.map((keeper) => keeper.ended)])
  note('objects')
  const objects = await writers.check()
  note('jobs')
  const wrong = await jobs.check()
  note('runs')
  const reconstructed = await runs.check()
  wrong.push(...reconstructed.wrong)
  note('uploads')
  wrong.push(...(await abortOpenUploads(world)))
  note('sessions')
  await stopSessions(world)
  note('rest')
  await atRest(world)
  for (const daq of world.daqs) await daq.agent.stop()
  await world.platform.stop()
  note('started once more')
  // Whatever is tidied up at a start is tidied up now.
  await world.platform.restart()
  await atRest(world)
  await world.platform.stop()
  const ledger = readLedger(join(world.platform.home, 'database', 'cygnet.sqlite'))
  wrong.push(...ledger.wrong, ...findLeftovers(world.platform.home))
  return {
    acknowledged: writers.acknowledged(),
    runs: runs.written.length,
    results: reconstructed.results,
    jobs: jobs.accepted.size,
    kernels: keepers.reduce((sum, keeper) => sum + keeper.kernels(), 0),
    lost: objects.lost,
    doubled: ledger.doubled,
    wrong,
    ledger,
  }
}

/** Uploads whose sender died are open for ever by S3's rules; a sender that still lives has none. */
async function abortOpenUploads({ s3 }: World): Promise<string[]> {
  const wrong: string[] = []
  for (const bucket of [workBucket, `${experiment}-raw`]) {
    const text = (await s3.send('GET', `/${bucket}`, { query: { uploads: '' } })).body.toString()
    for (const [, key, uploadId] of text.matchAll(/<Upload>.*?<Key>([^<]+)<.*?<UploadId>([^<]+)</gs)) {
      if (bucket !== workBucket) wrong.push(`the agents left an open upload of ${key}`)
      const { status } = await s3.send('DELETE', `/${bucket}/${key}`, { query: { uploadId: uploadId! } })
      if (status !== 204) wrong.push(`ending the upload of ${key} answered ${status}`)
    }
  }
  return wrong
}

async function stopSessions(world: World): Promise<void> {
  const { items } = await world.insist<{ items: { id: string; state: string }[] }>('GET', '/api/notebooks/sessions')
  for (const { id, state } of items) {
    if (state === 'stopped' || state === 'failed') continue
    await world.insist('POST', `/api/notebooks/sessions/${id}/stop`)
    await eventually(`the end of session ${id}`, async () => {
      const session = await world.insist<{ state: string }>('GET', `/api/notebooks/sessions/${id}`)
      return session.state === 'stopped' ? session : undefined
    })
  }
}

interface Status {
  storageLagChanges: number
  backgroundJobs: { waiting: number; running: number }
}

/** As the owner of the home asks: the campaign's key is for data, and may not ask how the site does. */
async function statusOf(home: string): Promise<Status> {
  const asked = request({ socketPath: join(home, 'run', 'control.sock'), path: '/internal/status' }).end()
  const [answer] = (await once(asked, 'response')) as [IncomingMessage]
  return (await json(answer)) as Status
}

/** No job, no background job, no change of an object is left to be seen to. */
async function atRest(world: World): Promise<void> {
  let last: unknown
  await eventually(
    'the platform at rest',
    async () => {
      const status = await statusOf(world.platform.home).catch(() => undefined)
      if (status === undefined) return undefined
      const machine = await world.insist<{ jobs: { waiting: number; running: number } }>('GET', '/api/compute/machine')
      last = { lag: status.storageLagChanges, background: status.backgroundJobs, jobs: machine.jobs }
      const { waiting, running } = status.backgroundJobs
      const left = status.storageLagChanges + waiting + running + machine.jobs.waiting + machine.jobs.running
      return left === 0 ? true : undefined
    },
    180_000,
  ).catch((error: Error) => world.violation(`${String(error)} (${String(error.cause)}): ${JSON.stringify(last)}`))
}
