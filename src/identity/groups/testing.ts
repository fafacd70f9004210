/** For tests of groups: an experiment with a site admin, its admin, and groups with managers. */
import type { OpenTestDatabase } from '../../foundation/testing.ts'
import { decide, type Resource } from '../decide.ts'
import { subjectOf } from '../snapshot.ts'
import type { PersonRole, Subject } from '../subject.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'
import { defaultPolicy, type Policy } from './policy.ts'

export interface TestGroups extends TestIdentity {
  admin: Browser
  /** Admin of the experiment 'cygno'. */
  head: { id: string; browser: Browser }
  /** Somebody with one role in one group, who is in nothing else. */
  join(name: string, group: string, role: PersonRole): Promise<{ id: string; browser: Browser }>
  subject(id: string): Subject
  may(id: string, action: Parameters<typeof decide>[1], resource?: Resource): boolean
}

export async function startGroups(
  open: OpenTestDatabase,
  options: Parameters<typeof startIdentity>[1] = {},
  groups: readonly string[] = ['/cygno/analysis', '/cygno/daq'],
): Promise<TestGroups> {
  const test = await startIdentity(open, options)
  const admin = await adminBrowser(test)
  const head = await personBrowser(test, 'hugo', [{ experiment: 'cygno', role: 'exp-admin' }])
  for (const group of groups) await head.browser.api.createGroup({ body: { group } })
  const subject = (id: string) => subjectOf(test.identity.snapshotPart().subjects[id]!)
  const nowMs = () => options.clock?.nowMs() ?? Date.now()
  return {
    ...test,
    admin,
    head,
    async join(name, group, role) {
      const person = await personBrowser(test, name, [])
      await head.browser.api.setMember({ body: { group, person: name, role } })
      return person
    },
    subject,
    may: (id, action, resource = {}) =>
      decide(subject(id), action, { experiment: 'cygno', ...resource }, nowMs()).allow,
  }
}

export function policyWith(parts: { ceiling?: Partial<Policy['ceiling']>; grants?: Policy['grants'] }): Policy {
  return {
    ...defaultPolicy,
    ceiling: { ...defaultPolicy.ceiling, ...parts.ceiling },
    grants: parts.grants ?? {},
  }
}
