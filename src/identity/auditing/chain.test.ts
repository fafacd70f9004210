/** The chain by itself: what is taken out, changed or moved is found, whatever it is. */
import * as fc from 'fast-check'
import { expect, test } from 'vitest'
import { beginning, chained, hashOf, type AuditRow, type Head } from './chain.ts'
import { entryOf, lineOf, rowOfLine } from './export-lines.ts'
import { jsonLine, keepDetail, keepText } from './kept-words.ts'
import { walkChain } from './verification.ts'

const unchained = fc.record({
  id: fc.uuid(),
  at_ms: fc.integer({ min: 0, max: 2 ** 52 }),
  actor_id: fc.string({ unit: 'binary' }).map(keepText),
  actor_kind: fc.constantFrom('person', 'client', 'session'),
  actor_name: fc.string().map(keepText),
  credential: fc.string().map(keepText),
  action: fc.constantFrom('sign-in', 'role-granted', 'request-denied'),
  target: fc.string({ unit: 'grapheme' }).map(keepText),
  experiment: fc.option(fc.constantFrom('cygno', 'other')),
  decision: fc.constantFrom('allow' as const, 'deny' as const),
  address: fc.ipV6(),
  request_id: fc.uuid(),
  detail: fc.dictionary(fc.string(), fc.jsonValue({ maxDepth: 3 })).map(keepDetail),
})

const chain = fc.array(unchained, { minLength: 2, maxLength: 12 }).map((rows) => {
  let head: Head = beginning
  return rows.map((row) => {
    const next = chained(head, row)
    head = next
    return next
  })
})

async function* each<Item>(items: Item[]): AsyncGenerator<Item> {
  yield* items
}

const faultsIn = async (rows: AuditRow[], marks: { sequence: number; hash: string; from: string }[] = []) =>
  (await walkChain(each(rows), { marks })).faults

test('what was not touched is whole, and comes back from a line as it was', async () => {
  await fc.assert(
    fc.asyncProperty(chain, async (rows) => {
      expect(await faultsIn(rows)).toEqual([])
      expect(rows.map((row) => rowOfLine(lineOf(row)))).toEqual(rows)
      for (const row of rows) expect(lineOf(row).trimEnd()).not.toMatch(/[\p{Cc}\u2028\u2029]/u)
    }),
  )
})

test('a deletion, a swap, a copy and a change of any value are found', async () => {
  await fc.assert(
    fc.asyncProperty(chain, fc.nat(), fc.nat(), fc.nat(), async (rows, one, other, which) => {
      const [first, second] = [one % rows.length, other % rows.length]
      const last = rows.at(-1)!
      const mark = { sequence: last.sequence, hash: last.hash, from: 'a test' }
      expect(await faultsIn(rows.toSpliced(first, 1), [mark])).not.toEqual([])
      expect(await faultsIn([...rows.slice(0, first), rows[first]!, ...rows.slice(first)])).not.toEqual([])
      if (first !== second) {
        const swapped = rows.with(first, rows[second]!).with(second, rows[first]!)
        expect(await faultsIn(swapped)).not.toEqual([])
        // Also when the numbers are put right afterwards.
        expect(await faultsIn(swapped.map((row, index) => ({ ...row, sequence: index + 1 })))).not.toEqual([])
      }
      const columns = Object.keys(rows[first]!) as (keyof AuditRow)[]
      const column = columns[which % columns.length]!
      const value = rows[first]![column]
      const changed = typeof value === 'number' ? value + 1 : `${value ?? ''}x`
      const forged = rows.with(first, { ...rows[first]!, [column]: changed } as AuditRow)
      expect(await faultsIn(forged), column).not.toEqual([])
    }),
  )
})

test('who writes the whole rest anew, with right hashes, is found by any row that is known outside', async () => {
  await fc.assert(
    fc.asyncProperty(chain, fc.nat(), async (rows, where) => {
      const from = where % rows.length
      const known = rows.at(-1)!
      const mark = { sequence: known.sequence, hash: known.hash, from: 'the secrets folder' }
      let head: Head = from === 0 ? beginning : rows[from - 1]!
      const anew = rows.slice(from).map((row) => {
        const next = chained(head, { ...row, actor_name: 'somebody else' })
        head = next
        return next
      })
      const forged = [...rows.slice(0, from), ...anew]
      expect(await faultsIn(forged)).toEqual([])
      if (rows.slice(from).some((row) => row.actor_name !== 'somebody else'))
        expect(await faultsIn(forged, [mark])).toMatchObject([{ what: expect.stringContaining('not the row that') }])
    }),
  )
})

test('hashes of the first release: never change', () => {
  const row = chained(beginning, {
    id: 'i',
    at_ms: 1,
    actor_id: 'a',
    actor_kind: 'person',
    actor_name: 'anna',
    credential: '',
    action: 'sign-in',
    target: 't',
    experiment: null,
    decision: 'allow',
    address: '::1',
    request_id: 'r',
    detail: '{}',
  })
  expect(row.hash).toMatchInlineSnapshot(`"95a924659d3a4fa65e48cecbce2f210f82d29396fcac352a6306a934a301014f"`)
  expect(hashOf(row)).toBe(row.hash)
  expect(entryOf({ ...row, detail: 'no json' }).detail).toEqual({ unreadable: 'no json' })
  expect(entryOf({ ...row, detail: '[1]' }).detail).toEqual({ unreadable: '[1]' })
})

test('control characters never leave the writer, whatever is written; texts stay different and short', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary', maxLength: 400 }), fc.string({ unit: 'binary' }), (text, other) => {
      const kept = keepText(text)
      expect(kept.length).toBeLessThanOrEqual(200)
      expect(kept).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u)
      expect(kept.isWellFormed()).toBe(true)
      if (text.length < 30 && other.length < 30 && text.toWellFormed() !== other.toWellFormed())
        expect(keepText(other) === kept).toBe(false)
      const detail = keepDetail({ text, [other]: text })
      expect(detail).not.toMatch(/[\p{Cc}\u202a-\u202e\u2066-\u2069\u2028\u2029]/u)
      expect(jsonLine(JSON.parse(detail))).toBe(detail)
    }),
  )
  expect(keepText('a\r\nfake row')).toBe('a\\u000d\\u000afake row')
  expect(keepText('a\\u000a')).not.toBe(keepText('a\n'))
})

test('whatever is handed over by mistake: no token, password, code, cookie or query is kept (B-26, T18)', () => {
  const token = 'eyJhbGciOiJFUzI1NiIsImtpZCI6IjEifQ.eyJzdWIiOiJjYW5hcnkifQ.c2lnbmF0dXJlLWNhbmFyeQ'
  const canary = 'canary-canary-canary'
  const detail = keepDetail({
    password: canary,
    'Set-Cookie': canary,
    session_token: canary,
    nested: [{ recoveryCodes: [canary], clientSecret: { value: canary } }],
    text: `Bearer ${canary} and ${token}`,
    url: `https://host/path?X-Amz-Security-Token=${canary}&b=1`,
    link: `https://host/sign-in#code=${canary}`,
    scheme: `s3://bucket/key?versionId=${canary}`,
    label: 'laptop',
    tokenId: 'jti-1',
    twoFactors: true,
  })
  expect(detail).not.toContain(canary)
  expect(detail).not.toContain('c2lnbmF0dXJlLWNhbmFyeQ')
  expect(JSON.parse(detail)).toMatchObject({ label: 'laptop', tokenId: 'jti-1', twoFactors: true })
  for (const text of [token, `Bearer ${canary}`, `https://h/p?token=${canary}`])
    expect(keepText(text)).not.toMatch(/canary|c2lnbmF0/)
})

test('a detail that is too long, too deep or too wide is cut and says so', () => {
  expect(keepDetail({ text: 'x'.repeat(10_000_000) }).length).toBeLessThan(600)
  const wide = Object.fromEntries(Array.from({ length: 5000 }, (_, index) => [`k${index}`, 'y'.repeat(400)]))
  expect(JSON.parse(keepDetail(wide))).toMatchObject({ cut: true })
  expect(keepDetail(wide).length).toBeLessThan(16_001)
  let deep: unknown = 1
  for (let index = 0; index < 5000; index++) deep = [deep]
  expect(keepDetail({ deep }).length).toBeLessThan(200)
  const long = JSON.parse(keepDetail({ list: Array.from({ length: 1000 }, () => 'z') })) as { list: string[] }
  expect(long.list.at(-1)).toBe('… 800 more')
})
