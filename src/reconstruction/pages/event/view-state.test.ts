import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { frameViews } from '../../contract.ts'
import { colourMapNames, colourTable } from './colour-maps.ts'
import { pythonOfEvent } from './python-lines.ts'
import { createViewStore, layerNames, searchOfView, startView, viewOfSearch } from './view-state.ts'
import type { ViewState } from './view-state.ts'

const points = fc.record({
  x0: fc.integer({ min: -10, max: 2304 }),
  y0: fc.integer({ min: -10, max: 2304 }),
  x1: fc.constantFrom(0, 12.5, 900),
  y1: fc.constantFrom(0, 12.5, 900),
})
const optional = <Value>(of: fc.Arbitrary<Value>) => fc.option(of, { nil: undefined })

const views: fc.Arbitrary<ViewState> = fc.record({
  window: fc.option(
    fc.record({ low: fc.integer({ min: -500, max: 500 }), high: fc.integer({ min: 501, max: 65_535 }) }),
    { nil: undefined },
  ),
  map: fc.constantFrom(...colourMapNames),
  inverted: fc.boolean(),
  placement: fc.option(
    fc.record({
      x: fc.integer({ min: 0, max: 2304 }),
      y: fc.integer({ min: 0, max: 2304 }),
      zoom: fc.constantFrom(0.25, 0.3125, 1, 4.5, 32),
    }),
    { nil: undefined },
  ),
  layers: fc.subarray([...layerNames]),
  view: fc.constantFrom(...frameViews),
  masked: fc.boolean(),
  camera: fc.nat(5),
  reduction: fc.constantFrom('mean' as const, 'max' as const),
  cluster: optional(fc.nat(300)),
  measures: fc.record({ line: points, box: points, ellipse: points, ruler: points }, { requiredKeys: [] }),
  campaign: fc.constantFrom('main', 'high'),
  with: optional(fc.constantFrom('main', 'low-2')),
  trigger: optional(fc.nat(30)),
  traces: fc.boolean(),
  cuts: fc.constantFrom('', 'rmsCounts > 6 and 11 < densityCountsPerPx < 40', 'a & b=c+1 #?'),
  range: optional(fc.record({ from: fc.nat(10), to: fc.integer({ min: 10, max: 99 }) })),
  beside: optional(fc.nat(40)),
  follow: fc.boolean(),
  thumbnails: fc.boolean(),
})

describe('the view in the address', () => {
  test('the start view has an empty address', () => {
    expect(searchOfView(startView)).toBe('')
    expect(viewOfSearch('')).toEqual(startView)
  })
  test('a link shows the same view', () => {
    fc.assert(
      fc.property(views, (view) => {
        expect(viewOfSearch(searchOfView(view))).toEqual(view)
      }),
    )
  })
  test('the form that people know', () => {
    const view = viewOfSearch('?w=95,130&map=cividis&x=1500&y=1400&z=4&layers=clusters')
    expect(view).toMatchObject({
      window: { low: 95, high: 130 },
      placement: { x: 1500, y: 1400, zoom: 4 },
      layers: ['clusters'],
    })
  })
  test('a drag leaves the rest of the page alone', () => {
    const store = createViewStore(startView)
    const place = { x: 1, y: 2, zoom: 3 }
    store.set({ placement: place })
    const still = store.getStill()
    expect(still.placement).toEqual(place)
    store.set({ placement: { ...place, x: 9 }, follow: false })
    expect(store.getStill()).toBe(still)
    expect(store.get().placement?.x).toBe(9)
    store.set({ map: 'viridis' })
    expect(store.getStill()).toMatchObject({ map: 'viridis', placement: { x: 9 } })
    store.set({ placement: undefined })
    expect(store.getStill().placement).toBeUndefined()
  })
  test('nonsense falls back', () => {
    expect(
      viewOfSearch(
        '?w=130,95&map=jet&x=1&z=two&camera=-1&view=cooked&cluster=1.5&line=1,2,3&campaign=A%20B&events=9-3',
      ),
    ).toEqual(startView)
    expect(viewOfSearch('?x=1&y=1&z=100000').placement?.zoom).toBe(64)
  })
  test('colour maps run from dark to bright and invert', () => {
    for (const name of colourMapNames) {
      const table = colourTable(name, false)
      const sum = (index: number) => table[index * 4]! + table[index * 4 + 1]! + table[index * 4 + 2]!
      expect(sum(255)).toBeGreaterThan(sum(128))
      expect(sum(128)).toBeGreaterThan(sum(0))
      expect(colourTable(name, true).slice(0, 3)).toEqual(table.slice(255 * 4, 255 * 4 + 3))
    }
  })
  test('the same as Python', () => {
    const name = { experiment: 'demo', series: 'sim', number: 2, event: 7 }
    expect(pythonOfEvent(name, startView, { low: 93, high: 124 }).split('\n')).toEqual([
      'import cygnet',
      'run = cygnet.open("demo").run("sim:2")',
      'run.show(7, window=(93, 124))',
      'image = run.image(7)',
      'clusters = run.clusters().where(event=7)',
    ])
  })
})
