/** What a person may say about the numbers of the chain: checked against the catalogue, kept as what differs from it. */
import { createHash } from 'node:crypto'
import type { ParameterFact, ParameterValue } from './campaign-contract.ts'
import { reconstructionFaults } from './errors.ts'
import { defaultParameters, parameterCatalogue } from './parameters.ts'
import type { ReconstructionParameters } from './parameters.ts'
import { presets } from './presets.ts'

export type ParameterOverrides = Record<string, ParameterValue>

/** Numbers that count rows or cells: [least, most]. */
const wholeNumbers: Readonly<Record<string, [number, number]>> = {
  acceptanceFirstRow: [0, 65_535],
  acceptanceEndRow: [1, 65_536],
  acceptanceFrameRows: [1, 65_536],
  minimumActiveNeighbours: [0, 9],
  minimumMacroPixels: [1, 1_000_000],
}
/** Numbers with a fraction that cost memory or time: [least, most]. */
const ranges: Readonly<Record<string, [number, number]>> = {
  directionalRadiusCells: [1, 200],
  isolationRadiusCells: [0, 200],
}
const largest = 1e12
/** The neighbourhoods of points grow with its square. */
const largestRadiusCells = 200

const defaults: Readonly<Record<string, ParameterValue>> = { ...defaultParameters }

export function parameterFacts(): ParameterFact[] {
  return Object.entries(parameterCatalogue).map(([name, { unit, reference, meaning }]) => ({
    name,
    unit,
    reference,
    meaning,
    default: defaults[name]!,
  }))
}

/**
 * The overrides, sorted by name, without those that say what the default says. Throws `unknownParameter` and
 * `badParameter` with what would be right.
 */
export function checkedParameters(given: ParameterOverrides): ParameterOverrides {
  const kept: ParameterOverrides = {}
  for (const name of Object.keys(given).toSorted()) {
    const value = given[name]!
    if (!Object.hasOwn(defaults, name)) throw unknownName(name)
    const problem = problemWith(name, value)
    if (problem !== undefined) {
      throw reconstructionFaults.badParameter(`${name} cannot be ${JSON.stringify(value)}: ${problem}.`, {
        hint: `Its default is ${String(defaults[name])}. See: cygnet reco parameters`,
      })
    }
    if (value !== defaults[name]) kept[name] = value
  }
  const { acceptanceFirstRow, acceptanceEndRow } = parametersWith(kept)
  if (acceptanceFirstRow >= acceptanceEndRow) {
    throw reconstructionFaults.badParameter(
      `acceptanceFirstRow (${acceptanceFirstRow}) must be below acceptanceEndRow (${acceptanceEndRow}).`,
    )
  }
  return kept
}

/** All parameters of a campaign. */
export function parametersWith(overrides: ParameterOverrides): ReconstructionParameters {
  return { ...defaultParameters, ...overrides } as ReconstructionParameters
}

/** '' without overrides, else '.p' and 8 hex digits: part of the code version, because it decides the products. */
export function parametersMark(overrides: ParameterOverrides): string {
  const names = Object.keys(overrides).toSorted()
  if (names.length === 0) return ''
  const text = JSON.stringify(names.map((name) => [name, overrides[name]]))
  return `.p${createHash('sha256').update(text).digest('hex').slice(0, 8)}`
}

/** What a named set of parameters says. Throws `unknownPreset`. */
export function presetNamed(name: string): ParameterOverrides {
  const preset = presets.find((one) => one.name === name)
  if (preset !== undefined) return { ...preset.parameters } as ParameterOverrides
  throw reconstructionFaults.unknownPreset(`There is no set of parameters called '${name}'.`, {
    hint: `There are: ${presets.map((one) => one.name).join(', ')}.`,
  })
}

function problemWith(name: string, value: ParameterValue): string | undefined {
  const usual = defaults[name]
  const { choices, text } = parameterCatalogue[name as keyof ReconstructionParameters]
  if (text !== undefined)
    return typeof value === 'string' && text.pattern.test(value) ? undefined : `it is ${text.words}`
  if (choices !== undefined) {
    return (choices as readonly ParameterValue[]).includes(value) ? undefined : `it is one of ${choices.join(', ')}`
  }
  if (typeof value !== typeof usual) return `it is a ${typeof usual}`
  if (typeof value !== 'number') return undefined
  if (!Number.isFinite(value) || Math.abs(value) > largest) return 'it is a finite number'
  const whole = wholeNumbers[name]
  if (whole !== undefined) {
    const [least, most] = whole
    return Number.isInteger(value) && value >= least && value <= most
      ? undefined
      : `it is a whole number from ${least} to ${most}`
  }
  const range = ranges[name]
  if (range !== undefined && (value < range[0] || value > range[1])) {
    return `it is a number from ${range[0]} to ${range[1]}`
  }
  if (name === 'clusterRadiusCells' && (value < 1 || value > largestRadiusCells)) {
    return `it is from 1 to ${largestRadiusCells}`
  }
  if (value < 0 && Number(usual) >= 0) return 'it is not negative'
  return undefined
}

function unknownName(name: string) {
  const near = Object.keys(defaults)
    .map((known) => ({ known, distance: distanceOf(name.toLowerCase(), known.toLowerCase()) }))
    .toSorted((a, b) => a.distance - b.distance)[0]!
  const byReference = Object.entries(parameterCatalogue).find(([, { reference }]) => reference === name)?.[0]
  const meant = byReference ?? (near.distance <= Math.max(3, name.length / 3) ? near.known : undefined)
  return reconstructionFaults.unknownParameter(`There is no parameter '${name}'.`, {
    hint: `${meant === undefined ? '' : `Did you mean ${meant}? `}All of them: cygnet reco parameters`,
  })
}

/** Edit distance. */
function distanceOf(a: string, b: string): number {
  let row = Array.from({ length: b.length + 1 }, (_, index) => index)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++) {
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    }
    row = next
  }
  return row[b.length]!
}
