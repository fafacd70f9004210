/** For tests of invitations: an experiment with a manager who invites, and somebody at a browser who has a link. */
import { createLogger } from '../../foundation/log.ts'
import { loadOrCreateSecret } from '../../foundation/secrets.ts'
import type { OpenTestDatabase } from '../../foundation/testing.ts'
import { fakeClock, type FakeClock } from '../../foundation/time.ts'
import { startGroups, type TestGroups } from '../groups/testing.ts'
import { createRoom, type Room } from '../room.ts'
import { createSeal } from '../seal.ts'
import { tablesOf, type IdentityKysely } from '../tables.ts'
import type { Browser, startIdentity } from '../testing.ts'

export interface TestInvitations extends TestGroups {
  clock: FakeClock
  /** Manages /cygno/students. */
  manager: { id: string; browser: Browser }
  kysely: IdentityKysely
  /** Opens a link in a new browser, as far as the page does it by itself. */
  visit(url: string): Promise<Browser>
  /** All the clicks: opens, agrees, comes in under this name. */
  accept(url: string, displayName: string): Promise<{ browser: Browser; id: string; name: string }>
  /** So much time passes, and admin and manager sign in again. */
  later(ms: number): Promise<void>
  invite(body?: Partial<InviteBody>): Promise<{ id: string; url: string }>
}

type InviteBody = Parameters<Browser['api']['createInvitation']>[0]['body']

export const dayMs = 86_400_000

export async function startInvitations(
  open: OpenTestDatabase,
  { startMs, ...options }: Omit<NonNullable<Parameters<typeof startIdentity>[1]>, 'clock'> & { startMs?: number } = {},
): Promise<TestInvitations> {
  const clock = fakeClock(startMs)
  const groups = await startGroups(open, { ...options, clock }, ['/cygno/students'])
  const manager = await groups.join('mara', '/cygno/students', 'manager')
  const visit = async (url: string): Promise<Browser> => {
    const browser = groups.browser()
    await browser.api.openJoin({ body: { code: codeOf(url) } })
    return browser
  }
  return {
    ...groups,
    clock,
    manager,
    kysely: tablesOf(groups.database),
    visit,
    async accept(url, displayName) {
      const browser = await visit(url)
      const { terms } = await browser.api.showJoin({})
      const { name } = await browser.api.joinByCode({ body: { displayName, termsVersion: terms.version } })
      const { id } = await browser.api.me()
      return { browser, id, name }
    },
    async later(ms) {
      clock.advance(ms)
      await groups.identity.sweep()
      await groups.admin.signIn((await groups.identity.createAdminLink()).code)
      for (const { id, browser } of [manager, groups.head]) {
        const { url } = await groups.admin.api.createSignInLink({ params: { person: id } })
        await browser.signIn(codeOf(url))
      }
    },
    invite: (body = {}) =>
      manager.browser.api.createInvitation({
        body: { experiment: 'cygno', group: '/cygno/students', role: 'guest', ...body },
      }),
  }
}

/** The inside of an opened identity, for what routes do not offer. */
export async function roomOf(test: TestGroups & { clock: FakeClock }): Promise<Room> {
  const seal = createSeal(await loadOrCreateSecret(test.secretsDirectory, 'identity-seal-key'))
  const ports = { runningOf: async () => [], createExperiment: async () => {} }
  const log = createLogger({ process: 'test', level: 'silent' })
  const { database, clock, publicUrl, identity } = test
  return createRoom(
    { database, clock, log, seal, publicUrl, ports, mailGoesOut: true },
    {
      refresh: () => identity.refresh(),
      appended: () => {},
      snapshot: () => identity.snapshotPart(),
      alsoChanged: async () => {},
    },
  )
}

export function codeOf(url: string): string {
  return url.split('#code=')[1]!
}
