/** What the logbook may answer when it cannot do what was asked. */
import { catalogue } from '../foundation/errors.ts'

export const logbookFaults = catalogue('logbook', {
  noSuchExperiment: { status: 404, title: 'No such experiment' },
  noSuchSetup: { status: 404, title: 'No such setup' },
  noSuchSeries: { status: 404, title: 'No such number series' },
  noSuchRun: { status: 404, title: 'No such run' },
  experimentExists: { status: 409, title: 'The experiment exists already' },
  badCursor: { status: 400, title: 'The page cursor cannot be read' },
})
