/** Studies in the control process: starting them, answering questions about them. */
import { createReadStream } from 'node:fs'
import { readFile, stat } from 'node:fs/promises'
import { ZodError } from 'zod'
import type { Compute } from '../../compute/index.ts'
import { transact } from '../../foundation/database.ts'
import type { OpenedDatabase } from '../../foundation/database.ts'
import { appendFact } from '../../foundation/facts.ts'
import { uuid7 } from '../../foundation/ids.ts'
import { reconstructionFaults } from '../errors.ts'
import { pathIfThere, recoBucketOf } from '../job-kinds.ts'
import type { Study, StudyKindName } from '../study-contract.ts'
import { contentTypeOf, studyJobKind, studyPrefixOf } from './study-job.ts'
import type { StudyJobContext } from './study-job.ts'
import { studyKindOf } from './study-kinds.ts'
import type { AnyStudyKind } from './study-kinds.ts'
import { reportSchema } from './study-report.ts'
import type { StudyReport } from './study-report.ts'
import { changeStudy, insertStudy, listStudies, studyById, studyOfRow } from './study-rows.ts'
import { studyFiles } from './study-spec.ts'

export interface StudiesContext extends Omit<StudyJobContext, 'kysely'> {
  database: OpenedDatabase
  compute: Pick<Compute, 'submit' | 'registerKind'>
  owner: { id: string; name: string }
  /** Cores of one study; closed runs go on being reconstructed beside it. */
  cores: number
}

export interface Studies {
  /** Throws `noSuchStudyKind` and `badStudyOptions`. */
  start(
    experiment: string,
    wish: { kind: StudyKindName; options: Record<string, unknown> },
    requestedBy: string,
  ): Promise<Study>
  list(
    experiment: string,
    filter: { kind?: StudyKindName | undefined; limit: number; offset: number },
  ): Promise<Study[]>
  /** Throws `noSuchStudy`. */
  show(experiment: string, id: string): Promise<{ study: Study; report: StudyReport | null }>
  /** A published file as a stream. Throws `noSuchStudy`, `noSuchStudyFile`. */
  file(
    experiment: string,
    id: string,
    name: string,
  ): Promise<{ contentType: string; sizeBytes: number; body: ReturnType<typeof createReadStream> }>
}

/** A further thread on frames of the camera: simulator and chain. */
const memoryPerCoreMiB = 384
const walltimeMs = 12 * 60 * 60 * 1000

/** Registers the job kind 'study'; call before compute starts. */
export function openStudies(context: StudiesContext): Studies {
  const { database, compute, owner, clock, storage, codeVersion, cores } = context
  const { kysely } = database
  compute.registerKind('study', studyJobKind({ ...context, kysely }))

  async function rowOf(experiment: string, id: string) {
    const row = await studyById(kysely, id)
    if (row?.experiment !== experiment) {
      throw reconstructionFaults.noSuchStudy(`Experiment ${experiment} has no study '${id}'.`, {
        hint: 'cygnet reco studies lists them.',
      })
    }
    return row
  }

  return {
    async start(experiment, wish, requestedBy) {
      const kind = studyKindOf(wish.kind)
      if (kind === undefined) {
        throw reconstructionFaults.noSuchStudyKind(`This installation knows no study of kind '${wish.kind}'.`)
      }
      const options = checkedOptions(kind, wish.options)
      const id = uuid7()
      const nowMs = clock.nowMs()
      return await transact(database, async (trx) => {
        await insertStudy(trx, {
          id,
          experiment,
          kind: kind.name,
          options: JSON.stringify(options),
          state: 'submitted',
          reason: null,
          job_id: null,
          code_version: codeVersion,
          bucket: recoBucketOf(experiment),
          prefix: studyPrefixOf(id),
          files: '[]',
          headline: null,
          requested_by: requestedBy,
          created_ms: nowMs,
          updated_ms: nowMs,
        })
        const job = await compute.submit(trx, {
          kind: 'study',
          title: kind.title,
          experiment,
          ownerId: owner.id,
          ownerName: owner.name,
          class: 'batch',
          subject: `study ${id}`,
          payload: { studyId: id },
          request: { cpuMilli: cores * 1000, memoryMiB: kind.memoryMiB + memoryPerCoreMiB * (cores - 1), walltimeMs },
          retry: { exitCodes: [], maximum: 1 },
          idempotencyKey: `study-${id}`,
        })
        await appendFact(
          trx,
          {
            kind: 'reconstruction.study-started',
            subject: `${experiment}/${id}`,
            data: { experiment, studyId: id, study: kind.name },
          },
          clock,
        )
        return studyOfRow(await changeStudy(trx, id, { job_id: job.id, updated_ms: nowMs }))
      })
    },
    list: (experiment, filter) => listStudies(kysely, experiment, filter),
    async show(experiment, id) {
      const study = studyOfRow(await rowOf(experiment, id))
      const path =
        study.state === 'done'
          ? await pathIfThere(storage, study.bucket, `${study.prefix}/${studyFiles.report}`)
          : undefined
      const report = path === undefined ? null : reportSchema.parse(JSON.parse(await readFile(path, 'utf8')))
      return { study, report }
    },
    async file(experiment, id, name) {
      const study = studyOfRow(await rowOf(experiment, id))
      const known = study.files.some((file) => file.name === name)
      const path = known ? await pathIfThere(storage, study.bucket, `${study.prefix}/${name}`) : undefined
      if (path === undefined) {
        throw reconstructionFaults.noSuchStudyFile(`Study ${id} has no file '${name}'.`, {
          hint: study.state === 'submitted' ? 'Its job has not ended yet.' : `It has: ${namesOf(study)}`,
        })
      }
      return { contentType: contentTypeOf(name), sizeBytes: (await stat(path)).size, body: createReadStream(path) }
    },
  }
}

const namesOf = (study: Study) => study.files.map(({ name }) => name).join(', ') || 'no files'

function checkedOptions(kind: AnyStudyKind, options: Record<string, unknown>): Record<string, unknown> {
  try {
    return kind.parse(options)
  } catch (error) {
    if (!(error instanceof ZodError)) throw error
    const first = error.issues[0]!
    throw reconstructionFaults.badStudyOptions(`${first.path.join('.') || 'options'}: ${first.message}`)
  }
}
