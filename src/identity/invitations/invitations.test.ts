import { expect, test } from 'vitest'
import type { Fault } from '../../foundation/errors.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { policyWith } from '../groups/testing.ts'
import { acceptInvitation } from './join.ts'
import { newInvitationCode } from './invitation-code.ts'
import { accountNames } from './newcomer-name.ts'
import { codeOf, dayMs, roomOf, startInvitations } from './testing.ts'

const refused = (code: string) => expect.objectContaining<Partial<Fault>>({ code: `identity.${code}` })
const over = refused('invitation_over')

test('an account name is made of what somebody is called', () => {
  const first = (name: string, suggested?: string) => [...accountNames(name, suggested)].slice(0, 3)
  expect(first('Anna Rossi')).toEqual(['arossi', 'annarossi', 'arossi2'])
  expect(first('Zoë')).toEqual(['zoe', 'zoe2', 'zoe3'])
  expect(first('Ωμέγα')).toEqual(['guest2', 'guest3', 'guest4'])
  expect(first('李 四', 'Li.Si')).toEqual(['lisi', 'lisi2', 'lisi3'])
  expect(first('x'.repeat(100))[0]).toBe('x'.repeat(16))
})

test('a code has 160 random bits in letters that survive a mail', () => {
  const codes = Array.from({ length: 200 }, newInvitationCode)
  for (const code of codes) expect(code).toMatch(/^[A-Z2-7]{32}$/)
  expect(new Set(codes).size).toBe(200)
  for (let place = 0; place < 32; place += 1) expect(new Set(codes.map((code) => code[place])).size).toBeGreaterThan(16)
})

forEachDatabase('invitations', (open) => {
  test('from the link to a signed-in guest, with an end and a sponsor', async () => {
    const { invite, visit, manager, may, clock, identity, kysely, logLines } = await startInvitations(open)
    const made = await invite({ message: 'Welcome', addressedTo: 'anna@uni.example' })
    expect(made.url).toMatch(/\/join#code=[A-Z2-7]{32}$/)
    const browser = await visit(made.url)
    const shown = await browser.api.showJoin({})
    expect(shown).toMatchObject({
      experiment: 'cygno',
      group: '/cygno/students',
      role: 'guest',
      sponsor: 'mara',
      message: 'Welcome',
      state: 'open',
      accessEndMs: clock.nowMs() + 182 * dayMs,
    })
    expect(shown.terms.text).toContain('Your account is yours alone')
    const joined = await browser.api.joinByCode({ body: { displayName: 'Anna Rossi', termsVersion: 0 } })
    expect(joined).toMatchObject({ name: 'arossi', experiment: 'cygno' })
    const me = await browser.api.me()
    expect(me).toMatchObject({ name: 'arossi', displayName: 'Anna Rossi', siteAdmin: false })
    expect(await identity.platformUidOf(me.id)).toBeGreaterThanOrEqual(300_000)
    expect(may(me.id, 'sessions.start')).toBe(true)
    expect(may(me.id, 'people.manage', { group: '/cygno/students' })).toBe(false)
    const { items } = await manager.browser.api.listGuests({})
    expect(items).toMatchObject([
      { name: 'arossi', state: 'active', groups: ['/cygno/students'], email: 'anna@uni.example' },
    ])
    expect((await browser.api.showJoin({})).state).toBe('in')
    // Once, and never again.
    await expect(visit(made.url)).rejects.toEqual(over)
    // The code is nowhere: not in the database, not in the log, not in the audit.
    const rows = JSON.stringify([
      await kysely.selectFrom('identity_invitation').selectAll().execute(),
      await kysely.selectFrom('identity_audit').selectAll().execute(),
      await kysely.selectFrom('identity_mail').selectAll().execute(),
    ])
    expect(rows).not.toContain(codeOf(made.url))
    expect(logLines.join()).not.toContain(codeOf(made.url))
  })

  test('B-51: opening accepts nothing; expired, revoked, used and guessed codes are refused alike', async () => {
    const {
      invite,
      visit,
      manager,
      browser: newBrowser,
      clock,
      kysely,
      url: platform,
      accept,
    } = await startInvitations(open)
    const scanned = await invite()
    // A scanner of mails fetches the page and even runs it: nothing happens, however often.
    const people = await kysely.selectFrom('identity_subject').select('id').execute()
    for (let time = 0; time < 3; time += 1) await visit(scanned.url)
    expect((await fetch(`${platform}/api/identity/join/open`)).status).toBe(404)
    expect(await kysely.selectFrom('identity_subject').select('id').execute()).toEqual(people)
    const listed = await manager.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    expect(listed.items[0]).toMatchObject({ state: 'open', used: 0 })

    const revoked = await invite()
    const opened = await visit(revoked.url)
    await manager.browser.api.revokeInvitation({ params: { invitation: revoked.id } })
    await expect(visit(revoked.url)).rejects.toEqual(over)
    // Whoever had opened it already comes too late as well.
    const body = { displayName: 'Late', termsVersion: 0 }
    await expect(opened.api.joinByCode({ body })).rejects.toEqual(over)

    const expired = await invite({ lifetimeMs: 60_000 })
    clock.advance(60_000)
    await expect(visit(expired.url)).rejects.toEqual(over)

    const used = await invite()
    const rival = await visit(used.url)
    await accept(used.url, 'Anna Rossi')
    await expect(visit(used.url)).rejects.toEqual(over)
    await expect(rival.api.joinByCode({ body })).rejects.toEqual(over)

    const guesser = newBrowser()
    const answers: number[] = []
    for (let guess = 0; guess < 21; guess += 1) {
      const answer = await guesser.fetch('/api/identity/join/open', {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ code: newInvitationCode() }),
      })
      answers.push(answer.status)
    }
    expect(new Set(answers.slice(0, 10))).toEqual(new Set([410]))
    expect(answers.at(-1)).toBe(429)
  })

  test('two who accept at the same moment: one is in', async () => {
    const { invite, visit } = await startInvitations(open)
    const { url } = await invite()
    const rivals = await Promise.all([visit(url), visit(url), visit(url)])
    const results = await Promise.allSettled(
      rivals.map((browser, index) =>
        browser.api.joinByCode({ body: { displayName: `Rival ${'abc'[index]}`, termsVersion: 0 } }),
      ),
    )
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    for (const result of results) if (result.status === 'rejected') expect(result.reason).toEqual(over)
  })

  test('B-51: whom an institute knows by another address waits for the sponsor, who says by name who it is', async () => {
    const started = await startInvitations(open)
    const { invite, visit, manager, head, join, kysely } = started
    const stranger = await join('otto', '/cygno/students', 'member')
    const room = await roomOf(started)
    const vouched = async (url: string, email: string | undefined, subject: string) => {
      const browser = await visit(url)
      await browser.api.acceptJoinTerms({ body: { version: 0 } })
      const ticket = [...browser.cookies].find(([name]) => name.startsWith('cygnet_join'))![1]
      const told = { issuer: 'https://iam.example', subject, label: email ?? subject, assurance: '' }
      const newcomer = { displayName: 'Anna Rossi', ...(email !== undefined && { email }) }
      const origin = { actor: { id: 'n', kind: 'anonymous', name: 'n' }, address: '192.0.2.1', requestId: 'r' }
      const proof = { method: 'institute', identity: told } as const
      const accepted = await room.change((trx) => acceptInvitation(room, trx, ticket, newcomer, proof, origin))
      return { browser, ...accepted }
    }
    const made = await invite({ addressedTo: 'anna@uni.example' })
    const other = await vouched(made.url, 'anna@elsewhere.example', 'one')
    expect(other.personId).toBeUndefined()
    expect((await other.browser.api.showJoin({})).state).toBe('waiting')
    await expect(other.browser.api.me()).rejects.toThrow()
    const { items } = await manager.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    const [waiting] = items[0]!.waiting
    expect(waiting).toMatchObject({
      displayName: 'Anna Rossi',
      email: 'anna@elsewhere.example',
      issuer: 'https://iam.example',
    })
    const params = { confirmation: waiting!.id }
    // Neither a stranger nor a habit of clicking lets anybody in.
    const confirm = (displayName: string) => ({ params, body: { decision: 'confirm', displayName } as const })
    await expect(stranger.browser.api.decideJoin(confirm('Anna Rossi'))).rejects.toEqual(refused('no_such_invitation'))
    await expect(manager.browser.api.decideJoin(confirm('yes'))).rejects.toEqual(refused('invitation_refused'))
    await manager.browser.api.decideJoin(confirm(' anna  rossi'))
    expect((await other.browser.api.showJoin({})).state).toBe('in')
    const bound = await kysely.selectFrom('identity_identity').selectAll().execute()
    expect(bound).toMatchObject([{ issuer: 'https://iam.example', subject: 'one' }])
    await expect(manager.browser.api.decideJoin(confirm('Anna Rossi'))).rejects.toEqual(refused('not_in_this_state'))

    // The right address, in any case of letters, needs no word; nor does one that nobody has verified.
    const second = await vouched((await invite({ addressedTo: 'Bea@Uni.example' })).url, 'bea@uni.EXAMPLE', 'two')
    expect(second.personId).toBeDefined()
    const third = await invite({ addressedTo: 'c@uni.example' })
    expect((await vouched(third.url, undefined, 'three')).personId).toBeDefined()

    // Refused: the invitation is still there for the one who was meant.
    const fourth = await invite({ addressedTo: 'dora@uni.example' })
    await vouched(fourth.url, 'x@evil.example', 'four')
    const list = await head.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    const evil = list.items.find(({ id }) => id === fourth.id)!.waiting[0]!
    const refuse = { decision: 'refuse', displayName: '' } as const
    await manager.browser.api.decideJoin({ params: { confirmation: evil.id }, body: refuse })
    expect((await vouched(fourth.url, 'dora@uni.example', 'five')).personId).toBeDefined()
    // Somebody known by the same identity is the same person, whatever he is called.
    const fifth = await invite()
    const again = await vouched(fifth.url, 'bea@uni.example', 'two')
    expect(again.personId).toBe(second.personId)
    // Also somebody with an account is only whom the invitation names.
    const sixth = await invite({ addressedTo: 'anna@uni.example' })
    expect((await vouched(sixth.url, 'bea@uni.example', 'two')).personId).toBeUndefined()
  })

  test('an invitation for an institute is for no other way in', async () => {
    const { invite, visit } = await startInvitations(open)
    const browser = await visit((await invite({ issuers: ['https://iam.example'] })).url)
    const body = { displayName: 'Anna Rossi', termsVersion: 0 }
    await expect(browser.api.joinByCode({ body })).rejects.toEqual(refused('other_institute'))
  })

  test('B-52: nobody invites beyond himself, a guest nobody, and policies hold for the end', async () => {
    const { invite, accept, head, manager, admin, join, clock } = await startInvitations(open)
    const beyond = refused('beyond_ceiling')
    for (const role of ['exp-admin', 'manager', 'operator', 'data-manager', 'auditor'] as const)
      await expect(invite({ role })).rejects.toEqual(beyond)
    await expect(invite({ group: '/cygno' })).rejects.toEqual(beyond)
    await expect(invite({ group: '/cygno/none' })).rejects.toEqual(refused('no_such_group'))
    await expect(invite({ group: '/other/students' })).rejects.toEqual(refused('no_such_group'))
    await expect(invite({ accessEndMs: clock.nowMs() + 366 * dayMs })).rejects.toEqual(beyond)
    await expect(invite({ accessEndMs: clock.nowMs() - 1 })).rejects.toEqual(refused('invitation_refused'))
    const member = await join('otto', '/cygno/students', 'member')
    const byMember = { body: { experiment: 'cygno', group: '/cygno/students', role: 'guest' } } as const
    await expect(member.browser.api.createInvitation(byMember)).rejects.toEqual(beyond)
    const guest = await accept((await invite()).url, 'Anna Rossi')
    await expect(guest.browser.api.createInvitation(byMember)).rejects.toEqual(beyond)
    await expect(invite({ sponsor: guest.id })).rejects.toEqual(beyond)
    await expect(invite({ sponsor: member.id })).rejects.toEqual(beyond)

    const write = async (policy: Parameters<typeof policyWith>[0] & Record<string, unknown>) => {
      const { version } = await head.browser.api.showPolicy({ query: { group: '/cygno/students' } })
      const { ceiling, grants, ...rules } = policy
      const parts = { ...(ceiling && { ceiling }), ...(grants && { grants }) }
      const document = { ...policyWith(parts), ...rules }
      await head.browser.api.applyPolicy({
        body: { group: '/cygno/students', ifVersion: version, policy: document, note: 'test' },
      })
    }
    await write({ ceiling: { membershipMaxDays: 30 } })
    await expect(invite({ accessEndMs: clock.nowMs() + 31 * dayMs })).rejects.toEqual(beyond)
    const short = await manager.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    expect((await invite()).id).not.toBe(short.items[0]!.id)
    const { items } = await manager.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    expect(items[0]!.accessEndMs).toBe(clock.nowMs() + 30 * dayMs)

    // Sponsors that the policy names: members may have guests, and nothing else.
    await write({ sponsors: ['role:member', 'role:manager'], sponsorLimit: 1 })
    const mine = await member.browser.api.createInvitation(byMember)
    await expect(member.browser.api.createInvitation(byMember)).rejects.toEqual(refused('sponsor_limit'))
    await expect(member.browser.api.createInvitation({ body: { ...byMember.body, role: 'member' } })).rejects.toEqual(
      beyond,
    )
    const theirs = await member.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    expect(theirs.items.map(({ id }) => id)).toEqual([mine.id])
    // What the policy says when the guest comes counts, not what it said when the link was made.
    await write({ ceiling: { guestAllowed: false }, sponsors: ['role:member'] })
    await expect(accept(mine.url, 'Bea Bianchi')).rejects.toEqual(beyond)
    await write({ sponsors: [] })
    await expect(accept(mine.url, 'Bea Bianchi')).rejects.toEqual(over)
    await expect(
      admin.api.createInvitation({ body: { experiment: 'cygno', role: 'exp-admin' } }),
    ).resolves.toBeDefined()
  })

  test('renewing gives a new link and kills the old one; declining tells the sponsor', async () => {
    const { invite, visit, accept, manager, later, kysely } = await startInvitations(open)
    await manager.browser.api.setContact({ body: { email: 'mara@lab.example', language: 'it' } })
    const made = await invite({ addressedTo: 'anna@uni.example' })
    await later(4 * dayMs)
    await expect(visit(made.url)).rejects.toEqual(over)
    const expired = await manager.browser.api.listInvitations({ query: { experiment: 'cygno' } })
    expect(expired.items[0]).toMatchObject({ state: 'expired' })
    const renewed = await manager.browser.api.renewInvitation({ params: { invitation: made.id }, body: {} })
    await expect(visit(made.url)).rejects.toEqual(over)
    const browser = await visit(renewed.url)
    await browser.api.declineJoin()
    await expect(visit(renewed.url)).rejects.toEqual(over)
    const mails = await kysely
      .selectFrom('identity_mail')
      .select(['recipient', 'template', 'state', 'language'])
      .orderBy('id')
      .execute()
    expect(mails).toMatchObject([
      { recipient: 'anna@uni.example', template: 'invitation', state: 'dropped' },
      { recipient: 'anna@uni.example', template: 'invitation', state: 'dropped' },
      { recipient: 'mara@lab.example', template: 'invitation-declined', state: 'waiting', language: 'it' },
    ])
    const again = await manager.browser.api.renewInvitation({ params: { invitation: made.id }, body: {} })
    await accept(again.url, 'Anna Rossi')
    const late = manager.browser.api.renewInvitation({ params: { invitation: made.id }, body: {} })
    await expect(late).rejects.toEqual(refused('not_in_this_state'))
  })

  test('a class link has seats, one end for all, a live list, and ends all with one click', async () => {
    const { visit, accept, manager, clock, may, join } = await startInvitations(open)
    const accessEndMs = clock.nowMs() + 60 * dayMs
    const body = { experiment: 'cygno', group: '/cygno/students', seats: 2, accessEndMs }
    const member = await join('otto', '/cygno/students', 'member')
    await expect(member.browser.api.createClassLink({ body })).rejects.toEqual(refused('not_allowed'))
    const link = await manager.browser.api.createClassLink({ body })
    const [one, other] = [await accept(link.url, 'Anna Rossi'), await accept(link.url, 'Anna Rossi')]
    expect([one.name, other.name]).toEqual(['arossi', 'annarossi'])
    await expect(visit(link.url)).rejects.toEqual(over)
    const params = { invitation: link.id }
    const live = await manager.browser.api.showClass({ params })
    expect(live.people.map(({ name, accessEndMs: endMs }) => [name, endMs])).toEqual([
      ['annarossi', accessEndMs],
      ['arossi', accessEndMs],
    ])
    expect(live.invitation).toMatchObject({ used: 2, maxUses: 2, state: 'used' })
    await expect(member.browser.api.endClass({ params })).rejects.toEqual(refused('not_allowed'))
    expect(await manager.browser.api.endClass({ params })).toEqual({ ended: 2 })
    expect(await manager.browser.api.endClass({ params })).toEqual({ ended: 0 })
    for (const { id } of [one, other]) {
      expect(may(id, 'sessions.start')).toBe(false)
      expect(may(id, 'logbook.read')).toBe(true)
    }
  })

  test('somebody with an account accepts with it and keeps what he has', async () => {
    const { invite, visit, join, may, kysely } = await startInvitations(open)
    const otto = await join('otto', '/cygno/students', 'guest')
    const opened = await visit((await invite({ role: 'member' })).url)
    for (const [name, value] of opened.cookies) otto.browser.cookies.set(name, value)
    await otto.browser.api.joinAsMyself({ body: { termsVersion: 0 } })
    expect(may(otto.id, 'logbook.write')).toBe(true)
    const accounts = await kysely.selectFrom('identity_account').selectAll().where('person_id', '=', otto.id).execute()
    expect(accounts).toMatchObject([{ guest: 0, access_end_ms: null }])
  })

  test('new rules of the site stop what starts, not what runs, until they are agreed to', async () => {
    const { invite, accept, visit, admin, may } = await startInvitations(open)
    const anna = await accept((await invite()).url, 'Anna Rossi')
    const opened = await visit((await invite()).url)
    await expect(anna.browser.api.publishTerms({ body: { text: 'mine' } })).rejects.toEqual(refused('not_allowed'))
    const { version } = await admin.api.publishTerms({ body: { text: 'Be kind.' } })
    expect(version).toBe(1)
    expect(may(anna.id, 'sessions.start')).toBe(false)
    expect(may(anna.id, 'jobs.submit')).toBe(false)
    expect(may(anna.id, 'data.read', { bucket: 'cygno-work' })).toBe(true)
    expect(await anna.browser.api.showTerms({})).toMatchObject({ version: 1, acceptedVersion: 0, due: true })
    await expect(anna.browser.api.acceptTerms({ body: { version: 0 } })).rejects.toEqual(refused('terms_changed'))
    await anna.browser.api.acceptTerms({ body: { version: 1 } })
    expect(may(anna.id, 'sessions.start')).toBe(true)
    // A newcomer who had read the old ones reads again.
    const join = (termsVersion: number) => opened.api.joinByCode({ body: { displayName: 'Bea Bianchi', termsVersion } })
    await expect(join(0)).rejects.toEqual(refused('terms_changed'))
    await join(1)
    expect((await opened.api.showTerms({})).due).toBe(false)
  })
})
