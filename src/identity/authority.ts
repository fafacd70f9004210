/** Checks of the routes that need more than a role: what kind of sign-in, whose key, which ceiling. */
import type { Caller } from '../foundation/http.ts'
import { requireAccessKey } from './access-keys.ts'
import { decide, grantableRoles } from './decide.ts'
import { identityFaults } from './errors.ts'
import { adminProofMs } from './factors/contract.ts'
import { requireProof } from './factors/proof.ts'
import { credentialOf, notAllowed, subjectOfCaller, type Credential } from './gate.ts'
import { requireSubject } from './people.ts'
import type { Room } from './room.ts'
import type { PersonRole, Subject } from './subject.ts'
import type { IdentityTransaction } from './tables.ts'

/** A person sitting at our pages: the only one who may let further devices and applications in. */
export function requirePersonInBrowser(caller: Caller): Extract<Credential, { by: 'browser-session' }> {
  const credential = requireBrowser(caller)
  if (!credential.proof.recovering) return credential
  throw identityFaults.factorNeeded('This sign-in is only for making a new passkey or password.', {
    hint: 'Make one on the page Me; then everything is open again.',
  })
}

/** The same, or a person who came by a recovery link and has to make a new factor. */
export function requireBrowser(caller: Caller): Extract<Credential, { by: 'browser-session' }> {
  const credential = credentialOf(caller)
  if (credential.by === 'browser-session') return credential
  throw identityFaults.browserOnly('This can only be done in the browser.', {
    hint: 'Open the platform and sign in there.',
  })
}

/**
 * The person has proved who he is within this time, in this browser session, or in another one that lends its proof to
 * his command line. With `twoFactors`: by a passkey, or by password and code. Who has neither (he came by a link or by his
 * institute) has nothing to prove with here, and goes on.
 * @throws Fault identity.fresh_proof_needed; the web app then asks for the proof and repeats the request
 */
export function requireFresh(caller: Caller, wanted: { withinMs: number; twoFactors?: boolean }): void {
  requireWholePerson(caller)
  requireProof(credentialOf(caller), wanted)
}

/** A person with all his rights: not an access key's token, not a session, not a job. */
export function requireWholePerson(caller: Caller): void {
  const { kind, limits } = subjectOfCaller(caller)
  if (kind === 'person' && limits === undefined) return
  throw identityFaults.browserOnly('This needs your own sign-in, not a key or a token of a session.', {
    hint: 'Sign in in the browser, or with: cygnet login.',
  })
}

/** Id of the one whose keys are meant: the caller, or a client that he administers. */
export async function keyOwnerOf(room: Room, caller: Caller, clientId: string | undefined): Promise<string> {
  const subject = subjectOfCaller(caller)
  if (clientId === undefined) {
    const { allow, reason } = decide(subject, 'credentials.create')
    if (!allow) throw notAllowed('credentials.create', undefined, reason)
    return subject.id
  }
  const client = await requireSubject(room.kysely, clientId, 'client')
  requireExperimentAdmin(subject, client.experiment)
  return client.id
}

/** Whoever acts as site admin has shown two factors lately, once he has two; everybody else goes on. */
export function requireAdminProof(caller: Caller): void {
  if (subjectOfCaller(caller).siteAdmin) requireFresh(caller, { withinMs: adminProofMs, twoFactors: true })
}

/** One's own key, a key of a machine one administers, and any key for the site admin. */
export async function mayManageKey(room: Room, caller: Caller, accessKeyId: string): Promise<void> {
  const subject = subjectOfCaller(caller)
  const key = await requireAccessKey(room, accessKeyId)
  if (key.subject_id === subject.id && decide(subject, 'credentials.create').allow) return
  if (decide(subject, 'site.admin').allow) return
  const owner = await room.kysely
    .selectFrom('identity_subject')
    .select(['kind', 'experiment'])
    .where('id', '=', key.subject_id)
    .executeTakeFirst()
  // A stranger learns nothing: somebody else's key looks like none.
  if (
    owner?.kind !== 'client' ||
    !decide(subject, 'experiment.admin', { experiment: owner.experiment ?? undefined }).allow
  ) {
    throw identityFaults.noSuchAccessKey('There is no such access key, or it is already revoked.')
  }
}

/** The role to give and every role to take away must lie below the giver's own. */
export async function requireGrantable(
  trx: IdentityTransaction,
  subject: Subject,
  personId: string,
  { experiment, role }: { experiment: string; role: PersonRole | null },
): Promise<void> {
  const grantable: readonly string[] = grantableRoles(subject, experiment)
  const held = await trx
    .selectFrom('identity_membership')
    .select('role')
    .where('person_id', '=', personId)
    .where('group_path', '=', `/${experiment}`)
    .execute()
  const beyond = [...held.map((row) => row.role), ...(role === null ? [] : [role])].find(
    (name) => !grantable.includes(name),
  )
  if (beyond === undefined) return
  throw identityFaults.beyondCeiling(`You may not give or take the role ${beyond} in ${experiment}.`, {
    hint:
      grantable.length === 0 ? 'Ask a manager of the experiment.' : `You may give and take: ${grantable.join(', ')}.`,
  })
}

function requireExperimentAdmin(subject: Subject, experiment: string | null): void {
  const { allow, reason } = decide(subject, 'experiment.admin', { experiment: experiment ?? undefined })
  if (!allow) throw notAllowed('experiment.admin', experiment ?? undefined, reason)
}
