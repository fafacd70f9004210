import { catalogue } from '../foundation/errors.ts'

export const shellFaults = catalogue('shell', {
  usage: { status: 400, title: 'Wrong usage', hint: 'See --help.' },
  controlUnavailable: {
    status: 503,
    title: 'The platform is starting again',
    hint: 'Try again in a few seconds. Data taking, running jobs and open notebooks go on.',
    retry: true,
  },
  unknownHost: {
    status: 421,
    title: 'Unknown host name',
    hint: 'Open the address that `cygnet up` prints.',
  },
  portInUse: { status: 409, title: 'Port in use', hint: 'Choose another one with --port, or stop what listens there.' },
  alreadyRunning: {
    status: 409,
    title: 'Already running',
    hint: 'One Cygnet runs per home. Stop it first, or use --home.',
  },
  notRunning: { status: 503, title: 'Not running', hint: 'Start it with: cygnet up' },
  didNotStart: {
    status: 503,
    title: 'The platform did not start',
    hint: 'The reason is in the logs folder named above.',
  },
  needsMending: { status: 500, title: 'Something must be mended', hint: 'The table above says what and how.' },
  demoFailed: { status: 500, title: 'The demo found a fault' },
})
