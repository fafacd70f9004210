/**
 * The program a reconstruction job runs inside the sandbox: `node payload.ts spec.json`, or without an argument with
 * the specification in CYGNET_SPEC.
 *
 * Prints progress as JSON lines on stdout, talk on stderr. Exit 0: products or a refusal lie in the out folder; 1: it
 * failed in a way that another try may mend; 2: the specification is wrong.
 */
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { Fault } from '../foundation/errors.ts'
import { makePedestal } from './pedestal-payload.ts'
import { payloadSpec, productNames } from './payload-spec.ts'
import type { Refusal, ReportProgress } from './payload-spec.ts'
import { reconstructRun } from './reconstruction-payload.ts'

const progressEveryMs = 250

function progressPrinter(): ReportProgress {
  let printedAtMs = 0
  return (progress) => {
    const nowMs = performance.now()
    if (nowMs - printedAtMs < progressEveryMs && progress.progress !== progress.of) return
    printedAtMs = nowMs
    process.stdout.write(`${JSON.stringify(progress)}\n`)
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
  try {
    const summary = spec.task === 'pedestal' ? await makePedestal(spec, report) : await reconstructRun(spec, report)
    for (const problem of summary.problems) process.stderr.write(`problem: ${problem}\n`)
    process.stderr.write(`${spec.run}: ${summary.images} images in ${(summary.wallMs / 1000).toFixed(2)} s\n`)
    return 0
  } catch (error) {
    // A refusal is about the run, not about this attempt: the same file will be refused again.
    if (!(error instanceof Fault) || error.status >= 500) throw error
    const refusal: Refusal = { code: error.code, detail: error.detail, hint: error.hint ?? null }
    await writeFile(join(spec.outFolder, productNames.refusal), JSON.stringify(refusal, null, 1))
    process.stderr.write(`refused: ${error.detail}${error.hint === undefined ? '' : ` (${error.hint})`}\n`)
    return 0
  }
}

process.exitCode = await main(process.argv[2])
