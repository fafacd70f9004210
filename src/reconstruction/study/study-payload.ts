/**
 * The program a study job runs inside the sandbox: `node study-payload.ts spec.json`, or without an argument with the
 * specification in CYGNET_SPEC. Exit 0: the report lies in the out folder; 1: it failed; 2: the specification is wrong.
 */
import { readFile } from 'node:fs/promises'
import { runStudy } from './run-study.ts'
import { studySpec } from './study-spec.ts'
import type { StudyProgress } from './study-kinds.ts'

const everyMs = 1000

function progress(): StudyProgress {
  let printed = { atMs: Number.NEGATIVE_INFINITY, what: '' }
  const say = (line: string) => void process.stdout.write(`${line}\n`)
  const stop = new AbortController()
  process.once('SIGTERM', () => stop.abort(new Error('stopped')))
  return {
    say,
    step(what, done, of) {
      const atMs = performance.now()
      if (atMs - printed.atMs < everyMs && done !== of && what === printed.what) return
      printed = { atMs, what }
      say(`${what}: ${done} of ${of}`)
    },
    signal: stop.signal,
  }
}

async function main(specPath: string | undefined): Promise<number> {
  const text = specPath === undefined ? process.env.CYGNET_SPEC : await readFile(specPath, 'utf8')
  if (text === undefined) {
    process.stderr.write('usage: node study-payload.ts spec.json\n')
    return 2
  }
  const parsed = studySpec.safeParse(JSON.parse(text))
  if (!parsed.success) {
    process.stderr.write(`This is not a specification: ${parsed.error.message}\n`)
    return 2
  }
  await runStudy(parsed.data, progress())
  return 0
}

process.exitCode = await main(process.argv[2])
