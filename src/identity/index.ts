/** The door of identity: who asks, what they may do, and every credential. See README.md. */
import type { RoomMigrations } from '../foundation/database.ts'
import * as first from './migrations/0001-identity.ts'
import * as second from './migrations/0002-experiment-gids.ts'
import * as signInMethods from './migrations/0003-sign-in-methods.ts'
import * as groups from './migrations/0004-groups.ts'
import * as federation from './migrations/0005-federation.ts'
import * as factors from './migrations/0006-factors.ts'
import * as invitations from './migrations/0007-invitations.ts'
import * as tokens from './migrations/0008-tokens.ts'
import * as auditChain from './migrations/0009-audit-chain.ts'

export const identityMigrations: RoomMigrations = {
  room: 'identity',
  migrations: {
    '0001-identity': first,
    '0002-experiment-gids': second,
    '0003-sign-in-methods': signInMethods,
    '0004-groups': groups,
    '0005-federation': federation,
    '0006-factors': factors,
    '0007-invitations': invitations,
    '0008-tokens': tokens,
    '0009-audit-chain': auditChain,
  },
}

export { openIdentity, type Identity, type IdentityOptions, type TokenRequest } from './open-identity.ts'
export { decide, grantableRoles, isInsidePrefix, rightsOf, roleRights, type Decision, type Resource } from './decide.ts'
export {
  anonymousSubject,
  personRoles,
  type Limits,
  type PersonRole,
  type Role,
  type RoleGrant,
  type Subject,
  type SubjectKind,
} from './subject.ts'
export { addressOf, credentialOf, originOf, subjectOfCaller, type Credential } from './gate.ts'
export { platformOrigin, type Origin } from './audit.ts'
export {
  activeSubject,
  identitySnapshotSchema,
  subjectOf,
  subjectOfAccessKey,
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
