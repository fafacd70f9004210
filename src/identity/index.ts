/** The door of identity: who asks, what they may do, and every credential. See README.md. */
export { identityMigrations } from './migrations/index.ts'
export { openIdentity, type Identity, type IdentityOptions, type TokenRequest } from './open-identity.ts'
export { decide, grantableRoles, isInsidePrefix, rightsOf, roleRights, type Decision, type Resource } from './decide.ts'
export {
  anonymousSubject,
  personRoles,
  type Capability,
  type Limits,
  type PersonRole,
  type Role,
  type RoleGrant,
  type Subject,
  type SubjectKind,
} from './subject.ts'
export { addressOf, credentialOf, originOf, subjectOfCaller, type Credential } from './gate.ts'
export { platformOrigin, type Origin } from './audit.ts'
export { objectDenialSchema } from './auditing/object-denial.ts'
export { verifyAudit, type AuditPlaces, type AuditReport } from './auditing/open-auditing.ts'
export {
  activeSubject,
  forGateways,
  identitySnapshotSchema,
  subjectOf,
  subjectOfAccessKey,
  whyNotOn,
  type IdentitySnapshot,
} from './snapshot.ts'
export { verifyAccessTokenWith, type VerifiedToken } from './access-token.ts'
export { contentCookieName } from './cookie-names.ts'
export {
  contentCookieLifetimeMs,
  signContentCookie,
  verifyContentCookie,
  type ContentAccess,
} from './content-access.ts'
export type { AccessKeyRequest, Client, NewAccessKey } from './access-keys.ts'
export type { NewPerson } from './people.ts'
export type { SignInLink } from './sign-in.ts'
export { daqLimits } from './access-keys.ts'
export { identityFaults } from './errors.ts'
