/** A flood of refusals never becomes a flood of rows, and no refusal is lost silently. */
import { expect, test } from 'vitest'
import { silentLogger } from '../../foundation/log.ts'
import { fakeClock } from '../../foundation/time.ts'
import type { AuditEvent, Origin } from '../audit.ts'
import { createDenials } from './denials.ts'

function stand() {
  const clock = fakeClock()
  const rows: { origin: Origin; event: AuditEvent }[] = []
  let fails = false
  const denials = createDenials({
    clock,
    log: silentLogger(),
    async write(origin, event) {
      if (fails) throw new Error('the database is away')
      rows.push({ origin, event })
    },
  })
  const by = (id: string, kind = 'person', address = '192.0.2.1'): Origin => ({
    actor: { id, kind, name: id },
    address,
    requestId: 'r',
  })
  const sumOf = () =>
    rows.reduce((sum, { event }) => sum + ((event.detail?.['count'] ?? event.detail?.['times'] ?? 1) as number), 0)
  return { clock, rows, denials, by, sumOf, fail: (value: boolean) => void (fails = value) }
}

test('ten rows a minute and actor, then a count with what it was; every refusal is in one of them', async () => {
  const { denials, rows, by, sumOf, clock } = stand()
  for (let times = 0; times < 1000; times++)
    denials.record({ origin: by('anna'), target: `GET /api/${times % 3}`, detail: { reason: 'x' } })
  denials.record({ origin: by('bruno'), target: 'GET /api/0', experiment: 'cygno', detail: { reason: 'x' } })
  await denials.flush()
  expect(rows).toHaveLength(12)
  expect(rows.at(-1)!.event).toMatchObject({
    action: 'requests-denied',
    decision: 'deny',
    detail: { count: 990, kinds: { 'GET /api/0': 330, 'GET /api/1': 330, 'GET /api/2': 330 } },
  })
  expect(sumOf()).toBe(1001)
  clock.advance(60_000)
  denials.record({ origin: by('anna'), target: 'GET /api/0', detail: {} })
  await denials.close()
  expect(rows).toHaveLength(13)
})

test('strangers are known by their address; very many of anything is bounded, and still counted', async () => {
  const { denials, rows, by, sumOf, clock } = stand()
  for (let index = 0; index < 12_000; index++) {
    const origin = by('anonymous', 'anonymous', `10.0.${index >> 8}.${index & 255}`)
    denials.record({ origin, target: `GET /${index}`, detail: {} })
  }
  await denials.flush()
  expect(rows.length).toBeLessThan(500)
  expect(sumOf()).toBe(12_000)
  for (const { event } of rows) expect(Object.keys(event.detail?.['kinds'] ?? {}).length).toBeLessThanOrEqual(21)
  clock.advance(60_000)
  denials.record({ origin: by('anna'), target: 'S3 PUT a/b', detail: {}, times: 40 })
  await denials.close()
  expect(rows.at(-1)!.event.detail).toEqual({ times: 40 })
  expect(sumOf()).toBe(12_040)
})

test('a row that cannot be written is counted until one can', async () => {
  const { denials, rows, by, sumOf, fail } = stand()
  fail(true)
  for (let times = 0; times < 5; times++) denials.record({ origin: by('anna'), target: 'GET /a', detail: {} })
  await denials.flush()
  expect(rows).toEqual([])
  fail(false)
  await denials.flush()
  expect(sumOf()).toBe(5)
  await denials.close()
})
