/** The list of failpoints is the list of the source: a new one must be put into the campaign, or said to be armed elsewhere. */
import { existsSync, readFileSync, readdirSync } from 'node:fs'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { campaignFailpoints, otherFailpoints } from './failpoints.ts'
import { checkout } from './platform.ts'

test('e2e/failpoints.ts names every failpoint of the source, once', () => {
  const found = new Set<string>()
  const source = join(checkout, 'src')
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    if (!/\.(ts|tsx|py)$/.test(file) || file.endsWith('.test.ts')) continue
    const text = readFileSync(join(source, file), 'utf8')
    for (const [, name] of text.matchAll(/\bfailpoint\(\s*['"]([\w.-]+)['"]/g)) found.add(name!)
  }
  expect(found.size).toBeGreaterThan(20)
  const named = [...Object.keys(campaignFailpoints), ...Object.values(otherFailpoints).flat()]
  expect(named.toSorted()).toEqual([...found].toSorted())
})

test('a failpoint that the campaign leaves out is armed by the test that is named', () => {
  for (const [place, names] of Object.entries(otherFailpoints)) {
    expect(existsSync(join(checkout, place)), place).toBe(true)
    const text = readFileSync(join(checkout, place), 'utf8')
    // By its whole name, or by what comes after the dot in a list.
    for (const name of names) expect(text, `${name} in ${place}`).toMatch(new RegExp(`['.]${name.split('.')[1]}\\b`))
  }
})
