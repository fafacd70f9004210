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
  invalidAddresses: { status: 400, title: 'Addresses that do not fit', hint: 'See http in cygnet.yaml.' },
  badRequest: { status: 400, title: 'A request that can be read in two ways' },
  tooManyRequests: {
    status: 429,
    title: 'Too many requests at once',
    hint: 'Wait for the answers of those under way, then ask again.',
    retry: true,
  },
  foreignFolder: {
    status: 409,
    title: "Somebody else's folder",
    hint: 'Choose another home with --home, or make it yours after a look at what is in it: chown.',
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
  databaseMoved: { status: 409, title: 'The database has moved' },
  switchFailed: { status: 409, title: 'The version was not changed', hint: 'What ran before runs on.' },
  noSuchVersion: {
    status: 404,
    title: 'No such version',
    hint: 'The folder program of the home has those that are there.',
  },
  noRoom: { status: 507, title: 'Not enough room', hint: 'Free some room and try again; nothing was changed.' },
  cannotGoBack: { status: 409, title: 'No way back' },
  needsMending: { status: 500, title: 'Something must be mended', hint: 'The table above says what and how.' },
  bundleFailed: { status: 500, title: 'The bundle could not be made' },
  demoFailed: { status: 500, title: 'The demo found a fault' },
})
