/** A Vitest reporter that writes what `tools/test.ts` adds up: counts, failures, and every skip with its reason. */
import { writeFileSync } from 'node:fs'
import type { Reporter, TestCase, TestModule } from 'vitest/node'

export interface Tally {
  passed: number
  failed: { name: string; reason: string }[]
  skipped: { name: string; reason: string }[]
}

export default class TallyReporter implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandledErrors: readonly { message: string }[]): void {
    const tally: Tally = { passed: 0, failed: [], skipped: [] }
    for (const module of modules) {
      for (const test of module.children.allTests()) addTest(tally, module, test)
      for (const error of module.errors()) tally.failed.push({ name: module.relativeModuleId, reason: error.message })
    }
    for (const error of unhandledErrors) tally.failed.push({ name: 'outside of any test', reason: error.message })
    const path = process.env.CYGNET_TALLY
    if (path !== undefined) writeFileSync(path, JSON.stringify(tally))
  }
}

function addTest(tally: Tally, module: TestModule, test: TestCase): void {
  const result = test.result()
  const name = `${module.relativeModuleId}: ${test.fullName}`
  if (result.state === 'passed') tally.passed += 1
  else if (result.state === 'failed') tally.failed.push({ name, reason: result.errors[0]?.message ?? '' })
  else
    tally.skipped.push({
      name,
      reason: (result.state === 'skipped' ? result.note : undefined) ?? reasonIn(test.fullName),
    })
}

/** Tests say in their title why they are skipped: 'name [skipped: reason]' or 'name (SKIPPED: reason)'. */
function reasonIn(name: string): string {
  return /[[(]skipped: ([^\])]+)[\])]/i.exec(name)?.[1] ?? 'no reason given'
}
