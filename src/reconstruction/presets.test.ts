import { expect, it } from 'vitest'
import { checkedParameters } from './campaign-parameters.ts'
import { completeParameters, defaultParameters, parameterCatalogue, parameterProblems } from './parameters.ts'
import { presets } from './presets.ts'

it('presets are parameters that a campaign accepts, each under its own name', () => {
  expect(new Set(presets.map(({ name }) => name)).size).toBe(presets.length)
  for (const { name, parameters } of presets) {
    expect(parameterProblems(parameters), name).toEqual([])
    expect(checkedParameters({ ...parameters }), name).toEqual(
      Object.fromEntries(
        Object.entries(parameters).filter(
          ([key, value]) => defaultParameters[key as keyof typeof defaultParameters] !== value,
        ),
      ),
    )
  }
  expect(checkedParameters({ ...presets.find(({ name }) => name === 'winter23')!.parameters })).toEqual({})
})

it('every parameter is described, and a slip is named', () => {
  expect(Object.keys(parameterCatalogue).sort()).toEqual(Object.keys(defaultParameters).sort())
  expect(parameterProblems({ ...defaultParameters })).toEqual([])
  expect(completeParameters({ directionalMode: 'faithful' }).directionalMode).toBe('faithful')
  for (const given of [
    { directionalMod: 'off' },
    { directionalMode: 'slow' },
    { kevPerCount: 'much' },
    { cosmicKiller: 2 },
  ]) {
    expect(parameterProblems(given).length).toBe(1)
    expect(() => completeParameters(given)).toThrow(RangeError)
  }
})
