import { expect, test } from 'vitest'
import type { Fault } from '../../foundation/errors.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { sweepAccounts } from './lifecycle.ts'
import { dayMs, roomOf, startInvitations, type TestInvitations } from './testing.ts'

const refused = (code: string) => expect.objectContaining<Partial<Fault>>({ code: `identity.${code}` })

async function stateOf({ kysely }: TestInvitations, id: string): Promise<string> {
  const row = await kysely.selectFrom('identity_subject').select('state').where('id', '=', id).executeTakeFirstOrThrow()
  return row.state
}

/** Templates of mails to an address, in the order in which they were made. */
async function mailsTo({ kysely }: TestInvitations, recipient: string): Promise<string[]> {
  const rows = await kysely
    .selectFrom('identity_mail')
    .select('template')
    .where('recipient', '=', recipient)
    .orderBy('id')
    .execute()
  return rows.map((row) => row.template)
}

async function startWithGuest(open: Parameters<typeof startInvitations>[0]) {
  const test = await startInvitations(open)
  await test.manager.browser.api.setContact({ body: { email: 'mara@lab.example', language: 'en' } })
  const { url } = await test.invite({ addressedTo: 'anna@uni.example' })
  const anna = await test.accept(url, 'Anna Rossi')
  return { test, anna }
}

forEachDatabase('the life of an account', (open) => {
  test('a year: notices, read-only, suspended, archived, erased; a sweep may come twice or late', async () => {
    const { test, anna } = await startWithGuest(open)
    const { identity, clock, may, kysely } = test
    const uid = await identity.platformUidOf(anna.id)
    const room = await roomOf(test)
    const startMs = clock.nowMs()
    const states: [number, string][] = []
    const mails = new Map<string, string>()
    // Every day around what happens, else every eleventh.
    const turns = [152, 168, 179, 182, 196, 286, 651]
    for (let day = 0; day <= 660; day += 1) {
      if (day % 11 !== 0 && !turns.some((turn) => Math.abs(turn - day) <= 1)) continue
      clock.set(startMs + day * dayMs)
      await sweepAccounts(room)
      if (day % 22 === 0) await sweepAccounts(room)
      for (const row of await kysely.selectFrom('identity_mail').selectAll().execute())
        mails.set(row.id, `${row.template} to ${row.recipient}`)
      const state = await stateOf(test, anna.id)
      if (state !== states.at(-1)?.[1]) states.push([day, state])
      if (day === 153) expect([...mails.values()]).toContain('access-ends to anna@uni.example')
      if (state === 'active' && day % 77 === 0) expect(may(anna.id, 'sessions.start')).toBe(true)
      if (state === 'grace') {
        expect(may(anna.id, 'sessions.start')).toBe(false)
        expect(may(anna.id, 'logbook.read')).toBe(true)
      }
    }
    expect(states.map(([, state]) => state)).toEqual(['active', 'grace', 'suspended', 'archived', 'erased'])
    expect(states.map(([day]) => day)).toEqual([0, 182, 196, 286, 651])
    // Each notice once, to both; of the address nothing is left after the end.
    expect([...mails.values()].toSorted()).toEqual([
      'access-ended to anna@uni.example',
      ...Array(3).fill('access-ends to anna@uni.example'),
      'account-closed to anna@uni.example',
      ...Array(3).fill('guest-access-ends to mara@lab.example'),
      'guest-joined to mara@lab.example',
      'invitation to anna@uni.example',
    ])
    expect(await mailsTo(test, 'anna@uni.example')).toEqual([])
    const gone = await kysely
      .selectFrom('identity_subject')
      .selectAll()
      .where('id', '=', anna.id)
      .executeTakeFirstOrThrow()
    expect(gone).toMatchObject({ name: `former${uid}`, display_name: `Former member ${uid}` })
    const everything = JSON.stringify([
      await kysely.selectFrom('identity_account').selectAll().execute(),
      await kysely.selectFrom('identity_invitation').selectAll().execute(),
      await kysely.selectFrom('identity_terms_acceptance').selectAll().execute(),
    ])
    expect(everything).not.toContain('anna@uni.example')
    // Neither the uid nor the name is ever given again.
    const { id } = await identity.createPerson({ name: 'bea', displayName: 'Bea', siteAdmin: false, roles: [] })
    expect(await identity.platformUidOf(id)).toBeGreaterThan(uid)
    for (const name of ['arossi', `former${uid}`, 'former7'])
      await expect(identity.createPerson({ name, displayName: 'X', siteAdmin: false, roles: [] })).rejects.toEqual(
        refused('name_taken'),
      )
  })

  test('a platform that slept for a year gives every stage its whole time, and one notice in place of three', async () => {
    const { test, anna } = await startWithGuest(open)
    await test.later(180 * dayMs)
    expect(await mailsTo(test, 'anna@uni.example')).toEqual(['invitation', 'access-ends'])
    await test.later(400 * dayMs)
    expect(await stateOf(test, anna.id)).toBe('grace')
    await test.later(400 * dayMs)
    expect(await stateOf(test, anna.id)).toBe('suspended')
    // The clock is put back: what has ended stays so, and nothing happens twice.
    const mails = await mailsTo(test, 'anna@uni.example')
    test.clock.advance(-3_600_000)
    await test.identity.sweep()
    await (await test.reopen()).sweep()
    expect(await stateOf(test, anna.id)).toBe('suspended')
    expect(await mailsTo(test, 'anna@uni.example')).toEqual(mails)
  })

  test('one click renews, also out of grace and suspension, for as long as the policy allows', async () => {
    const { test, anna } = await startWithGuest(open)
    const { manager, clock, may, later } = test
    const renew = (accessEndMs?: number) =>
      manager.browser.api.renewGuest({
        params: { person: anna.id },
        body: accessEndMs === undefined ? {} : { accessEndMs },
      })
    await expect(renew(clock.nowMs() + 366 * dayMs)).rejects.toEqual(refused('beyond_ceiling'))
    await later(190 * dayMs)
    await later(0)
    expect(await stateOf(test, anna.id)).toBe('grace')
    // He can come in to read, and start nothing.
    const { url } = await test.admin.api.createSignInLink({ params: { person: anna.id } })
    const reader = test.browser()
    await reader.signIn(url.split('#code=')[1]!)
    expect((await reader.api.me()).rights['cygno']).toContain('logbook.read')
    expect((await reader.api.me()).rights['cygno']).not.toContain('sessions.start')
    await expect(reader.api.createAccessKey({ body: {} })).rejects.toEqual(refused('not_allowed'))
    expect((await renew()).state).toBe('active')
    expect(may(anna.id, 'sessions.start')).toBe(true)
    await later(185 * dayMs)
    await later(15 * dayMs)
    expect(await stateOf(test, anna.id)).toBe('suspended')
    const renewed = await renew()
    expect(renewed).toMatchObject({
      state: 'active',
      accessEndMs: clock.nowMs() + 182 * dayMs,
      groups: ['/cygno/students'],
    })
    expect(may(anna.id, 'sessions.start')).toBe(true)
    // Archived is for good.
    for (const days of [183, 15, 91]) await later(days * dayMs)
    expect(await stateOf(test, anna.id)).toBe('archived')
    await expect(renew()).rejects.toEqual(refused('not_in_this_state'))
    await expect(test.admin.api.reinstatePerson({ params: { person: anna.id } })).rejects.toEqual(
      refused('not_in_this_state'),
    )
  })

  test('strangers neither renew nor end; whoever an admin has suspended no sponsor brings back', async () => {
    const { test, anna } = await startWithGuest(open)
    const { join, manager, admin } = test
    const otto = await join('otto', '/cygno/students', 'member')
    const params = { person: anna.id }
    for (const browser of [otto.browser, anna.browser]) {
      await expect(browser.api.renewGuest({ params, body: {} })).rejects.toEqual(refused('no_such_guest'))
      await expect(browser.api.endAccess({ params })).rejects.toEqual(refused('no_such_guest'))
    }
    await expect(manager.browser.api.archivePerson({ params })).rejects.toEqual(refused('not_allowed'))
    await admin.api.suspendPerson({ params })
    await expect(manager.browser.api.renewGuest({ params, body: {} })).rejects.toEqual(refused('not_in_this_state'))
    await expect(admin.api.erasePerson({ params })).rejects.toEqual(refused('not_in_this_state'))
    await admin.api.archivePerson({ params })
    expect(await admin.api.erasePerson({ params })).toMatchObject({ state: 'erased', email: null })
    expect((await admin.api.erasePerson({ params })).state).toBe('erased')
  })

  test('a guest manages nothing, in any group; invited as a member he is no guest any more', async () => {
    const { test, anna } = await startWithGuest(open)
    const { head, clock, visit } = test
    const give = (role: 'manager' | 'exp-admin' | 'operator' | 'member', group = '/cygno/students') =>
      head.browser.api.setMember({ body: { group, person: 'arossi', role } })
    for (const role of ['manager', 'operator'] as const)
      await expect(give(role)).rejects.toEqual(refused('invalid_membership'))
    const body = { experiment: 'cygno', group: '/cygno/students', role: 'manager' } as const
    const { url } = await head.browser.api.createInvitation({ body })
    const opened = await visit(url)
    for (const [name, value] of opened.cookies) anna.browser.cookies.set(name, value)
    await anna.browser.api.joinAsMyself({ body: { termsVersion: 0 } })
    expect(await anna.browser.api.showContact({})).toMatchObject({ sponsor: null, accessEndMs: null })
    clock.advance(400 * dayMs)
    await test.identity.sweep()
    expect(await stateOf(test, anna.id)).toBe('active')
  })

  test('addresses are not kept longer than somebody may ask about them', async () => {
    const { test } = await startWithGuest(open)
    const { invite, clock, kysely } = test
    await invite({ addressedTo: 'nobody@uni.example' })
    clock.advance(120 * dayMs)
    await test.identity.sweep()
    clock.advance(120 * dayMs)
    await test.identity.sweep()
    const rows = JSON.stringify([
      await kysely.selectFrom('identity_invitation').selectAll().execute(),
      await kysely.selectFrom('identity_mail').selectAll().execute(),
    ])
    expect(rows).not.toContain('nobody@uni.example')
  })
})
