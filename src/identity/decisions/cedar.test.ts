/** Our evaluator against Cedar, formally specified and somebody else's, on generated people, rights and things. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { decide } from '../decide.ts'
import { cedarAllows } from './test-cedar-oracle.ts'
import { groups, nowMs, question } from './test-generated-cases.ts'

const numRuns = process.env.CYGNET_LONG === undefined ? 1200 : 100_000

test('decide says what Cedar says', { timeout: 3_600_000 }, () => {
  const answers = { yes: 0, no: 0 }
  fc.assert(
    fc.property(question, ({ subject, action, resource }) => {
      const ours = decide(subject, action, resource, nowMs)
      answers[ours.allow ? 'yes' : 'no']++
      const cedars = cedarAllows({ subject, action, resource, nowMs, groups })
      expect({ allow: ours.allow, reason: ours.reason }).toEqual({ allow: cedars, reason: ours.reason })
    }),
    { numRuns },
  )
  // The cases must not all be refusals, or nothing was compared.
  expect(answers.yes).toBeGreaterThan(numRuns / 20)
  expect(answers.no).toBeGreaterThan(numRuns / 20)
})
