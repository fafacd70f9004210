/**
 * The kind of job that runs somebody's own program over a run: their uid, no network, nothing to see but the run, its
 * truth, the pedestal map and their files; what it leaves in /out becomes products of the same form as ours.
 *
 * Nothing it writes is believed: `clusters.parquet` is read by a process that may die of it and written anew with our
 * columns and lineage; other files are published as they are, below `files/`, if their names and sizes are sane.
 */
import { closeSync, fstatSync, openSync, readSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Compute, JobDone, JobKind, Launch, RunningJob } from '../compute/index.ts'
import { failpoint } from '../foundation/failpoints.ts'
import { adoptProducts } from './adopt.ts'
import { lineageSchema } from './contract.ts'
import type { ResultLineage, RunProductsSummary } from './contract.ts'
import { reconstructionFaults } from './errors.ts'
import { commitResult, contentTypeOf, endTask, outputPath, putFile, recoBucketOf, taskOf } from './job-kinds.ts'
import type { JobKindContext, Published } from './job-kinds.ts'
import { productNames } from './payload-spec.ts'
import { runStem } from './run-names.ts'
import { commandFor, isPlainPath, readScript } from './script-files.ts'
import { campaignOfTask, inputsForTask } from './task-inputs.ts'

/** Where the script's own files are, read-only; also its working directory. */
const scriptFolder = '/run/cygnet/script'
const lineageFile = 'lineage.json'
export const mostOutputBytes = 1024 ** 3
export const mostOutputFiles = 1000
const logLines = 8
const logBytes = 4096

export type ScriptKindContext = JobKindContext & { compute: Pick<Compute, 'environment'> }

export function scriptKind(context: ScriptKindContext): JobKind<Published<RunProductsSummary>> {
  return {
    prepare: (job) => prepareScript(job, context),
    publish: (job, done) => publishScript(job, done, context),
    commit: (trx, job, _done, published) => commitResult(trx, job, published, context),
    ended: (trx, job, { state, reason }) =>
      endTask(trx, job, state, state === 'failed' ? reasonWithLog(reason, job.folder) : reason, context),
  }
}

async function prepareScript(job: RunningJob, context: ScriptKindContext): Promise<Launch> {
  const task = await taskOf(job, context.kysely)
  const { script } = await campaignOfTask(task, context)
  if (script === null) throw reconstructionFaults.badRecipe(`Campaign ${task.campaign} has no script.`)
  const inputs = await inputsForTask(task, context)
  const environment = await context.compute.environment(script.environment)?.(job, { access: false })
  const workers = String(Math.max(1, Math.floor(job.request.cpuMilli / 1000)))
  const run = `${task.series}:${task.number}`
  const values = {
    raw: inputs.rawPath,
    pedestal: inputs.pedestalPath ?? '',
    truth: inputs.truthPath ?? '',
    out: '/out',
    run,
    workers,
  }
  const files = (await readScript(script, context.storage)).map(({ path, content, executable }) => ({
    name: `script/${path}`,
    content,
    mode: executable ? 0o500 : 0o400,
  }))
  return {
    // `env` looks the program up on the PATH of inside, and says so in the log when it is not there.
    argv: ['/usr/bin/env', '--', ...commandFor(script.command, values)],
    directory: script.files.length === 0 ? '/out' : scriptFolder,
    mounts: [...inputs.mounts, ...(environment?.mounts ?? [])],
    environment: {
      ...environment?.environment,
      PATH: [...(environment?.pathFolders ?? []), '/usr/local/bin', '/usr/bin', '/bin'].join(':'),
      PYTHONDONTWRITEBYTECODE: '1',
      PYTHONUNBUFFERED: '1',
      ...threadLimits(workers),
      CYGNET_RUN: run,
      CYGNET_CAMPAIGN: task.campaign,
      CYGNET_LINEAGE: `/run/cygnet/${lineageFile}`,
    },
    network: 'none',
    workspace: 'none',
    files: [...files, { name: lineageFile, content: JSON.stringify(inputs.lineage) }],
    limits: { processes: 256, fileBytes: mostOutputBytes, logBytes: 16 * 1024 * 1024 },
  }
}

/** Numerical libraries otherwise take every core they see. */
function threadLimits(workers: string): Record<string, string> {
  return { OMP_NUM_THREADS: workers, OPENBLAS_NUM_THREADS: workers, MKL_NUM_THREADS: workers }
}

async function publishScript(
  job: RunningJob,
  done: JobDone,
  context: ScriptKindContext,
): Promise<Published<RunProductsSummary>> {
  const task = await taskOf(job, context.kysely)
  const bucket = recoBucketOf(task.experiment)
  const prefix = `${task.campaign}/${task.series}/${runStem(task.number)}`
  if (task.job_id !== job.id || task.state !== 'submitted') return { bucket, prefix }
  const refused = (detail: string, hint: string | null = null) => ({
    refusal: { code: 'reconstruction.bad_products', detail, hint },
    bucket,
    prefix,
  })
  const total = done.outputs.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0)
  if (total > mostOutputBytes) return refused(`the script left ${total} bytes; a run may have ${mostOutputBytes}`)
  if (done.outputs.length > mostOutputFiles)
    return refused(`the script left ${done.outputs.length} files; a run may have ${mostOutputFiles}`)
  const lineage = await lineageOf(job)
  const run = await context.logbook.runById(task.run_id)
  const { script } = await campaignOfTask(task, context)
  // The numbers of a script are the arguments of its command.
  const parameters = { command: script?.command ?? [], environment: script?.environment ?? '' }
  const folder = await mkdtemp(join(tmpdir(), 'cygnet-adopt-'))
  try {
    const names = done.outputs.map(({ name }) => name)
    const path = async (name: string) => (names.includes(name) ? await outputPath(done, name) : null)
    const adopted = await adoptProducts(
      {
        clustersPath: await path(productNames.clusters),
        summaryPath: await path(productNames.summary),
        pedestalPath: await pedestalOf(job, context),
        outFolder: folder,
        lineage,
        parameters,
        images: run.images,
      },
      context,
    )
    if (adopted.refusal !== null) return refused(adopted.refusal)
    const odd = names.filter((name) => !isPlainPath(name))
    const { codeVersion, calibrationId } = lineage
    const summary: RunProductsSummary = {
      ...adopted.totals,
      lineage: { ...lineage, madeAtMs: done.endedMs },
      codeVersion,
      calibrationId,
      imagesVetoed: 0,
      macroHits: 0,
      problems: [
        ...adopted.problems,
        ...(odd.length === 0 ? [] : [`${odd.length} files have names that cannot be published`]),
      ],
      complete: true,
      timings: {},
      wallMs: done.endedMs - done.startedMs,
      workers: Math.max(1, Math.floor(job.request.cpuMilli / 1000)),
      truth: null,
      waveforms: null,
      parameters,
      contentSha256: adopted.contentSha256,
    }
    for (const name of names.filter((each) => isPlainPath(each))) {
      await put(context, bucket, `${prefix}/files/${name}`, await outputPath(done, name))
    }
    await put(context, bucket, `${prefix}/${productNames.clusters}`, join(folder, productNames.clusters))
    await failpoint('reconstruction.half-published')
    await put(context, bucket, `${prefix}/${productNames.events}`, join(folder, productNames.events))
    await context.storage.putObject({
      bucket,
      key: `${prefix}/${productNames.summary}`,
      body: textBody(JSON.stringify(summary, null, 1)),
      contentType: 'application/json',
      may: 'replace',
    })
    return { summary, bucket, prefix }
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function put(context: JobKindContext, bucket: string, key: string, path: string): Promise<void> {
  await putFile(context.storage, bucket, key, path, contentTypeOf(key))
}

async function* textBody(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

/** As it was written when the attempt began: the payload may read it but not change it. */
async function lineageOf(job: RunningJob): Promise<ResultLineage> {
  return lineageSchema.parse(JSON.parse(await readFile(join(job.folder, 'private', lineageFile), 'utf8')))
}

async function pedestalOf(job: RunningJob, context: JobKindContext): Promise<string> {
  const { mounts } = await inputsForTask(await taskOf(job, context.kysely), context)
  return mounts.find(({ target }) => target === '/in/pedestal.cyped')!.source
}

/** The reason of a dead letter: what compute says, and the last lines the program printed. */
export function reasonWithLog(reason: string, folder: string): string {
  const lines = lastLines(join(folder, 'log'))
  return lines.length === 0 ? reason : `${reason}; the last it said:\n${lines.join('\n')}`
}

/** Not awaited: this is asked inside a transaction, and it is one small read. */
function lastLines(path: string): string[] {
  let file: number
  try {
    file = openSync(path, 'r')
  } catch {
    return []
  }
  try {
    const { size } = fstatSync(file)
    const bytes = Buffer.alloc(Math.min(size, logBytes))
    readSync(file, bytes, 0, bytes.length, size - bytes.length)
    const text = bytes.toString('utf8').replaceAll(/[^\P{C}\n]/gu, '')
    const lines = text.split('\n').filter((line) => line.trim() !== '')
    if (size > logBytes) lines.shift()
    return lines.slice(-logLines).map((line) => line.slice(0, 300))
  } finally {
    closeSync(file)
  }
}
