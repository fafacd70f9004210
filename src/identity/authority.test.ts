/** Every route of this room, asked by every kind of caller, against one table. A new route without a line here does not compile. */
import { expect, test } from 'vitest'
import { addressOf as addressOfRoute } from '../foundation/client.ts'
import type { CallOf, Route } from '../foundation/contract.ts'
import { forEachDatabase } from '../foundation/testing.ts'
import { identityContract } from './contract.ts'
import { subjectOf } from './snapshot.ts'
import { personRoles } from './subject.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser } from './testing.ts'

const callers = [
  'anonymous',
  'guest',
  'member',
  'operator',
  'manager',
  'exp-admin',
  'site-admin',
  'client',
  'key',
  'session',
] as const
type CallerName = (typeof callers)[number]

const people: CallerName[] = ['guest', 'member', 'operator', 'manager', 'exp-admin', 'site-admin']
const everybody: CallerName[] = [...callers]
const signedIn = callers.filter((name) => name !== 'anonymous')
const admins: CallerName[] = ['exp-admin', 'site-admin']

type Sample = {
  may: readonly CallerName[]
  params?: Record<string, string>
  query?: Record<string, string>
  body?: unknown
}

/** `may`: not answered with 401 or 403. What then happens (404 for made-up ids, 410, 422) is not the matter here. */
const table: Record<keyof (typeof identityContract)['routes'], Sample> = {
  me: { may: signedIn },
  redeemCode: { may: everybody, body: { code: 'x' } },
  token: { may: everybody, body: { code: 'x' } },
  redeemContentTicket: { may: everybody, body: { ticket: 'x' } },
  listSessions: { may: people },
  listAccessKeys: { may: people },
  createAccessKey: { may: people, body: {} },
  revokeAccessKey: { may: signedIn, params: { accessKey: 'CYGNONE' } },
  listClients: { may: admins, query: { experiment: 'cygno' } },
  registerClient: { may: admins, body: { experiment: 'cygno', name: 'daq-2' } },
  revokeClient: { may: signedIn, params: { client: 'none' } },
  listPeople: { may: ['manager', ...admins], query: { experiment: 'cygno' } },
  createPerson: { may: ['site-admin'], body: { name: 'somebody', displayName: 'S' } },
  createSignInLink: { may: ['site-admin'], params: { person: 'none' } },
  setRole: { may: ['manager', ...admins], params: { person: 'none' }, body: { experiment: 'cygno', role: 'guest' } },
  suspendPerson: { may: ['site-admin'], params: { person: 'none' } },
  reinstatePerson: { may: ['site-admin'], params: { person: 'none' } },
  listAudit: { may: people },
  showDevice: { may: people, params: { userCode: 'BBBBBBBB' } },
  decideDevice: { may: people, params: { userCode: 'BBBBBBBB' }, body: { decision: 'approve' } },
  showInteraction: { may: people, params: { interaction: 'none' } },
  decideInteraction: { may: people, params: { interaction: 'none' }, body: { decision: 'approve' } },
  signOut: { may: people },
  signOutEverywhere: { may: people },
}

function cookieOf({ cookies }: Browser): string {
  const [name] = [...cookies.keys()].filter((each) => each.startsWith('cygnet_session'))
  return `${name}=${cookies.get(name!)}`
}

forEachDatabase('who may call what', (open) => {
  test('the table holds', async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const sameOrigin = { 'sec-fetch-site': 'same-origin' }
    const headersOf: Record<string, Record<string, string>> = { anonymous: {} }
    const signIn: Partial<Record<CallerName, () => Promise<void>>> = {
      'site-admin': async () => {
        headersOf['site-admin'] = { ...sameOrigin, cookie: cookieOf(await adminBrowser(test)) }
      },
    }
    for (const role of personRoles) {
      const { id, browser } = await personBrowser(test, role.replace('-', ''), [{ experiment: 'cygno', role }])
      headersOf[role] = { ...sameOrigin, cookie: cookieOf(browser) }
      signIn[role] = async () => {
        const link = await admin.api.createSignInLink({ params: { person: id } })
        const again = test.browser()
        await again.signIn(link.url.split('#code=')[1]!)
        headersOf[role] = { ...sameOrigin, cookie: cookieOf(again) }
      }
    }
    await signIn['site-admin']!()
    const roles = [{ experiment: 'cygno', role: 'exp-admin' as const }]
    const head = await test.identity.createPerson({ name: 'hugo', displayName: 'Hugo', siteAdmin: false, roles })
    const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
    const tokenOf = async ({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }) =>
      bearer((await test.withToken().token({ body: { accessKeyId, secretAccessKey } })).accessToken)
    headersOf.client = await tokenOf(
      (await test.identity.registerClient({ experiment: 'cygno', name: 'daq' })).accessKey,
    )
    headersOf.key = await tokenOf(await test.identity.createAccessKey({ subjectId: head.id }))
    const minted = {
      subjectId: head.id,
      kind: 'session',
      actions: ['data.read', 'jobs.cancel'],
      lifetimeMs: 60_000,
    } as const
    headersOf.session = bearer(test.identity.mintToken(minted).token)

    const wrong: string[] = []
    for (const [name, { may, body, ...call }] of Object.entries(table)) {
      const route: Route = identityContract.routes[name as keyof typeof table]
      for (const caller of callers) {
        if (name.startsWith('signOut')) await signIn[caller]?.()
        const response = await fetch(addressOfRoute(route, call as CallOf<Route>, test.url), {
          method: route.method,
          headers: { ...headersOf[caller], ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        const refused = response.status === 401 || response.status === 403
        if (refused === may.includes(caller))
          wrong.push(`${name} by ${caller}: ${response.status} ${await response.text()}`)
        if (response.status >= 500) wrong.push(`${name} by ${caller}: ${response.status}`)
        if (refused && (response.status === 401) !== (caller === 'anonymous'))
          wrong.push(`${name} by ${caller}: ${response.status}`)
      }
    }
    expect(wrong).toEqual([])
  })

  test('the gate decides about the thing itself when it is told which', async () => {
    const test = await startIdentity(open)
    const { id } = await personBrowser(test, 'mike', [{ experiment: 'cygno', role: 'member' }])
    const subject = subjectOf(test.identity.snapshotPart().subjects[id]!)
    const caller = { id, kind: 'person', name: 'mike', subject } as const
    const ask = (action: string, about?: Record<string, string>) => () =>
      test.identity.gate.require(caller, action, 'cygno', about)
    expect(ask('jobs.cancel', { ownerId: id })).not.toThrow()
    expect(ask('jobs.cancel', { ownerId: 'other' })).toThrow('You may not jobs.cancel in cygno.')
    expect(ask('data.modify', { bucket: 'cygno-work' })).not.toThrow()
    expect(ask('data.modify', { bucket: 'cygno-raw' })).toThrow()
    expect(ask('data.modify', { bucket: 'cygno-raw', experiment: 'demo' })).toThrow()
    expect(ask('constructor')).toThrow()
    expect(ask('toString')).toThrow()
  })
})
