/** The detector and the campaigns of reconstruction while everything dies; afterwards each run once, each result once. */
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, readdirSync, renameSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { createGunzip } from 'node:zlib'
import { isLong } from './chaos-plan.ts'
import { statusOf, untilRoom, type Daq, type World } from './chaos-world.ts'
import { cygnet, eventually } from './platform.ts'
import { experiment, sha256OfFile, type ReconstructionAnswer, type RunAnswer } from './scenario.ts'

interface WrittenRun {
  reference: string
  path: string
  images: number
  kind: 'pedestal' | 'data'
  daq: Daq
}

export interface Runs {
  written: WrittenRun[]
  /** Asks the detector for one more run: many images (several parts), or for the DAQ that compresses. */
  want(kind: 'run' | 'big-run' | 'compressed-run'): void
  /** Reconstructs some closed runs in a campaign of its own; false when no run is closed yet. */
  campaign(): Promise<boolean>
  /** A small validation: a job without a run. */
  study(): Promise<void>
  ended: Promise<void>
  /** Waits for everything and answers what is wrong. */
  check(): Promise<{ results: number; wrong: string[] }>
}

/** Pictures of 0.66 MB. */
const frame = ['--frame', '576', '--no-waveforms']
const plainImages = 2
const bigImages = 40

export function startRuns(world: World, secondsPerRun: number): Runs {
  const written: WrittenRun[] = []
  const wanted: ('run' | 'big-run' | 'compressed-run')[] = []
  const campaigns = new Map<string, string[]>()
  const studies: string[] = []
  const numbers = new Map<Daq, number>()
  const stock: WrittenRun[] = []
  let lastCampaign = 0

  /** One process of the detector writes one run (the first one a pedestal before it). */
  async function detect(daq: Daq, images: number, pedestal: number, folder: string): Promise<WrittenRun[]> {
    const first = numbers.get(daq) ?? 1
    numbers.set(daq, first + (pedestal > 0 ? 2 : 1))
    const size = ['--runs', '1', '--images', String(images), '--pedestal-images', String(pedestal)]
    const which = ['--seed', String(world.seed + first), '--first', String(first), '--pace', '0.05']
    const child = cygnet(['daq', 'simulate', '--dir', folder, ...size, ...which, ...frame, '--json'])
    child.stderr!.resume()
    const runs: WrittenRun[] = []
    for await (const line of createInterface({ input: child.stdout! })) {
      const event = JSON.parse(line) as { event: string; number: number; kind: WrittenRun['kind']; path: string }
      if (event.event !== 'run-written') continue
      const own = { reference: `${daq.series}:${event.number}`, path: event.path, kind: event.kind, daq }
      runs.push({ ...own, images: event.kind === 'pedestal' ? pedestal : images })
    }
    return runs
  }

  function tell(runs: WrittenRun[]): void {
    written.push(...runs)
    for (const { reference } of runs) world.record('run-written', { run: reference })
  }

  /** Runs of many images take the detector long: some are kept ready, and appear in the DAQ's folder when wanted. */
  async function keepBigRuns(): Promise<void> {
    const folder = join(world.platform.home, 'daq-stock')
    mkdirSync(folder, { recursive: true })
    while (!world.isOver && isLong(world.kills)) {
      if (stock.length < 3) stock.push(...(await detect(world.daqs[0]!, bigImages, 0, folder)))
      else await sleep(200)
    }
  }

  function deliver(run: WrittenRun): void {
    for (const name of readdirSync(dirname(run.path)).filter((file) => file.startsWith(basename(run.path, '.mid'))))
      renameSync(join(dirname(run.path), name), join(run.daq.folder, name))
    tell([{ ...run, path: join(run.daq.folder, basename(run.path)) }])
  }

  async function run(): Promise<void> {
    for (const daq of world.daqs) tell(await detect(daq, plainImages, 5, daq.folder))
    let next = performance.now()
    while (!world.isOver) {
      const wish = wanted.shift()
      const big = wish === 'big-run' ? stock.shift() : undefined
      if (big !== undefined) deliver(big)
      else if (wish !== undefined || performance.now() >= next) {
        if (wish === undefined) await untilRoom(world)
        next = performance.now() + secondsPerRun * 1000
        const compressed = wish === 'compressed-run' || (wish === undefined && written.length % 4 === 0)
        const daq = world.daqs[compressed ? 1 : 0]!
        tell(await detect(daq, wish === 'big-run' ? bigImages : plainImages, 0, daq.folder))
      } else await sleep(50)
    }
  }

  async function campaign(): Promise<boolean> {
    const { items } = await world.insist<{
      items: { reference: string; kind: string; state: string; series: string }[]
    }>('GET', `/api/experiments/${experiment}/runs?limit=20`)
    const closed = items.filter((run) => run.state === 'closed' && run.kind !== 'pedestal' && run.series === 'sim')
    const numbers = closed.slice(0, 3).map(({ reference }) => Number(reference.split(':')[1]))
    if (numbers.length === 0) return false
    const name = `again-${(lastCampaign += 1)}`
    const parameters = { description: `campaign ${lastCampaign}` }
    await world
      .insist('POST', `/api/experiments/${experiment}/campaigns`, { name, ...parameters })
      .catch(conflictIsFine)
    const body = { series: 'sim', numbers, campaign: name }
    await world.insist('POST', `/api/experiments/${experiment}/reconstruction`, body)
    campaigns.set(
      name,
      numbers.map((number) => `sim:${number}`),
    )
    world.record('campaign', { name, numbers })
    return true
  }

  async function study(): Promise<void> {
    const body = { kind: 'validation', options: { images: 32, quick: true, framePx: 256 } }
    const { id } = await world.insist<{ id: string }>('POST', `/api/experiments/${experiment}/studies`, body)
    studies.push(id)
  }

  async function campaignNowAndThen(): Promise<void> {
    while (!world.isOver) {
      await untilRoom(world)
      await campaign()
      for (let wait = 0; wait < 150 && !world.isOver; wait++) await sleep(100)
    }
  }

  async function checkRun(run: WrittenRun): Promise<string[]> {
    const wrong: string[] = []
    const expected = ['main', ...[...campaigns].filter(([, of]) => of.includes(run.reference)).map(([name]) => name)]
    const detail = await eventually(
      `${run.reference} closed and its files safe`,
      async () => {
        const answer = await world.insist<RunAnswer>('GET', `/api/experiments/${experiment}/runs/${run.reference}`)
        const { state } = answer.run
        const safe = answer.files.length >= 1 && answer.files.every((file) => file.state === 'safe')
        // A pedestal has no truth beside it.
        const whole = answer.files.length === 2 || run.kind === 'pedestal'
        return state === 'closed' && safe && whole ? answer : undefined
      },
      240_000,
    )
    if (detail.run.images !== run.images) wrong.push(`${run.reference} has ${detail.run.images} images`)
    const open = detail.faults.filter(({ resolvedMs }) => resolvedMs === null)
    for (const fault of open) wrong.push(`${run.reference} carries a fault: ${fault.code} ${fault.detail}`)
    for (const file of detail.files) {
      const original = join(dirname(run.path), basename(file.key).replace(/\.mid\.gz$/, '.mid'))
      const stored = join(world.platform.home, 'data', file.bucket, file.key)
      const content = file.key.endsWith('.gz') ? await sha256OfUnpacked(stored) : await sha256OfFile(stored)
      if (content !== (await sha256OfFile(original))) wrong.push(`${file.key} is not what the detector wrote`)
      if (file.sha256 !== (await sha256OfFile(stored))) wrong.push(`${file.key}: the logbook's sum is another`)
    }
    if (run.kind === 'pedestal') return wrong
    const { tasks, summaries } = await eventually(
      `${run.reference} reconstructed in ${expected.join(', ')}`,
      async () => {
        const path = `/api/experiments/${experiment}/runs/${run.reference}/reconstruction`
        const answer = await world.insist<ReconstructionAnswer>('GET', path)
        for (const task of answer.tasks.filter(({ state }) => state === 'failed')) await again(run, task)
        const busy = answer.tasks.some(({ state }) => ['waiting', 'submitted', 'failed'].includes(state))
        return answer.tasks.length > 0 && !busy ? answer : undefined
      },
      240_000,
    )
    for (const campaign of expected) {
      const of = summaries.filter((summary) => summary.campaign === campaign)
      const done = tasks.filter((task) => task.campaign === campaign && task.state === 'done')
      if (of.length !== 1) wrong.push(`${run.reference} has ${of.length} results of ${campaign}`)
      if (done.length !== 1) wrong.push(`${run.reference} has ${done.length} finished tasks of ${campaign}`)
      for (const { bucket, prefix, images } of of) {
        if (images !== run.images) wrong.push(`${run.reference}: ${images} images in ${campaign}`)
        for (const name of ['clusters.parquet', 'summary.json']) {
          const { status } = await world.s3.send('HEAD', `/${bucket}/${prefix}/${name}`)
          if (status !== 200) wrong.push(`${bucket}/${prefix}/${name} answers ${status}`)
        }
      }
    }
    const foreign = summaries.filter(({ campaign }) => !expected.includes(campaign))
    for (const { campaign } of foreign)
      wrong.push(`${run.reference} has a result of ${campaign}, which nobody asked for`)
    return wrong
  }

  async function checkStudies(): Promise<string[]> {
    const wrong: string[] = []
    for (const id of studies) {
      const path = `/api/experiments/${experiment}/studies/${id}`
      const { study } = await eventually(
        `study ${id}`,
        async () => {
          const answer = await world.insist<{ study: { state: string; reason: string | null } }>('GET', path)
          return answer.study.state === 'submitted' ? undefined : answer
        },
        240_000,
      )
      if (study.state !== 'done' && !/killed/.test(study.reason ?? ''))
        wrong.push(`study ${id} failed: ${study.reason}`)
    }
    return wrong
  }

  /** A dead letter is honest when it says that it was killed again and again; then a person asks once more. */
  async function again({ reference }: WrittenRun, task: { reason: string | null; campaign?: string }): Promise<void> {
    world.record('dead-letter', { run: reference, ...task })
    if (!/killed/.test(task.reason ?? '')) throw new Error(`${reference} failed: ${task.reason}`)
    const [series, number] = reference.split(':') as [string, string]
    const body = { series, numbers: [Number(number)], campaign: task.campaign }
    await world.insist('POST', `/api/experiments/${experiment}/reconstruction`, body)
  }

  return {
    written,
    want: (kind) => void wanted.push(kind),
    campaign,
    study,
    ended: Promise.all([run(), keepBigRuns(), campaignNowAndThen()]).then(() => undefined),
    async check() {
      const wrong: string[] = []
      for (const each of written) wrong.push(...(await checkRun(each)))
      const known = new Set(written.map(({ reference }) => reference))
      let listed = 0
      let cursor: string | null = null
      do {
        const page: { items: { reference: string }[]; nextCursor: string | null } = await world.insist(
          'GET',
          `/api/experiments/${experiment}/runs?limit=100${cursor === null ? '' : `&cursor=${encodeURIComponent(cursor)}`}`,
        )
        for (const { reference } of page.items) if (!known.has(reference)) wrong.push(`${reference} was never written`)
        listed += page.items.length
        cursor = page.nextCursor
      } while (cursor !== null)
      if (listed !== written.length) wrong.push(`${listed} runs in the logbook, ${written.length} were written`)
      wrong.push(...(await checkStudies()))
      const wishes = [...campaigns.values()].reduce((sum, runs) => sum + runs.length, 0)
      return { results: wishes + written.filter(({ kind }) => kind === 'data').length, wrong }
    },
  }
}

function conflictIsFine(error: unknown): void {
  if (statusOf(error) !== 409) throw error
}

async function sha256OfUnpacked(path: string): Promise<string> {
  const hash = createHash('sha256')
  for await (const chunk of createReadStream(path).pipe(createGunzip())) hash.update(chunk as Buffer)
  return hash.digest('hex')
}
