/** One study from its specification to its files; the payload and `--local` run it alike. */
import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { reconstructionFaults } from '../errors.ts'
import { writeReportPdf } from './report-pdf.ts'
import { studyKindOf } from './study-kinds.ts'
import type { StudyProgress } from './study-kinds.ts'
import { headlineOf } from './study-report.ts'
import type { StudyReport } from './study-report.ts'
import { studyFiles } from './study-spec.ts'
import type { StudySpec } from './study-spec.ts'

/** Writes report.json and report.pdf (and what the kind writes besides) into the out folder. */
export async function runStudy(spec: StudySpec, progress: StudyProgress): Promise<StudyReport> {
  const kind = studyKindOf(spec.kind)
  if (kind === undefined) throw reconstructionFaults.noSuchStudyKind(`There is no study of kind '${spec.kind}'.`)
  progress.say(`${kind.title}, ${spec.workers} workers, code ${spec.codeVersion}`)
  const report = await kind.run(spec.options, progress, {
    outFolder: spec.outFolder,
    workers: spec.workers,
    codeVersion: spec.codeVersion,
    ...(spec.python !== undefined && { python: spec.python }),
  })
  await writeFile(join(spec.outFolder, studyFiles.report), `${JSON.stringify(report, null, 1)}\n`)
  await writeReportPdf(join(spec.outFolder, studyFiles.pdf), report)
  for (const line of ending(report)) progress.say(line)
  return report
}

function* ending(report: StudyReport): Generator<string> {
  for (const section of report.sections) {
    if (section.problem !== null) yield `FAILING ${section.number} ${section.title}: ${section.problem}`
    for (const { holds, statement, found } of section.requirements) {
      if (!holds) yield `FAILING ${section.number} ${statement}: ${found}`
    }
  }
  const { images, requirements, failing, agrees, differs, notComparable } = headlineOf(report)
  yield `${images} images; ${requirements - failing} of ${requirements} requirements hold; published values: ${agrees} agree, ${differs} differ, ${notComparable} not comparable`
}
