/** What a gateway lets an S3 caller do: the one decision function, on the snapshot, as long as the snapshot is fresh. */
import type { Action } from '../../foundation/contract.ts'
import type { FollowedSnapshot } from '../../foundation/snapshot.ts'
import { decide, identityFaults, type Resource, type Subject } from '../../identity/gateway.ts'
import { shellFaults } from '../errors.ts'
import { staleForClientsMs, staleForPeopleMs, type PlatformSnapshot } from '../snapshot.ts'

export function createPermit(followed: FollowedSnapshot<PlatformSnapshot>) {
  return (subject: Subject, action: Action, resource: Resource): void => {
    const patienceMs = action === 'data.read' || subject.kind === 'client' ? staleForClientsMs : staleForPeopleMs
    if (followed.ageMs() > patienceMs) {
      throw shellFaults.controlUnavailable(
        'Who may do this cannot be said any more: the control process is away for too long.',
      )
    }
    const decision = decide(subject, action, resource)
    if (!decision.allow) throw identityFaults.notAllowed(decision.reason)
  }
}
