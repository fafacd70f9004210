import { catalogue } from '../foundation/errors.ts'

/** Everything `compute` may refuse or report. */
export const computeErrors = catalogue('compute', {
  noSuchJob: { status: 404, title: 'No such job' },
  noSuchLog: { status: 404, title: 'No log' },
  noSuchOutput: { status: 404, title: 'No such output' },
  noSuchEnvironment: { status: 422, title: 'No such environment' },
  unknownKind: { status: 422, title: 'Unknown kind of job' },
  tooLarge: { status: 422, title: 'The job asks for more than the machine has' },
  beyondPolicy: { status: 422, title: 'More than the policy of the group allows' },
  keyReused: { status: 409, title: 'The idempotency key belongs to another request' },
  alreadyEnded: { status: 409, title: 'The job has ended' },
  sandboxMissing: { status: 503, title: 'User code cannot be isolated on this machine' },
  pythonMissing: { status: 503, title: 'No usable Python' },
  badLaunch: { status: 500, title: 'The job cannot be launched as asked' },
  processesRemain: { status: 503, title: 'Processes of a job could not be ended' },
})
