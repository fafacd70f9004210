/** What an attempt at a task reads: the run, its truth, the pedestal map, and the lineage of what will come of them. */
import { hostname } from 'node:os'
import type { Mount } from '../compute/index.ts'
import { calibrationById } from './calibrations.ts'
import type { Campaign } from './campaign-contract.ts'
import { parametersWith } from './campaign-parameters.ts'
import { requireCampaign } from './campaigns.ts'
import type { ResultLineage } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import type { JobKindContext } from './job-kinds.ts'
import type { ModelFile } from './learning/score-images.ts'
import { noModel, shippedModel } from './model-parameters.ts'
import { truthKeyOf } from './plan.ts'
import { pathIfThere } from './product-store.ts'
import { hashFiles } from './products.ts'
import type { TaskRow } from './tasks.ts'

const shippedModelInProgram = 'src/reconstruction/learning/default-recoil-model.json'

export interface TaskInputs {
  /** Read-only. */
  mounts: Mount[]
  /** Paths inside the sandbox. */
  rawPath: string
  /** Null for a pedestal task, which makes it. */
  pedestalPath: string | null
  truthPath: string | null
  /** Of the fast digitizer's crate; null where the experiment keeps none for the setup. */
  drs4Tables: { cellPath: string; samplePath: string } | null
  /** What looks at the clusters of a built-in campaign; null where it wants none. */
  model: ModelFile | null
  lineage: ResultLineage
}

/** The version of the campaign that the task follows. Throws `noSuchCampaign`. */
export async function campaignOfTask(task: TaskRow, context: JobKindContext): Promise<Campaign> {
  return await requireCampaign(
    context.kysely,
    task.experiment,
    task.campaign,
    context.codeVersion,
    task.campaign_version,
  )
}

/** Throws `noFile` or `noPedestal` when something that was there at planning is gone. */
export async function inputsForTask(task: TaskRow, context: JobKindContext): Promise<TaskInputs> {
  const files = await context.logbook.runFiles(task.run_id)
  const raw = files.find((file) => file.role === 'raw' && file.state === 'safe')
  if (raw === undefined)
    throw reconstructionFaults.noFile(`Run ${task.series}:${task.number} has no safely stored file.`)
  const mounts: Mount[] = []
  const mount = async (bucket: string, key: string, target: string) => {
    const source = await pathIfThere(context.storage, bucket, key)
    if (source === undefined) throw reconstructionFaults.noFile(`${bucket}/${key} is not in the store.`)
    mounts.push({ source, target, mode: 'ro' })
    return target
  }
  const rawPath = await mount(raw.bucket, raw.key, `/in/${raw.key.split('/').at(-1)!}`)
  const run = `${task.experiment}/${task.series}:${task.number}`
  const inputs: TaskInputs = {
    mounts,
    rawPath,
    pedestalPath: null,
    truthPath: null,
    drs4Tables: null,
    model: null,
    lineage: {
      run,
      campaign: task.campaign,
      campaignVersion: task.campaign_version,
      codeVersion: context.codeVersion,
      gitCommit: context.gitCommit,
      calibrationId: task.calibration_id,
      rawSha256: raw.sha256 ?? '',
      truthSha256: '',
      modelSha256: '',
      host: hostname(),
      madeAtMs: null,
    },
  }
  if (task.kind === 'pedestal') return inputs
  const calibration = await calibrationById(context.kysely, task.calibration_id)
  if (calibration === undefined) throw reconstructionFaults.noPedestal(`The pedestal of ${run} is gone.`)
  const campaign = await campaignOfTask(task, context)
  inputs.lineage.codeVersion = campaign.codeVersion
  if (campaign.script !== null) inputs.lineage.gitCommit = campaign.script.gitCommit
  inputs.pedestalPath = await mount(calibration.bucket, calibration.key, '/in/pedestal.cyped')
  const truthKey = truthKeyOf(raw.key)
  const truth = await pathIfThere(context.storage, raw.bucket, truthKey)
  if (truth !== undefined) {
    inputs.truthPath = await mount(raw.bucket, truthKey, '/in/truth.json')
    // The logbook may not have read it yet; its bytes are what counts.
    inputs.lineage.truthSha256 = await hashFiles([truth])
  }
  if (campaign.script === null) {
    inputs.model = await modelOf(campaign, calibration.bucket, mount)
    const own = mounts.find(({ target }) => target === inputs.model?.path)
    if (own !== undefined) inputs.lineage.modelSha256 = await hashFiles([own.source])
  }
  inputs.drs4Tables = await drs4TablesOf(calibration.bucket, raw.key, context, mount)
  return inputs
}

/** The shipped model lies in the program; another one is an object of the experiment's reco bucket. */
async function modelOf(
  campaign: Campaign,
  bucket: string,
  mount: (bucket: string, key: string, target: string) => Promise<string>,
): Promise<ModelFile | null> {
  const { recoilModel: name } = parametersWith(campaign.parameters)
  if (name === noModel) return null
  if (name === shippedModel) return { path: `/program/${shippedModelInProgram}`, name }
  return { path: await mount(bucket, name, name.endsWith('.onnx') ? '/in/model.onnx' : '/in/model.json'), name }
}

/** `calibration/drs4/<setup>/table_cell.npy` and `table_nsample.npy` beside the pedestal maps, when both are there. */
async function drs4TablesOf(
  bucket: string,
  rawKey: string,
  context: JobKindContext,
  mount: (bucket: string, key: string, target: string) => Promise<string>,
): Promise<TaskInputs['drs4Tables']> {
  const keys = ['table_cell.npy', 'table_nsample.npy'].map(
    (name) => `calibration/drs4/${rawKey.split('/')[0]!}/${name}`,
  )
  for (const key of keys) if ((await pathIfThere(context.storage, bucket, key)) === undefined) return null
  const cellPath = await mount(bucket, keys[0]!, '/in/drs4_table_cell.npy')
  return { cellPath, samplePath: await mount(bucket, keys[1]!, '/in/drs4_table_nsample.npy') }
}
