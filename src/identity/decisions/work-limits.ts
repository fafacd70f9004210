/** Figures that policies leave a person of the machine, and whose policy each of them is. Pure. */
import { effectiveGrants, type Groups, type Membership } from '../groups/grants.ts'
import { defaultPolicy, experimentOf, lineOf } from '../groups/policy.ts'
import { workFigures, type WorkFigure, type WorkLimits } from './work-figures.ts'

type Bound<Value> = { value: Value; by: string } | undefined

/**
 * By experiment. Of one membership the lowest ceiling from the root down counts; of several memberships the one that
 * leaves most, for each figure by itself: whoever joins a further group never loses by it.
 */
export function workLimitsOf(
  groups: Groups,
  memberships: readonly Membership[],
  nowMs: number,
): Record<string, WorkLimits> {
  const living = memberships.filter((one) =>
    effectiveGrants(groups, [one], () => 'somebody').some(({ untilMs }) => (untilMs ?? Infinity) > nowMs),
  )
  const byExperiment = Map.groupBy(living, ({ group }) => experimentOf(group))
  return Object.fromEntries(
    [...byExperiment].flatMap(([experiment, all]) => {
      const limits = widest(groups, [...new Set(all.map(({ group }) => group))])
      return Object.keys(limits).length === 0 ? [] : [[experiment, limits]]
    }),
  )
}

function widest(groups: Groups, paths: readonly string[]): WorkLimits {
  const limits: WorkLimits = {}
  const by: NonNullable<WorkLimits['by']> = {}
  for (const figure of workFigures) {
    const bounds = paths.map((path) => lowest(groups, path, figure))
    if (bounds.includes(undefined)) continue
    const most = bounds.reduce((one, other) => (other!.value > one!.value ? other : one))!
    limits[figure] = most.value
    by[figure] = most.by
  }
  const lists = paths.map((path) => environmentsOf(groups, path))
  if (lists.length > 0 && !lists.includes(undefined)) {
    limits.environments = [...new Set(lists.flatMap((one) => one!.value))].sort()
    by.environments = lists[0]!.by
  }
  return Object.keys(limits).length === 0 ? limits : { ...limits, by }
}

function lowest(groups: Groups, path: string, figure: WorkFigure): Bound<number> {
  let bound: Bound<number>
  for (const group of lineOf(path)) {
    const value = groups.get(group)?.policy.ceiling.limits[figure]
    if (value !== undefined && (bound === undefined || value < bound.value)) bound = { value, by: group }
  }
  return bound
}

function environmentsOf(groups: Groups, path: string): Bound<string[]> {
  let bound: Bound<string[]>
  for (const group of lineOf(path)) {
    const { environments } = (groups.get(group)?.policy ?? defaultPolicy).ceiling
    if (environments === undefined) continue
    const value = bound === undefined ? environments : bound.value.filter((name) => environments.includes(name))
    if (bound === undefined || value.length < bound.value.length) bound = { value, by: group }
  }
  return bound
}
