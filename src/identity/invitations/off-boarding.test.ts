/** Every line of the list of what must go, or stay, when somebody leaves. */
import { expect, test } from 'vitest'
import type { Fault } from '../../foundation/errors.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { uuid7 } from '../../foundation/ids.ts'
import { subjectOfAccessKey } from '../snapshot.ts'
import { dayMs, startInvitations } from './testing.ts'

const refused = (code: string) => expect.objectContaining<Partial<Fault>>({ code: `identity.${code}` })

forEachDatabase('when somebody leaves', (open) => {
  async function start() {
    const test = await startInvitations(open)
    const params = { person: test.manager.id }
    return {
      ...test,
      params,
      suspend: () => test.admin.api.suspendPerson({ params }),
      async archive() {
        await test.admin.api.suspendPerson({ params })
        await test.admin.api.archivePerson({ params })
      },
      async erase() {
        await test.admin.api.suspendPerson({ params })
        await test.admin.api.archivePerson({ params })
        await test.admin.api.erasePerson({ params })
      },
    }
  }

  test('browser sessions, sign-in links and pending authorisations end', async () => {
    const { suspend, manager, admin, params, browser, kysely } = await start()
    const { url } = await admin.api.createSignInLink({ params })
    await kysely
      .insertInto('identity_oidc')
      .values({
        model: 'DeviceCode',
        id_hash: 'x',
        sealed_payload: '1.x',
        grant_hash: null,
        user_code_hash: 'y',
        uid_hash: null,
        account_id: manager.id,
        expires_at_ms: Date.UTC(2030, 1),
        consumed_at_ms: null,
      })
      .execute()
    expect((await manager.browser.api.me()).name).toBe('mara')
    await suspend()
    await expect(manager.browser.api.me()).rejects.toMatchObject({ status: 401 })
    expect((await browser().signIn(url.split('#code=')[1]!)).status).toBe(410)
    const left = await kysely.selectFrom('identity_oidc').select('model').where('account_id', '=', manager.id).execute()
    expect(left).toEqual([])
  })

  test('refresh tokens, devices, personal tokens, STS sessions and access keys open nothing any more', async () => {
    const { suspend, manager, identity, kysely, params, admin, clock } = await start()
    const nowMs = clock.nowMs()
    const key = await manager.browser.api.createAccessKey({ body: {} })
    const sts = await manager.browser.api.createAccessKey({ body: { lifetimeMs: 3_600_000 } })
    await kysely
      .updateTable('identity_access_key')
      .set({ kind: 'sts', session_token_hash: 'h', epoch: 1 })
      .where('access_key_id', '=', sts.accessKeyId)
      .execute()
    await kysely
      .insertInto('identity_personal_token')
      .values({
        id: uuid7(nowMs),
        person_id: manager.id,
        token_hash: 't',
        label: '',
        limits: '{}',
        created_at_ms: nowMs,
        expires_at_ms: nowMs + dayMs,
        last_used_at_ms: null,
        revoked_at_ms: null,
      })
      .execute()
    await kysely
      .insertInto('identity_device')
      .values({
        id: uuid7(nowMs),
        grant_hash: 'g',
        person_id: manager.id,
        client_id: 'cli',
        scope: 'api',
        address: '',
        created_at_ms: nowMs,
        last_used_at_ms: nowMs,
        revoked_at_ms: null,
      })
      .execute()
    const open = (id: string) => subjectOfAccessKey(identity.snapshotPart(), id, clock.nowMs())
    expect(open(key.accessKeyId)).toBeDefined()
    await suspend()
    expect(open(key.accessKeyId)).toBeUndefined()
    expect(open(sts.accessKeyId)).toBeUndefined()
    for (const table of ['identity_personal_token', 'identity_device'] as const) {
      const rows = await kysely.selectFrom(table).select('revoked_at_ms').where('person_id', '=', manager.id).execute()
      expect(rows).toEqual([{ revoked_at_ms: clock.nowMs() }])
    }
    // Even if the person comes back: a temporary credential does not; after an archiving no key does.
    await admin.api.reinstatePerson({ params })
    expect(open(key.accessKeyId)).toBeDefined()
    expect(open(sts.accessKeyId)).toBeUndefined()
    await suspend()
    await admin.api.archivePerson({ params })
    const keys = await kysely.selectFrom('identity_access_key').select('revoked_at_ms').execute()
    expect(keys.every((row) => row.revoked_at_ms !== null)).toBe(true)
  })

  test('access tokens at our services are refused by the epoch', async () => {
    const { suspend, manager, identity, withToken, admin, params } = await start()
    const { token } = identity.mintToken({
      subjectId: manager.id,
      kind: 'session',
      actions: ['logbook.read'],
      lifetimeMs: 600_000,
    })
    const { epoch } = identity.snapshotPart().subjects[manager.id]!
    await withToken(token).me()
    await suspend()
    await expect(withToken(token).me()).rejects.toEqual(refused('invalid_token'))
    await admin.api.reinstatePerson({ params })
    await expect(withToken(token).me()).rejects.toEqual(refused('invalid_token'))
    expect(identity.snapshotPart().subjects[manager.id]!.epoch).toBeGreaterThan(epoch)
  })

  test('rooms above are told at each step, so that they end sessions, hold jobs and hand the home over', async () => {
    const { erase, manager, database, kysely, identity, head } = await start()
    const uid = await identity.platformUidOf(manager.id)
    expect(await identity.leftBehind(manager.id)).toBeUndefined()
    await erase()
    // The home goes to the experiment, and is its admin's; where it was is known also when the name is not any more.
    const left = { homeName: 'mara', uid, experiment: 'cygno', adminId: head.id }
    expect(await identity.leftBehind(manager.id)).toEqual(left)
    const facts = await database.kysely
      .selectFrom('fact' as never)
      .selectAll()
      .where('subject' as never, '=', manager.id as never)
      .execute()
    const said = (facts as { data: string }[]).map(({ data }) => (JSON.parse(data) as { change: string }).change)
    expect(said.filter((change) => ['suspended', 'archived', 'erased'].includes(change))).toEqual([
      'suspended',
      'archived',
      'erased',
    ])
    expect(
      await kysely.selectFrom('identity_membership').selectAll().where('person_id', '=', manager.id).execute(),
    ).toEqual([])
  })

  test('owned machines go to the owners that are left, invitations are revoked, mails of them do not go out', async () => {
    const { suspend, manager, invite, visit, kysely, admin, head, join } = await start()
    const owner = await join('otto', '/cygno/students', 'member')
    const { client } = await head.browser.api.registerClient({ body: { experiment: 'cygno', name: 'daq-lngs' } })
    for (const person of [manager, owner])
      await kysely
        .insertInto('identity_machine_owner')
        .values({ client_id: client.id, person_id: person.id, since_ms: 0, added_by: 'test' })
        .execute()
    const made = await invite({ addressedTo: 'anna@uni.example' })
    await suspend()
    await expect(visit(made.url)).rejects.toEqual(refused('invitation_over'))
    const [mail] = await kysely.selectFrom('identity_mail').selectAll().execute()
    expect(mail).toMatchObject({ state: 'dropped', sealed_data: null })
    const { items } = await admin.api.listInvitations({ query: { experiment: 'cygno' } })
    expect(items).toMatchObject([{ state: 'revoked' }])
    const owners = await kysely.selectFrom('identity_machine_owner').select('person_id').execute()
    expect(owners).toEqual([{ person_id: owner.id }])
  })

  test('guests have thirty days to find another sponsor, then read only; another sponsor takes one over with a click', async () => {
    const { suspend, manager, invite, accept, head, later, kysely, clock } = await start()
    const anna = await accept((await invite({ addressedTo: 'anna@uni.example' })).url, 'Anna Rossi')
    const bea = await accept((await invite()).url, 'Bea Bianchi')
    await suspend()
    const listed = await head.browser.api.listGuests({ query: { experiment: 'cygno' } })
    expect(listed.items).toMatchObject([
      { name: 'arossi', orphan: true, accessEndMs: clock.nowMs() + 30 * dayMs },
      { name: 'bbianchi', orphan: true },
    ])
    const told = await kysely
      .selectFrom('identity_mail')
      .select('recipient')
      .where('template', '=', 'sponsor-left')
      .execute()
    expect(told).toEqual([{ recipient: 'anna@uni.example' }])
    const adopted = await head.browser.api.renewGuest({ params: { person: anna.id }, body: {} })
    expect(adopted).toMatchObject({ sponsor: { name: 'hugo' }, orphan: false })
    // Suspended twice by mistake: nobody is told twice, and what was adopted stays so.
    await suspend()
    const states = async () =>
      Object.fromEntries(
        (await kysely.selectFrom('identity_subject').select(['id', 'state']).execute()).map((row) => [
          row.id,
          row.state,
        ]),
      )
    await later(29 * dayMs).catch(() => undefined)
    expect((await states())[bea.id]).toBe('active')
    await later(2 * dayMs).catch(() => undefined)
    expect(await states()).toMatchObject({ [bea.id]: 'grace', [anna.id]: 'active', [manager.id]: 'suspended' })
  })

  test("a group without its manager is in the hands of those who are left, else of the experiment's admin", async () => {
    const { suspend, head, kysely, join, params, admin } = await start()
    await suspend()
    const passed = async () => {
      const rows = await kysely
        .selectFrom('identity_audit')
        .select('detail')
        .where('action', '=', 'role-passed-on')
        .execute()
      return rows.map(({ detail }) => JSON.parse(detail) as { group: string; to: string[] })
    }
    expect(await passed()).toMatchObject([{ group: '/cygno/students', to: [head.id] }])
    await admin.api.reinstatePerson({ params })
    const second = await join('otto', '/cygno/students', 'manager')
    await suspend()
    expect((await passed()).at(-1)).toMatchObject({ to: [second.id] })
    // Of the last admin of an experiment the site's admins are told.
    await admin.api.suspendPerson({ params: { person: head.id } })
    const { id } = await admin.api.me()
    expect((await passed()).at(-1)).toMatchObject({ group: '/cygno', to: [id] })
  })

  test('the uid stays his for ever; audit and authorship stay, and get a pseudonym at the end', async () => {
    const { erase, manager, identity, kysely, admin } = await start()
    const uid = await identity.platformUidOf(manager.id)
    const before = await kysely.selectFrom('identity_audit').selectAll().orderBy('sequence').execute()
    await erase()
    expect(await identity.platformUidOf(manager.id)).toBe(uid)
    expect(identity.snapshotPart().subjects[manager.id]).toMatchObject({ uid, state: 'suspended' })
    expect(identity.nameOf(manager.id)).toEqual({
      name: `former${uid}`,
      displayName: `Former member ${uid}`,
      active: false,
    })
    const after = await kysely.selectFrom('identity_audit').selectAll().orderBy('sequence').execute()
    expect(after.slice(0, before.length)).toEqual(before)
    await expect(
      admin.api.createPerson({ body: { name: 'mara', displayName: 'Another Mara', roles: [], siteAdmin: false } }),
    ).rejects.toEqual(refused('name_taken'))
    await expect(admin.api.suspendPerson({ params: { person: manager.id } })).rejects.toEqual(
      refused('not_in_this_state'),
    )
  })
})
