/**
 * The program a reconstruction job runs inside the sandbox: `node payload.ts spec.json`, or without an argument with
 * the specification in CYGNET_SPEC.
 *
 * Prints what it does and how far it is as lines for people. Exit 0: products or a refusal lie in the out folder; 1: it
 * failed in a way that another try may mend; 2: the specification is wrong.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../foundation/errors.ts'
import type { RunProductsSummary } from './contract.ts'
import { makePedestal } from './pedestal-payload.ts'
import { payloadSpec, productNames } from './payload-spec.ts'
import type { PedestalSpec, PedestalSummary, ReconstructionSpec, Refusal, ReportProgress } from './payload-spec.ts'
import { reconstructRun } from './reconstruction-payload.ts'

const progressEveryMs = 500

/** `image 3 of 10`: the first and the last one, between them not more than two lines a second. */
function progressPrinter(): ReportProgress {
  let printedAtMs = Number.NEGATIVE_INFINITY
  return ({ images, of, readBytes, fileBytes }) => {
    const nowMs = performance.now()
    if (nowMs - printedAtMs < progressEveryMs && images !== of) return
    printedAtMs = nowMs
    const share =
      fileBytes === null || fileBytes === 0 ? '' : `, ${Math.floor((100 * readBytes) / fileBytes)} % of the file read`
    say(`image ${images}${of === undefined || images > of ? share : ` of ${of}`}`)
  }
}

function say(line: string): void {
  process.stdout.write(`${line}\n`)
}

/** What the job is about to do: a log that says nothing until the first image looks broken. */
function beginning(spec: PedestalSpec | ReconstructionSpec): string {
  const images = spec.images === undefined ? '' : `, ${spec.images} images`
  if (spec.task === 'pedestal') return `pedestal map of ${spec.run}${images}`
  return `reconstruction of ${spec.run}${images}, campaign ${spec.campaign}, ${spec.workers} workers, calibration ${spec.calibrationId}`
}

function* results(run: string, summary: PedestalSummary | RunProductsSummary): Generator<string> {
  for (const problem of summary.problems) yield `problem: ${problem}`
  yield `${run}: ${summary.images} images in ${(summary.wallMs / 1000).toFixed(2)} s${summary.complete ? '' : ', not complete'}`
  if ('clusters' in summary) {
    yield `${summary.clusters} clusters, ${summary.selectedClusters} of them selected; ${summary.imagesVetoed} images vetoed`
    if (summary.waveforms !== null) {
      const { triggers, waveforms, match, drs4 } = summary.waveforms
      yield `${triggers} triggers, ${waveforms} waveforms; ${match.matched} of ${match.clusters} clusters have a trigger`
      if (drs4.state === 'uncorrected') yield drs4.note
    }
    if (summary.truth !== null) {
      const percent = (ratio: number | null) => (ratio === null ? '-' : `${(100 * ratio).toFixed(1)} %`)
      yield `against truth: efficiency ${percent(summary.truth.efficiency)}, purity ${percent(summary.truth.purity)}`
    }
  }
}

async function main(specPath: string | undefined): Promise<number> {
  const text = specPath === undefined ? process.env.CYGNET_SPEC : await readFile(specPath, 'utf8')
  if (text === undefined) {
    process.stderr.write('usage: node payload.ts spec.json\n')
    return 2
  }
  const parsed = payloadSpec.safeParse(JSON.parse(text))
  if (!parsed.success) {
    process.stderr.write(`This is not a specification: ${parsed.error.message}\n`)
    return 2
  }
  const spec = parsed.data
  const report = progressPrinter()
  say(beginning(spec))
  try {
    const summary = spec.task === 'pedestal' ? await makePedestal(spec, report) : await reconstructRun(spec, report)
    for (const line of results(spec.run, summary)) say(line)
    return 0
  } catch (error) {
    // A refusal is about the run, not about this attempt: the same file will be refused again.
    if (!(error instanceof Fault) || error.status >= 500) throw error
    const refusal: Refusal = { code: error.code, detail: error.detail, hint: error.hint ?? null }
    await writeFile(join(spec.outFolder, productNames.refusal), JSON.stringify(refusal, null, 1))
    say(`refused: ${error.detail}${error.hint === undefined ? '' : ` (${error.hint})`}`)
    return 0
  }
}

process.exitCode = await main(process.argv[2])
