/**
 * Studies as jobs of `compute`: one kind for all of them. Exactly once as with runs: files go under a prefix that only
 * depends on the study, and its row ends in the transaction that ends the job.
 */
import { readFile } from 'node:fs/promises'
import type { JobDone, JobKind, RunningJob } from '../../compute/index.ts'
import type { AnyKysely, AnyTransaction } from '../../foundation/database.ts'
import { appendFact } from '../../foundation/facts.ts'
import { failpoint } from '../../foundation/failpoints.ts'
import type { Clock } from '../../foundation/time.ts'
import { reconstructionFaults } from '../errors.ts'
import { outputPath, programLaunch, putFile } from '../job-kinds.ts'
import type { ProductStore } from '../job-kinds.ts'
import type { Headline, StudyKindName } from '../study-contract.ts'
import { headlineOf, reportSchema } from './study-report.ts'
import { changeStudy, studyById } from './study-rows.ts'
import type { StudyRow } from './study-rows.ts'
import { studyFiles } from './study-spec.ts'
import type { StudySpec } from './study-spec.ts'

export interface StudyJobContext {
  kysely: AnyKysely
  clock: Clock
  storage: ProductStore
  codeVersion: string
  programFolder: string
  nodePath: string
}

/** What the payload of a study job names. */
export interface StudyPayload {
  studyId: string
}

interface PublishedStudy {
  files: { name: string; sizeBytes: number }[]
  headline: Headline
}

/** Where the files of a study lie in `<experiment>-reco`. */
export function studyPrefixOf(id: string): string {
  return `studies/${id}`
}

export function studyJobKind(context: StudyJobContext): JobKind<PublishedStudy> {
  return {
    async prepare(job) {
      const study = await studyOf(job, context.kysely)
      const spec: StudySpec = {
        study: study.id,
        kind: study.kind as StudyKindName,
        options: JSON.parse(study.options) as Record<string, unknown>,
        outFolder: '/out',
        codeVersion: context.codeVersion,
        workers: Math.max(1, Math.floor(job.request.cpuMilli / 1000)),
      }
      return programLaunch(context, 'src/reconstruction/study/study-payload.ts', [], spec)
    },
    async publish(job, done) {
      const study = await studyOf(job, context.kysely)
      const report = reportSchema.parse(JSON.parse(await readFile(await outputPath(done, studyFiles.report), 'utf8')))
      const files: PublishedStudy['files'] = []
      for (const { name, sizeBytes } of inOrder(done)) {
        const path = await outputPath(done, name)
        await putFile(context.storage, study.bucket, `${study.prefix}/${name}`, path, contentTypeOf(name))
        await failpoint('reconstruction.study-half-published')
        files.push({ name, sizeBytes })
      }
      return { files, headline: headlineOf(report) }
    },
    async commit(trx, job, _done, { files, headline }) {
      const study = await currentStudy(trx, job)
      if (study === undefined) return
      await changeStudy(trx, study.id, {
        state: 'done',
        reason: null,
        files: JSON.stringify(files),
        headline: JSON.stringify(headline),
        updated_ms: context.clock.nowMs(),
      })
      await tell(trx, 'reconstruction.study-done', study, { ...headline }, context.clock)
    },
    async ended(trx, job, how) {
      const study = await currentStudy(trx, job)
      if (study === undefined) return
      const reason = how.reason === '' ? how.state : how.reason
      await changeStudy(trx, study.id, { state: 'failed', reason, updated_ms: context.clock.nowMs() })
      await tell(trx, 'reconstruction.study-failed', study, { reason }, context.clock)
    },
  }
}

/** The report last: where it lies, everything else lies too. */
function inOrder(done: JobDone): JobDone['outputs'] {
  return [...done.outputs].sort((a, b) => Number(a.name === studyFiles.report) - Number(b.name === studyFiles.report))
}

export function contentTypeOf(name: string): string {
  if (name.endsWith('.json')) return 'application/json'
  if (name.endsWith('.pdf')) return 'application/pdf'
  return 'application/octet-stream'
}

async function studyOf(job: RunningJob, kysely: AnyKysely): Promise<StudyRow> {
  const { studyId } = job.payload as StudyPayload
  const study = await studyById(kysely, studyId)
  if (study === undefined) throw reconstructionFaults.noSuchStudy(`The study ${studyId} of job ${job.id} is gone.`)
  return study
}

/** The study, if this job is the one it waits for. */
async function currentStudy(trx: AnyTransaction, job: RunningJob): Promise<StudyRow | undefined> {
  const study = await studyById(trx, (job.payload as StudyPayload).studyId)
  return study?.job_id === job.id && study.state === 'submitted' ? study : undefined
}

async function tell(
  trx: AnyTransaction,
  kind: string,
  study: StudyRow,
  more: Record<string, unknown>,
  clock: Clock,
): Promise<void> {
  const { id, experiment } = study
  const data = { experiment, studyId: id, study: study.kind, ...more }
  await appendFact(trx, { kind, subject: `${experiment}/${id}`, data }, clock)
}
