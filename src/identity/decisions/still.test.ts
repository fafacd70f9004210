/** What an answer that goes on for long is asked again: is the caller still who he was, and what may he now. */
import type { FastifyRequest } from 'fastify'
import { expect, test } from 'vitest'
import { fakeClock } from '../../foundation/time.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { signContentCookie, verifyContentCookie } from '../content-access.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser } from '../testing.ts'

const byCookie = ({ cookies }: Browser) =>
  ({ method: 'GET', headers: { cookie: [...cookies].map((pair) => pair.join('=')).join('; ') } }) as FastifyRequest
const byToken = (token: string) => ({ method: 'GET', headers: { authorization: `Bearer ${token}` } }) as FastifyRequest

forEachDatabase('a caller who stays', (open) => {
  test('has the rights of now, until he signs out or is suspended', async () => {
    const test = await startIdentity(open)
    const { gate } = test.identity
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const request = byCookie(anna.browser)
    const caller = await gate.authenticate(request)
    const now = async () => await gate.still!(request, caller)
    expect(() => gate.require(caller, 'logbook.read', 'cygno')).not.toThrow()
    let changes = 0
    const unfollow = gate.onChange!(() => void changes++)
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: null } })
    expect(changes).toBeGreaterThan(0)
    unfollow()
    const later = await now()
    expect(() => gate.require(later, 'logbook.read', 'cygno')).toThrow('You may not logbook.read in cygno.')
    await anna.browser.api.signOut()
    await expect(now()).rejects.toMatchObject({ code: 'identity.sign_in_needed' })
    const again = await personBrowser(test, 'bert', [])
    const staying = await gate.authenticate(byCookie(again.browser))
    await test.identity.gate.still!(byCookie(again.browser), staying)
    await admin.api.suspendPerson({ params: { person: again.id }, body: {} as never })
    await expect(gate.still!(byCookie(again.browser), staying)).rejects.toMatchObject({ status: 401 })
  })

  test('by a token goes on when it has run out, and not when what it came from is gone', async () => {
    const clock = fakeClock(Date.now())
    const test = await startIdentity(open, { clock })
    const { identity } = test
    const { gate } = identity
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const stay = async () => {
      const { accessKeyId, secretAccessKey } = await identity.createAccessKey({ subjectId: anna.id })
      const { accessToken } = await test.withToken().token({ body: { accessKeyId, secretAccessKey } })
      const request = byToken(accessToken)
      const caller = await gate.authenticate(request)
      return { accessKeyId, still: () => gate.still!(request, caller) }
    }
    const one = await stay()
    await admin.api.revokeAccessKey({ params: { accessKey: one.accessKeyId } })
    await expect(one.still()).rejects.toMatchObject({ status: 401 })
    const two = await stay()
    clock.advance(2 * 3_600_000)
    const caller = await two.still()
    expect(() => gate.require(caller, 'logbook.read', 'cygno')).not.toThrow()
    expect(() => gate.require(caller, 'people.manage', 'cygno')).toThrow()
    const root = await adminBrowser(test)
    await root.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: null } })
    await expect(two.still()).rejects.toMatchObject({ status: 401 })
  })
  test('a notebook opened in a browser is closed by the sign-out there, and by no other; idling closes nothing', async () => {
    const clock = fakeClock(Date.now())
    const test = await startIdentity(open, { clock })
    const { identity } = test
    const admin = await adminBrowser(test)
    const anna = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'member' }])
    const { url } = await admin.api.createSignInLink({ params: { person: anna.id } })
    const second = test.browser()
    await second.signIn(url.split('#code=')[1]!)
    const cookieOf = async (browser: Browser) => {
      const { items } = await browser.api.listSessions()
      const windowId = items.find(({ current }) => current)!.id
      const ticket = await identity.createContentTicket(anna.id, 's1', windowId)
      const access = await browser.api.redeemContentTicket({ body: { ticket } })
      return signContentCookie(identity.snapshotPart(), access)
    }
    const isOpen = (cookie: string) =>
      verifyContentCookie(identity.snapshotPart(), cookie, { sessionId: 's1', nowMs: clock.nowMs() }) !== undefined
    const [one, other] = [await cookieOf(anna.browser), await cookieOf(second)]
    expect([isOpen(one), isOpen(other)]).toEqual([true, true])
    await anna.browser.api.signOut()
    expect([isOpen(one), isOpen(other)]).toEqual([false, true])
    clock.advance(2 * 3_600_000)
    await identity.sweep()
    expect([isOpen(one), isOpen(other)]).toEqual([false, true])
    // A ticket for a browser session that is not the person's is for none.
    const { items } = await (await adminBrowser(test)).api.listSessions()
    const foreign = await identity.createContentTicket(anna.id, 's1', items[0]!.id)
    const access = await second.api.redeemContentTicket({ body: { ticket: foreign } })
    expect(access.windowId).toBeUndefined()
  })
})
