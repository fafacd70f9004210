import { expect, test } from 'vitest'
import { clusterColumns } from '../../contract.ts'
import { absenceOf, clusterGroups } from './cluster-groups.ts'

test('every variable of a cluster is shown, once', () => {
  const shown = clusterGroups().flatMap(({ columns }) => columns.map(({ name }) => name))
  expect(new Set(shown).size).toBe(shown.length)
  const names = clusterColumns
    .map(({ name }) => name)
    .filter((name) => !['event', 'camera', 'cluster', 'macroPixels'].includes(name))
  expect(shown.toSorted()).toEqual(names.toSorted())
})

test('what stands for nothing is told as such, real negatives are not', () => {
  expect(absenceOf('recoilScore', -1)).toBe('notComputed')
  expect(absenceOf('latGaussSigmaPx', -999)).toBe('noFit')
  expect(absenceOf('latGaussStatus', -1)).toBe('none')
  expect(absenceOf('thetaDeg', -1)).toBe('none')
  expect(absenceOf('integralCounts', 12)).toBe('none')
})
