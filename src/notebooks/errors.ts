import { catalogue } from '../foundation/errors.ts'

/** Everything `notebooks` may refuse or report. */
export const notebookErrors = catalogue('notebooks', {
  noSuchSession: { status: 404, title: 'No such session' },
  notYours: { status: 403, title: "Somebody else's session" },
  notRunning: { status: 409, title: 'The session does not run' },
  unreadableResults: { status: 422, title: 'Results that cannot be read' },
  environmentNotReady: { status: 503, title: 'The Python environment is not ready', retry: true },
  environmentFailed: { status: 503, title: 'The Python environment could not be made' },
  serverSilent: { status: 502, title: 'The notebook server does not answer as it should', retry: true },
})
