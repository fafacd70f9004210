/** The part of identity's door that gateways use: pure decisions on the published snapshot, no database behind it. */
export { decide, type Resource } from './decide.ts'
export type { Subject } from './subject.ts'
export { identitySnapshotSchema, subjectOfAccessKey, whyNotOn, type IdentitySnapshot } from './snapshot.ts'
export { contentCookieName, sessionCookieName } from './cookie-names.ts'
export { signContentCookie, verifyContentCookie, type ContentAccess } from './content-access.ts'
export { identityFaults } from './errors.ts'
export type { ObjectDenial } from './auditing/object-denial.ts'
