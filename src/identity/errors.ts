import { catalogue } from '../foundation/errors.ts'

export const identityFaults = catalogue('identity', {
  signInNeeded: { status: 401, title: 'Sign in first' },
  invalidToken: { status: 401, title: 'Access token refused' },
  invalidCode: { status: 410, title: 'This sign-in code is not valid' },
  wrongAccessKey: { status: 401, title: 'Access key refused' },
  notAllowed: { status: 403, title: 'Not allowed' },
  crossOrigin: { status: 403, title: 'Request from another site refused' },
  beyondCeiling: { status: 403, title: 'Beyond your own rights' },
  browserOnly: { status: 403, title: 'Only in the browser or with your own sign-in' },
  noSuchPerson: { status: 404, title: 'No such person' },
  noSuchClient: { status: 404, title: 'No such client' },
  noSuchAccessKey: { status: 404, title: 'No such access key' },
  noSuchRequest: { status: 404, title: 'No such request' },
  nameTaken: { status: 409, title: 'Name taken' },
  nameReserved: { status: 422, title: 'Name reserved' },
  lastAdmin: { status: 409, title: 'The last site admin stays' },
  invalidLimits: { status: 422, title: 'Limits not understood' },
  tooManyAttempts: { status: 429, title: 'Too many attempts' },
  unreachable: { status: 503, title: 'The platform does not answer', retry: true },
  insecureServer: { status: 400, title: 'Not over plain http' },
  insecureSecrets: { status: 500, title: 'Secrets are not protected' },
})
