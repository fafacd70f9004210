/**
 * Who has some rights tries to get all others, for himself and for a friend, by every route that hands something out (T2:
 * CVE-2024-41942, EGI-SVG-2023-53, CVE-2025-43904: a delegated role promoted itself). And whatever a credential makes is no
 * wider than itself (T30: CVE-2025-62506; T45: approved is not presented).
 */
import { expect, test } from 'vitest'
import { createClient } from '../../foundation/client.ts'
import { actions } from '../../foundation/contract.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { identityContract } from '../contract.ts'
import { decide, type Resource } from '../decide.ts'
import { verifyAccessTokenWith } from '../access-token.ts'
import { roleRights } from '../decisions/matrix.ts'
import { subjectOf } from '../snapshot.ts'
import { personRoles, type PersonRole, type Subject } from '../subject.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'

type Api = Browser['api']

/** Things to ask about, none of them owned by who asks. */
const things: Resource[] = [
  {},
  ...['cygno', 'zother'].flatMap((experiment): Resource[] => [
    { experiment },
    { experiment, bucket: `${experiment}-raw`, key: 'run/1', purpose: 'raw' },
    { experiment, bucket: `${experiment}-work`, key: 'lab/x', purpose: 'work' },
    { experiment, bucket: `${experiment}-work`, key: 'other/x', purpose: 'work' },
    { experiment, group: `/${experiment}` },
    { experiment, group: `/${experiment}/lab`, ownerId: 'somebody', ownerGroups: [`/${experiment}/lab`] },
    { experiment, group: `/${experiment}/other`, ownerId: 'somebody', ownerGroups: [`/${experiment}/other`] },
  ]),
]

function everythingOf(subject: Subject): Set<string> {
  return new Set(
    actions.flatMap((action) =>
      things
        .filter((thing) => decide(subject, action, thing).allow)
        .map((thing) => `${action} ${JSON.stringify(thing)}`),
    ),
  )
}

const beyond = (now: Set<string>, ...bounds: Set<string>[]): string[] =>
  [...now].filter((right) => !bounds.some((bound) => bound.has(right)))

interface World {
  test: TestIdentity
  adminId: string
  me: { id: string; name: string }
  friend: { id: string; name: string; browser: Browser }
}

/** What anybody might try with his own hands; what is refused is refused. */
function tries(api: Api, { adminId, me, friend }: World): (() => Promise<unknown>)[] {
  const groups = ['/cygno', '/cygno/lab', '/cygno/other', '/zother', '/zother/lab']
  const both = [me, friend]
  const everything = actions.map((action) => action as string)
  const day = 86_400_000
  const wide = (policy: object, role: string) => ({
    ...policy,
    ceiling: { limits: {}, guestAllowed: true },
    grants: { [role]: everything },
  })
  return [
    ...both.flatMap(({ id }) =>
      personRoles.flatMap((role) => [
        ...['cygno', 'zother'].map(
          (experiment) => () => api.setRole({ params: { person: id }, body: { experiment, role } }),
        ),
        ...groups.map((group) => () => api.setMember({ body: { group, person: id, role } })),
      ]),
    ),
    ...groups.map((group) => () => api.createGroup({ body: { group: `${group}/made` } })),
    ...both.flatMap(({ id }) =>
      personRoles.map((role) => () => api.setMember({ body: { group: '/cygno/made', person: id, role } })),
    ),
    ...groups.flatMap((group) =>
      ['guest', 'member', 'operator', 'manager', 'auditor'].map((role) => async () => {
        const { policy, version } = await api.showPolicy({ query: { group } })
        return await api.applyPolicy({ body: { group, policy: wide(policy, role) as never, ifVersion: version } })
      }),
    ),
    ...groups.map((group) => async () => {
      const { version } = await api.showPolicy({ query: { group } })
      return await api.undoPolicy({ body: { group, toVersion: 1, ifVersion: version } })
    }),
    ...personRoles.flatMap((role) =>
      ['cygno', 'zother'].map((experiment) => async () => {
        const accessEndMs = Date.now() + 30 * day
        const { url } = await api.createInvitation({ body: { experiment, role, accessEndMs } })
        await friend.browser.api.openJoin({ body: { code: url.split('#')[1]!.replace(/^\w+=/, '') } })
        const { version } = await friend.browser.api.showTerms({})
        return await friend.browser.api.joinAsMyself({ body: { termsVersion: version } })
      }),
    ),
    () => api.createPerson({ body: { name: 'secondme', displayName: 'S', siteAdmin: true } }),
    () => api.createSignInLink({ params: { person: adminId } }),
    () => api.recoverPerson({ params: { person: adminId } }),
    () => api.addAlias({ params: { person: me.id }, body: { alias: 'ad.min' } }),
    () => api.suspendPerson({ params: { person: adminId } }),
    () => api.endAccess({ params: { person: adminId } }),
    () => api.archivePerson({ params: { person: adminId } }),
    () => api.erasePerson({ params: { person: adminId } }),
    () => api.breakGlass({ body: { experiment: 'cygno', reason: 'because I want to see it' } }),
    () => api.breakGlass({ body: { experiment: 'zother', reason: 'because I want to see it' } }),
    () => api.rotateSigningKeys({}),
    () => api.publishTerms({ body: { text: 'All is mine.' } }),
    () => api.registerClient({ body: { experiment: 'zother', name: 'machine' } }),
    async () => {
      const { items } = await api.listRequests({})
      return await Promise.all(items.map(({ id }) => api.approveRequest({ params: { request: id }, body: {} })))
    },
  ]
}

async function world(open: Parameters<typeof startIdentity>[0], roles: { experiment: string; role: PersonRole }[]) {
  const test = await startIdentity(open)
  const admin = await adminBrowser(test)
  const { id: adminId } = await admin.api.me({})
  for (const experiment of ['cygno', 'zother']) {
    const head = await personBrowser(test, `head${experiment}`, [{ experiment, role: 'exp-admin' }])
    for (const name of ['lab', 'other'])
      await head.browser.api.createGroup({ body: { group: `/${experiment}/${name}` } })
  }
  const me = { ...(await personBrowser(test, 'mallory', roles)), name: 'mallory' }
  const friend = { ...(await personBrowser(test, 'eve', [{ experiment: 'cygno', role: 'guest' }])), name: 'eve' }
  const rightsOf = (id: string) => everythingOf(subjectOf(test.identity.snapshotPart().subjects[id]!))
  return { world: { test, adminId, me, friend }, api: me.browser.api, rightsOf, admin, test }
}

const patience = { timeout: 600_000 }

forEachDatabase('closure', (open, kind) => {
  const once = test.runIf(kind === 'sqlite' || process.env.CYGNET_LONG)

  for (const role of personRoles) {
    once(`no way leads from ${role} to a right that it does not hold`, patience, async () => {
      const { world: here, api, rightsOf, admin } = await world(open, [{ experiment: 'cygno', role }])
      const [mine, hers, admins] = [rightsOf(here.me.id), rightsOf(here.friend.id), rightsOf(here.adminId)]
      let done = 0
      for (const attempt of tries(api, here)) {
        await attempt().then(
          () => (done += 1),
          () => undefined,
        )
        expect(beyond(rightsOf(here.me.id), mine)).toEqual([])
        expect(beyond(rightsOf(here.friend.id), mine, hers)).toEqual([])
      }
      // The test has hands: who may hand something out does get some of it done.
      expect(done > 10).toBe(role === 'exp-admin' || role === 'manager')
      expect(rightsOf(here.adminId)).toEqual(admins)
      expect((await admin.api.me({})).siteAdmin).toBe(true)
    })
  }

  once('a manager of a group, likewise', patience, async () => {
    const { world: here, api, rightsOf, admin } = await world(open, [])
    await admin.api.setMember({ body: { group: '/cygno/lab', person: here.me.id, role: 'manager' } })
    const [mine, hers] = [rightsOf(here.me.id), rightsOf(here.friend.id)]
    expect(mine.size).toBeGreaterThan(0)
    for (const attempt of tries(api, here)) {
      await attempt().catch(() => undefined)
      expect(beyond(rightsOf(here.me.id), mine)).toEqual([])
    }
    // Members of his group have at most what a member of the experiment has there.
    const members = everythingOf({
      ...subjectOf(here.test.identity.snapshotPart().subjects[here.me.id]!),
      roles: [{ experiment: 'cygno', role: 'member' }],
    })
    expect(beyond(rightsOf(here.friend.id), mine, hers, members)).toEqual([])
  })

  once(
    'what a credential makes is no wider than the credential, whichever it is and whatever it asks for',
    patience,
    async () => {
      const { world: here, api, test } = await world(open, [{ experiment: 'cygno', role: 'exp-admin' }])
      const { id } = here.me
      const snapshot = () => test.identity.snapshotPart()
      const subjectOfToken = async (token: string) =>
        (await verifyAccessTokenWith(snapshot(), token, Date.now())).subject
      const narrow = { actions: ['data.read' as const], prefix: 'cygno-work/lab/', experiment: 'cygno' }
      const held: Record<string, { token: string; subject: Subject }> = {}
      const hold = async (name: string, token: string) =>
        void (held[name] = { token, subject: await subjectOfToken(token) })
      const tokenOf = async ({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }) =>
        (await test.withToken().token({ body: { accessKeyId, secretAccessKey } })).accessToken
      await hold('narrow key', await tokenOf(await api.createAccessKey({ body: { limits: narrow } })))
      await hold(
        'empty key',
        await tokenOf(await api.createAccessKey({ body: { limits: { actions: [] } } })).catch(() => ''),
      ).catch(() => undefined)
      await hold('whole key', await tokenOf(await api.createAccessKey({ body: {} })))
      for (const work of ['session', 'job'] as const)
        await hold(
          work,
          test.identity.mintToken({
            subjectId: id,
            kind: work,
            actions: ['data.read'],
            experiment: 'cygno',
            lifetimeMs: 60_000,
          }).token,
        )
      const person = everythingOf(subjectOf(snapshot().subjects[id]!))
      expect(Object.keys(held).length).toBeGreaterThanOrEqual(4)
      for (const [name, { token, subject }] of Object.entries(held)) {
        const mine = everythingOf(subject)
        expect(beyond(mine, person), name).toEqual([])
        if (name !== 'whole key') expect(mine.size, name).toBeLessThan(person.size)
        const own = createClient(identityContract, { baseUrl: test.url, headers: { authorization: `Bearer ${token}` } })
        const made = await Promise.all([
          own.createAccessKey({ body: {} }).then(tokenOf, () => undefined),
          own.createAccessKey({ body: { limits: { actions: [...actions] } } }).then(tokenOf, () => undefined),
          own
            .createPersonalToken({
              body: { label: 'x', capabilities: ['data.read', 'data.modify'], lifetimeMs: 86_400_000 },
            })
            .then(
              ({ token: personal }) => personal,
              () => undefined,
            ),
        ])
        for (const each of made.filter((one) => one !== undefined && one !== ''))
          expect(beyond(everythingOf(await subjectOfToken(each!)), mine), name).toEqual([])
        // Nor does it act as its person: no route that changes people, rights or sign-ins lets it in.
        for (const attempt of name === 'narrow key' || name === 'session' ? tries(own, here) : []) {
          await attempt().catch(() => undefined)
          expect(
            beyond(everythingOf(subjectOf(snapshot().subjects[here.friend.id]!)), person, roleOf('guest')),
            name,
          ).toEqual([])
        }
        const said = await own.me({})
        for (const [place, rights] of Object.entries(said.rights))
          for (const action of rights)
            expect([name, place, action, [...mine].some((right) => right.startsWith(`${action} `))]).toEqual([
              name,
              place,
              action,
              true,
            ])
      }

      function roleOf(role: PersonRole): Set<string> {
        return everythingOf({ ...subjectOf(snapshot().subjects[id]!), roles: [{ experiment: 'cygno', role }] })
      }
    },
  )

  once(
    'a token with some of what was approved has only that (T45), and none without a scope (T51)',
    patience,
    async () => {
      const { world: here, test } = await world(open, [{ experiment: 'cygno', role: 'exp-admin' }])
      const { id } = here.me
      for (const action of actions.filter((each) => roleRights['exp-admin'][each] === 'any')) {
        const token = (() => {
          try {
            return test.identity.mintToken({
              subjectId: id,
              kind: 'session',
              actions: [action],
              experiment: 'cygno',
              lifetimeMs: 60_000,
            }).token
          } catch {
            return undefined
          }
        })()
        if (token === undefined) continue
        const { subject } = await verifyAccessTokenWith(test.identity.snapshotPart(), token, Date.now())
        const has = everythingOf(subject)
        expect(
          [...has].filter((right) => !right.startsWith(`${action} `)),
          action,
        ).toEqual([])
      }
      const none = test.identity.mintToken({ subjectId: id, kind: 'session', actions: [], lifetimeMs: 60_000 }).token
      const empty = await verifyAccessTokenWith(test.identity.snapshotPart(), none, Date.now()).then(
        ({ subject }) => everythingOf(subject).size,
        () => 0,
      )
      expect(empty).toBe(0)
    },
  )
})
