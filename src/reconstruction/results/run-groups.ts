/** What the runs of a trend are told apart by: their kind, or where the calibration source was. */
import type { Logbook } from '../../logbook/index.ts'
import type { TrendGroup } from './quantities.ts'
import type { SelectedRuns } from './selection.ts'

/** In the ODB of the experiment; the position in cm from the GEM side, type 0 = no source. */
const sourcePaths = {
  position: '/Configurations/SourceState/source_position',
  type: '/Configurations/SourceState/source_type',
}
const unknownGroup = 'unknown'

/** From the number of a selected run to the name of its group, '' when none are wanted. */
export async function groupsOf(
  experiment: string,
  selected: Pick<SelectedRuns, 'series' | 'files' | 'runs'>,
  by: TrendGroup,
  logbook: Pick<Logbook, 'conditionOfRuns'>,
): Promise<(number: number) => string> {
  if (by === 'none') return () => ''
  if (by === 'kind') return (number) => selected.runs.get(number)?.kind ?? unknownGroup
  const numbers = selected.files.map(({ number }) => number)
  const range = {
    experiment,
    series: selected.series,
    from: numbers.reduce((least, number) => Math.min(least, number), Infinity),
    to: numbers.reduce((most, number) => Math.max(most, number), 0),
  }
  if (numbers.length === 0) return () => unknownGroup
  const positions = await logbook.conditionOfRuns(range, sourcePaths.position)
  const types = await logbook.conditionOfRuns(range, sourcePaths.type)
  return (number) => {
    const position = positions.get(number)
    if (types.get(number) === 0) return 'no source'
    return position === undefined ? unknownGroup : `${position} cm`
  }
}
