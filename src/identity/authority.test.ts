/** Every route of this room, asked by every kind of caller, against one table (safety/route-samples.ts). */
import { expect, test } from 'vitest'
import { addressOf as addressOfRoute } from '../foundation/client.ts'
import type { CallOf, Route } from '../foundation/contract.ts'
import { forEachDatabase } from '../foundation/testing.ts'
import { identityContract } from './contract.ts'
import { callers, samples, whoMay, workActions, type CallerName } from './safety/route-samples.ts'
import { subjectOf } from './snapshot.ts'
import { personRoles } from './subject.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser } from './testing.ts'

function cookieOf({ cookies }: Browser): string {
  const [name] = [...cookies.keys()].filter((each) => each.startsWith('cygnet_session'))
  return `${name}=${cookies.get(name!)}`
}

forEachDatabase('who may call what', (open, kind) => {
  // Nothing in it depends on the kind of database; the other kind when there is time.
  test.runIf(kind === 'sqlite' || process.env.CYGNET_LONG)('the table holds', { timeout: 600_000 }, async () => {
    const test = await startIdentity(open)
    const admin = await adminBrowser(test)
    const sameOrigin = { 'sec-fetch-site': 'same-origin' }
    const headersOf: Record<string, Record<string, string>> = { anonymous: sameOrigin }
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
    const bearer = (token: string) => ({ ...sameOrigin, authorization: `Bearer ${token}` })
    const tokenOf = async ({ accessKeyId, secretAccessKey }: { accessKeyId: string; secretAccessKey: string }) =>
      bearer((await test.withToken().token({ body: { accessKeyId, secretAccessKey } })).accessToken)
    headersOf.client = await tokenOf(
      (await test.identity.registerClient({ experiment: 'cygno', name: 'daq' })).accessKey,
    )
    headersOf.key = await tokenOf(await test.identity.createAccessKey({ subjectId: head.id }))
    const minted = {
      subjectId: head.id,
      kind: 'session',
      actions: workActions,
      lifetimeMs: 60_000,
    } as const
    headersOf.session = bearer(test.identity.mintToken(minted).token)
    headersOf.job = bearer(test.identity.mintToken({ ...minted, kind: 'job' }).token)

    const guest = await personBrowser(test, 'gerda', [{ experiment: 'cygno', role: 'guest' }])

    const wrong: string[] = []
    // What changes the ground for the others comes last.
    const last = ['breakGlass', 'publishTerms', 'signOut', 'signOutEverywhere']
    const names = Object.keys(samples) as (keyof typeof samples)[]
    for (const name of names.toSorted((one, other) => last.indexOf(one) - last.indexOf(other))) {
      const { may: _may, otherwise, body, ...call } = samples[name]
      const may = whoMay(name)
      const route: Route = identityContract.routes[name]
      for (const caller of callers) {
        if (name.startsWith('signOut')) await signIn[caller]?.()
        const address = addressOfRoute(route, call as CallOf<Route>, test.url).replace('%40guest', guest.id)
        const response = await fetch(address, {
          method: route.method,
          headers: { ...headersOf[caller], ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
          ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        })
        const text = await response.text()
        const isOtherwise = otherwise !== undefined && text.includes(`"${otherwise}"`)
        const refused = (response.status === 401 || response.status === 403) && !isOtherwise
        if (refused === may.includes(caller))
          wrong.push(`${name} by ${caller}: ${response.status} ${text.slice(0, 300)}`)
        if (response.status >= 500 && !isOtherwise) wrong.push(`${name} by ${caller}: ${response.status}`)
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
