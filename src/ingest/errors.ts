/** What can go wrong between the DAQ disk and the logbook. Codes also name the faults shown on a run's page. */
import { catalogue } from '../foundation/errors.ts'

export const ingestFaults = catalogue('ingest', {
  unrecognisedFile: { status: 422, title: 'Not a run file' },
  fileShrank: { status: 409, title: 'The file shrank while it was read', retry: true },
  fileChanged: { status: 409, title: 'The file changed while it was read', retry: true },
  fileUnreadable: { status: 500, title: 'The file cannot be read', retry: true },
  alreadyDifferent: { status: 409, title: 'The store holds another file of this name' },
  expectsOtherwise: { status: 409, title: 'The platform expects other bytes of this file' },
  checksumMismatch: { status: 409, title: 'The store does not hold what was sent' },
  notVerified: { status: 503, title: 'The stored copy could not be verified yet', retry: true },
  noRoomToCompress: { status: 507, title: 'No room on the DAQ disk for a compressed copy', retry: true },
  badCopy: { status: 500, title: 'The compressed copy is not the run', retry: true },
  storeRefused: { status: 403, title: 'The store refuses this key' },
  storeFull: { status: 507, title: 'The store has no room left', retry: true },
  storeFailed: { status: 502, title: 'The store failed', retry: true },
  storeUnreachable: { status: 503, title: 'The store cannot be reached', retry: true },
  uploadGone: { status: 404, title: 'The upload is no longer known', retry: true },
  keyRefused: { status: 401, title: 'The server refuses this key', retry: true },
  badKeyFile: { status: 400, title: 'The key file cannot be used' },
  hostNotReady: { status: 500, title: 'This machine is not ready', hint: 'The table above says what and how.' },
  noFolder: { status: 404, title: 'No such folder' },
  alreadyWatched: { status: 409, title: 'The folder is watched already' },
})
