/** What physicists do with reconstructed runs: campaigns, an own script, results, ROOT, validation, training; checked by the API. */
import { readFile, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Client } from '../../foundation/client.ts'
import { Fault } from '../../foundation/errors.ts'
import { automaticCampaign, reconstructionContract } from '../../reconstruction/index.ts'
import { storageContract } from '../../storage/contract.ts'
import { shellFaults } from '../errors.ts'
import { experiment, series, type Demo } from './demo.ts'

export interface PhysicsReport {
  campaigns: { name: string; selectedClusters: number; matchedWithMain: number }[]
  /** Selected clusters of the data runs, through the results server. */
  selected: number
  /** Of clusters the trained model called nuclear recoils. */
  scored: number
  rootFileBytes: number
  studies: { kind: string; requirements: number; failing: number; seconds: number }[]
}

type Api = Client<typeof reconstructionContract>

/** A stricter threshold than the chain's own. */
const stricter = {
  name: 'strict',
  body: { description: 'zero suppression at 0.9', parameters: { zeroSuppressionSigma: 0.9 } },
}
const ownScript = 'scikit-learn'
const taskPatienceMs = 300_000
const studyPatienceMs = 600_000
/** Small, so that the demo stays short; held to the tables' requirements only from 2,000 images on. */
const studies = [
  { kind: 'validation', options: { images: 320, quick: true } },
  { kind: 'training', options: { images: 40, quick: true, epochs: 10, trees: 40 } },
] as const

export async function checkPhysics(
  demo: Demo,
  checkout: string,
  runs: readonly number[],
  onProgress: (message: string) => void,
): Promise<PhysicsReport> {
  const api = demo.client(reconstructionContract)
  const params = { experiment }
  onProgress('starting a small validation and a small training')
  const startedMs = performance.now()
  const started = []
  for (const body of studies) started.push(await api.startStudy({ params, body }))

  onProgress(`campaign ${stricter.name}: other numbers over the same runs`)
  await haveCampaign(api, stricter.name, stricter.body)
  onProgress(`campaign ${ownScript}: a script of one's own over the same runs`)
  await haveCampaign(api, ownScript, { script: await exampleScript(checkout) })
  const campaigns = []
  for (const name of [stricter.name, ownScript]) {
    await api.startReconstruction({ params, body: { series, numbers: [...runs], campaign: name } })
  }
  for (const name of [stricter.name, ownScript]) campaigns.push(await comparedCampaign(api, name, runs, onProgress))

  onProgress('asking the results server')
  const results = await checkResults(api, runs)
  const rootFileBytes = await checkRootFile(demo, runs[0]!)
  const judged = []
  for (const { id, kind } of started) {
    const { study, report } = await studyEnded(api, id, kind, onProgress)
    if (report === null) throw shellFaults.demoFailed(`The ${kind} study failed: ${study.reason ?? 'no report'}.`)
    const headline = study.headline!
    const seconds = Number(((performance.now() - startedMs) / 1000).toFixed(1))
    judged.push({ kind, requirements: headline.requirements, failing: headline.failing, seconds })
  }
  return { campaigns, ...results, rootFileBytes, studies: judged }
}

type Recipe = Parameters<Api['changeCampaign']>[0]['body']

/** A second demo on the same home finds the campaign; an equal recipe changes nothing. */
async function haveCampaign(api: Api, name: string, recipe: NonNullable<Recipe>): Promise<void> {
  try {
    await api.createCampaign({ params: { experiment }, body: { name, ...recipe } })
  } catch (error) {
    if (!(error instanceof Fault) || error.status !== 409) throw error
    await api.changeCampaign({ params: { experiment, campaign: name }, body: recipe })
  }
}

async function exampleScript(checkout: string) {
  const folder = join(checkout, 'examples', 'campaigns', 'scikit-learn')
  const names = (await readdir(folder)).filter((name) => name.endsWith('.py'))
  const files = await Promise.all(
    names.map(async (path) => ({ path, contentBase64: (await readFile(join(folder, path))).toString('base64') })),
  )
  return { command: ['python3', 'cluster.py', '{raw}', '{pedestal}', '{out}'], environment: 'notebook', files }
}

/** Waits for the runs of a campaign and holds them against the automatic one. */
async function comparedCampaign(
  api: Api,
  name: string,
  runs: readonly number[],
  onProgress: (message: string) => void,
): Promise<PhysicsReport['campaigns'][number]> {
  let [selectedClusters, matchedWithMain, asked] = [0, 0, 0]
  for (const number of runs) {
    const run = `${series}:${number}`
    onProgress(`campaign ${name}: ${run}`)
    await taskDone(api, name, run)
    const { summaries } = await api.showRun({ params: { experiment, run } })
    selectedClusters += summaries.find(({ campaign }) => campaign === name)?.selectedClusters ?? 0
    const params = { experiment, campaign: automaticCampaign, other: name, run }
    const { matched, firstClusters } = await api.compareRun({ params, query: {} })
    matchedWithMain += matched
    asked += firstClusters
  }
  if (matchedWithMain < 0.7 * asked)
    throw shellFaults.demoFailed(`Campaign ${name} agrees on ${matchedWithMain} of ${asked} clusters only.`)
  return { name, selectedClusters, matchedWithMain }
}

async function taskDone(api: Api, campaign: string, run: string): Promise<void> {
  const deadlineMs = performance.now() + taskPatienceMs
  for (;;) {
    const { tasks } = await api.showRun({ params: { experiment, run } })
    const task = tasks.find((one) => one.campaign === campaign)
    if (task?.state === 'done') return
    if (task?.state === 'failed') throw shellFaults.demoFailed(`${run} failed in campaign ${campaign}: ${task.reason}`)
    if (performance.now() > deadlineMs)
      throw shellFaults.demoFailed(`${run} is not done in campaign ${campaign}: ${JSON.stringify(tasks)}`)
    await sleep(100)
  }
}

/** The results server and the cluster lists must count the same. */
async function checkResults(api: Api, runs: readonly number[]): Promise<Pick<PhysicsReport, 'selected' | 'scored'>> {
  const [from, to] = [Math.min(...runs), Math.max(...runs)]
  const query = { series, from, to, quantity: 'integralCounts' }
  const passing = async (cuts: string): Promise<number> =>
    (await api.showHistogram({ params: { experiment }, query: { ...query, cuts } })).scanned.passed
  const selected = await passing('rmsCounts > 6 and integralCounts > 700')
  let listed = 0
  for (const number of runs) {
    const { summaries } = await api.showRun({ params: { experiment, run: `${series}:${number}` } })
    listed += summaries.find(({ campaign }) => campaign === automaticCampaign)?.selectedClusters ?? 0
  }
  if (selected !== listed)
    throw shellFaults.demoFailed(
      `The results server counts ${selected} selected clusters, the runs' summaries ${listed}.`,
    )
  const scored = await passing('rmsCounts > 6 and integralCounts > 700 and recoilScore >= 0 and learnedEnergyKev > 0')
  if (scored !== selected)
    throw shellFaults.demoFailed(`The trained model looked at ${scored} of ${selected} selected clusters.`)
  return { selected, scored }
}

async function checkRootFile({ client }: Demo, run: number): Promise<number> {
  const stem = `run${String(run).padStart(5, '0')}`
  const prefix = `${automaticCampaign}/${series}/${stem}/`
  const bucket = `${experiment}-reco`
  const { items } = await client(storageContract).listObjects({ params: { bucket }, query: { prefix } })
  const root = items.find(({ key }) => key.endsWith(`reco_${stem}_3D.root`))
  if (root?.kind !== 'object') throw shellFaults.demoFailed(`${bucket}/${prefix} holds no ROOT file.`)
  return root.sizeBytes
}

async function studyEnded(api: Api, study: string, kind: string, onProgress: (message: string) => void) {
  const deadlineMs = performance.now() + studyPatienceMs
  for (;;) {
    const shown = await api.showStudy({ params: { experiment, study } })
    if (shown.study.state !== 'submitted') return shown
    if (performance.now() > deadlineMs) throw shellFaults.demoFailed(`The ${kind} study has no end after ten minutes.`)
    onProgress(`${kind}: running`)
    await sleep(250)
  }
}
