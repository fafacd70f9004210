/**
 * For tests: a valid request of every route of this room, and who may make it. Where the contract names an action the
 * answer comes from the matrix; the others have a line here. A new route without one does not compile.
 */
import type { Route } from '../../foundation/contract.ts'
import { identityContract } from '../contract.ts'
import { personOnlyActions, roleRights, siteAdminRights } from '../decisions/matrix.ts'
import { personRoles, type PersonRole } from '../subject.ts'

/** Every kind of caller; people hold their role in `cygno`, everything else works for an exp-admin of it. */
export const callers = [
  'anonymous',
  ...personRoles,
  'site-admin',
  /** A registered machine, by a token for its key. */
  'client',
  /** A token for an S3 key of a person. */
  'key',
  'session',
  'job',
] as const
export type CallerName = (typeof callers)[number]

/** What the tokens of the session and the job are for. */
export const workActions = ['data.read', 'jobs.cancel'] as const

export interface Sample {
  /** Not answered with 401 or 403; absent: read off the matrix. What then happens (404, 410, 422) is not the matter. */
  may?: readonly CallerName[]
  /** A refusal, or a trouble, that is not about rights: the code of what is answered to who may. */
  otherwise?: string
  /** `@guest` is somebody who is a guest there. */
  params?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
}

const everybody: readonly CallerName[] = callers
const signedIn = callers.filter((name) => name !== 'anonymous')
/** Signed in by themselves, with all they have. */
const people: readonly CallerName[] = [...personRoles, 'site-admin']
const admins: readonly CallerName[] = ['exp-admin', 'site-admin']
const managers: readonly CallerName[] = ['manager', ...admins]

const experiment = 'cygno'
const group = '/cygno'
const none = '01a20aef-0000-7000-8000-000000000000'
const endsAtMs = Date.now() + 30 * 86_400_000
const publicKey = { kty: 'EC', crv: 'P-256', x: 'A'.repeat(43), y: 'B'.repeat(43) }
const passkeyAnswer = {
  id: 'AAAA',
  rawId: 'AAAA',
  type: 'public-key',
  response: { clientDataJSON: 'AAAA', authenticatorData: 'AAAA', signature: 'AAAA' },
  clientExtensionResults: {},
}
const passkeyMade = { ...passkeyAnswer, response: { clientDataJSON: 'AAAA', attestationObject: 'AAAA' } }
const newcomer = { displayName: 'Somebody', termsVersion: 1 }
const rule = { issuer: none, claim: 'groups', value: 'x', group, role: 'guest' }

export const samples: Record<keyof (typeof identityContract)['routes'], Sample> = {
  me: { may: signedIn },
  redeemCode: { body: { code: 'x' } },
  token: { body: { code: 'x' } },
  redeemContentTicket: { body: { ticket: 'x' } },
  listSessions: { may: people },
  signOut: { may: people },
  signOutEverywhere: { may: people },
  listAccessKeys: { may: people },
  createAccessKey: { may: people, body: {} },
  revokeAccessKey: { may: signedIn, params: { accessKey: 'CYGNONE' } },
  listClients: { query: { experiment } },
  registerClient: { body: { experiment, name: 'daq-2' } },
  revokeClient: { may: signedIn, params: { client: 'none' } },
  listPeople: { may: managers, query: { experiment } },
  createPerson: { body: { name: 'somebody', displayName: 'S' } },
  createSignInLink: { params: { person: none } },
  setRole: { params: { person: none }, body: { experiment, role: 'guest' } },
  suspendPerson: { params: { person: none } },
  reinstatePerson: { params: { person: none } },
  showDevice: { may: people, params: { userCode: 'BBBBBBBB' } },
  decideDevice: { may: people, params: { userCode: 'BBBBBBBB' }, body: { decision: 'approve' } },
  showInteraction: { may: people, params: { interaction: 'none' } },
  decideInteraction: { may: people, params: { interaction: 'none' }, body: { decision: 'approve' } },

  listAudit: { may: people },
  exportAudit: { may: people },
  verifyAudit: {},
  acceptAuditLoss: { body: { reason: 'there is nothing wrong' } },
  explainDecision: { may: signedIn, query: { action: 'data.read', experiment } },
  whoCan: { query: { action: 'data.read', experiment } },
  listBrokenGlass: { may: ['manager', 'auditor', ...admins], query: { experiment } },
  breakGlass: { body: { experiment, reason: 'to look for lost files' } },
  mendGlass: { may: signedIn, params: { glass: none } },

  listGroups: { may: signedIn, params: { experiment } },
  createGroup: { may: admins, body: { group: '/cygno/new' } },
  archiveGroup: { may: admins, body: { group: '/cygno/none' } },
  listMembers: { may: signedIn, query: { group } },
  setMember: { may: managers, body: { group, person: none, role: 'guest' } },
  listExperimentPeople: { may: managers, params: { experiment } },
  myGroups: { may: people },
  showPolicy: { may: signedIn, query: { group } },
  listPolicyVersions: { may: signedIn, query: { group } },
  previewPolicy: { may: managers, body: { group, policy: {} } },
  applyPolicy: { may: managers, body: { group, policy: {}, ifVersion: 99 } },
  undoPolicy: { may: managers, body: { group, toVersion: 98, ifVersion: 99 } },

  listInstitutes: {},
  startInstituteLogin: { otherwise: 'identity.institute_disabled', body: { institute: none } },
  instituteCallback: {},
  continueInstituteLogin: { body: {} },
  listIdentities: { may: people },
  unlinkIdentity: { may: people, params: { identity: none } },
  listIssuers: {},
  checkIssuer: { body: { issuer: 'https://issuer.invalid' } },
  addIssuer: { otherwise: 'identity.institute_unreachable', body: { issuer: 'https://issuer.invalid', label: 'X' } },
  changeIssuer: { params: { issuer: none }, body: { label: 'X' } },
  setIssuerState: { params: { issuer: none }, body: { state: 'disabled' } },
  listImportRules: {},
  addImportRule: { body: rule },
  previewImportRule: { body: rule },
  removeImportRule: { params: { rule: none } },

  startPasskeySignIn: {},
  signInWithPasskey: { body: { response: passkeyAnswer } },
  signInWithPassword: {
    otherwise: 'identity.wrong_factors',
    body: { name: 'nobody', password: 'no password at all', code: '000000' },
  },
  listFactors: { may: people },
  startProof: { may: people },
  prove: {
    may: people,
    otherwise: 'identity.wrong_factors',
    body: { password: 'no password at all', code: '000000' },
  },
  startPasskey: { may: people },
  addPasskey: { may: people, body: { label: 'x', response: passkeyMade } },
  renamePasskey: { may: people, params: { passkey: none }, body: { label: 'x' } },
  removePasskey: { may: people, params: { passkey: none } },
  setPassword: { may: people, body: { password: 'password' } },
  removePassword: { may: people },
  startAuthenticator: { may: people },
  confirmAuthenticator: { may: people, body: { code: '000000' } },
  createRecoveryCodes: { may: people, otherwise: 'identity.factor_needed' },
  showPersonFactors: { params: { person: none } },
  recoverPerson: { may: managers, params: { person: '@guest' } },
  findPerson: { may: managers, params: { name: 'gerda' } },
  addAlias: { params: { person: none }, body: { alias: 'some.body' } },
  removeAlias: { params: { person: none, alias: 'some.body' } },

  createInvitation: { may: managers, body: { experiment, role: 'guest' } },
  createClassLink: { may: managers, body: { experiment, accessEndMs: endsAtMs, seats: 2 } },
  listInvitations: { may: people, query: { experiment } },
  revokeInvitation: { may: people, params: { invitation: none } },
  renewInvitation: { may: people, params: { invitation: none }, body: {} },
  showClass: { may: signedIn, params: { invitation: none } },
  endClass: { may: people, params: { invitation: none } },
  decideJoin: { may: people, params: { confirmation: none }, body: { decision: 'confirm', displayName: 'Somebody' } },
  openJoin: { body: { code: 'x' } },
  showJoin: {},
  joinByCode: { body: newcomer },
  joinAsMyself: { may: people, body: { termsVersion: 1 } },
  joinPasskeyOptions: { body: { displayName: 'Somebody' } },
  joinByPasskey: { body: { ...newcomer, passkey: passkeyMade } },
  acceptJoinTerms: { body: { version: 1 } },
  declineJoin: {},
  showTerms: {},
  acceptTerms: { may: people, body: { version: 99 } },
  publishTerms: { body: { text: 'Be kind.' } },
  listGuests: { may: people },
  renewGuest: { may: people, params: { person: none }, body: {} },
  endAccess: { may: people, params: { person: none } },
  archivePerson: { params: { person: none } },
  erasePerson: { params: { person: none } },
  showContact: { may: people },
  setContact: { may: people, body: { email: 'somebody@example.org', language: 'en' } },
  requestExperiment: {
    body: {
      name: 'newone',
      title: 'New',
      people: 3,
      storageBytes: 1_000_000_000,
      endsAtMs,
      applicant: 'Somebody',
      email: 'somebody@example.org',
    },
  },
  confirmRequest: { body: { code: 'x' } },
  listRequests: {},
  approveRequest: { params: { request: none }, body: {} },
  rejectRequest: { params: { request: none }, body: { reason: 'no reason' } },
  listMail: {},
  retryMail: { params: { mail: none } },

  listPersonalTokens: { may: people },
  createPersonalToken: {
    may: people,
    body: { label: 'x', capabilities: ['data.read'], lifetimeMs: 86_400_000 },
  },
  revokePersonalToken: { may: people, params: { token: none } },
  listDevices: { may: people },
  revokeDevice: { may: people, params: { device: none } },
  listTemporaryKeys: { may: people },
  listSigningKeys: {},
  rotateSigningKeys: {},
  removeSigningKey: { params: { kid: 'none' } },
  listMachines: { query: { experiment } },
  requestEnrolment: { body: { experiment, name: 'daq-3', publicKey } },
  pollEnrolment: { body: { deviceCode: 'x' } },
  showEnrolment: { may: people, params: { userCode: 'BBBBBBBB' } },
  decideEnrolment: { may: people, params: { userCode: 'BBBBBBBB' }, body: { decision: 'deny' } },
  setMachineOwners: { may: signedIn, params: { machine: none }, body: { owners: [none] } },
  renewMachine: { may: signedIn, params: { machine: none }, body: {} },
  addMachineKey: { may: signedIn, params: { machine: none }, body: { publicKey } },
  removeMachineKey: { may: signedIn, params: { machine: none, key: none } },
}

/** Who may: what the sample says, or what the matrix says of the action that the contract names. */
export function whoMay(name: keyof typeof samples): readonly CallerName[] {
  const { permission } = identityContract.routes[name] as Route
  const { may } = samples[name]
  if (permission === 'public') return everybody
  if (may !== undefined) return may
  if (typeof permission === 'string') throw new Error(`${name}: say who may`)
  const { action } = permission
  return callers.filter((caller) => {
    if (caller === 'site-admin') return siteAdminRights[action] !== undefined
    if (caller === 'key') return roleRights['exp-admin'][action] === 'any' && !personOnlyActions.has(action)
    if (caller === 'session' || caller === 'job') return (workActions as readonly string[]).includes(action)
    return (personRoles as readonly string[]).includes(caller) && roleRights[caller as PersonRole][action] === 'any'
  })
}
