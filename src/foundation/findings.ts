/** What a look at a machine found, in words, with what to do about it: `cygnet doctor`, `cygnet daq check`. */
import type { Output } from './command-line.ts'

export interface Finding {
  what: string
  verdict: 'good' | 'warning' | 'bad'
  detail: string
  /** What to do; empty when there is nothing to do. */
  hint: string
}

/** Shows findings, worst last, where the eye rests; answers whether something must be mended. */
export function showFindings(output: Output, findings: Finding[]): boolean {
  const order = ['good', 'warning', 'bad'] as const
  const sorted = order.flatMap((verdict) => findings.filter((finding) => finding.verdict === verdict))
  if (output.isJson) output.json(sorted)
  else {
    output.table(sorted, ['verdict', 'what', 'detail'])
    for (const { what, hint } of sorted.filter((finding) => finding.hint !== '')) output.line(`${what}: ${hint}`)
  }
  return findings.some((finding) => finding.verdict === 'bad')
}
