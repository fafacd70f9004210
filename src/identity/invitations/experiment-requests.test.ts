import { expect, test } from 'vitest'
import type { Fault } from '../../foundation/errors.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { requestExperiment } from './experiment-requests.ts'
import { codeOf, dayMs, roomOf, startInvitations } from './testing.ts'

const refused = (code: string) => expect.objectContaining<Partial<Fault>>({ code: `identity.${code}` })

forEachDatabase('requests for experiments', (open) => {
  const made: string[] = []
  const ports = {
    async createExperiment(_trx: unknown, { name }: { name: string }) {
      made.push(name)
    },
  }
  const request = (nowMs: number) => ({
    name: 'muon',
    title: 'Muon tomography',
    purpose: 'We look through a hill.',
    people: 12,
    storageBytes: 5e12,
    endsAtMs: nowMs + 365 * dayMs,
    applicant: 'Ida Noether',
    email: 'ida@uni.example',
    language: 'it' as const,
  })

  test('a stranger asks, an admin says yes, and the stranger runs an experiment with quota and end', async () => {
    made.length = 0
    const { browser, admin, accept, clock, may, identity, kysely } = await startInvitations(open, { ports })
    const body = request(clock.nowMs())
    // No mail goes out here: nobody is asked to confirm, and the admin is told that nobody has.
    const { id, state } = await browser().api.requestExperiment({ body })
    expect(state).toBe('waiting')
    await expect(browser().api.requestExperiment({ body })).rejects.toEqual(refused('name_taken'))
    await expect(browser().api.requestExperiment({ body: { ...body, name: 'cygno' } })).rejects.toEqual(
      refused('name_taken'),
    )
    const { items } = await admin.api.listRequests()
    expect(items).toMatchObject([{ name: 'muon', knownBy: 'nothing', state: 'waiting', storageBytes: 5e12 }])
    const { url } = await admin.api.approveRequest({ params: { request: id }, body: {} })
    expect(made).toEqual(['muon'])
    const ida = await accept(url!, 'Ida Noether')
    const roles = (await ida.browser.api.me()).roles.map(({ experiment, role }) => `${role} of ${experiment}`)
    expect(new Set(roles)).toEqual(new Set(['exp-admin of muon']))
    expect(may(ida.id, 'experiment.admin', { experiment: 'muon' })).toBe(true)
    expect(may(ida.id, 'experiment.admin', { experiment: 'cygno' })).toBe(false)
    const { policy } = await ida.browser.api.showPolicy({ query: { group: '/muon' } })
    expect(policy.ceiling).toMatchObject({ limits: { storageBytes: 5e12 }, endsAtMs: body.endsAtMs })
    await expect(admin.api.approveRequest({ params: { request: id }, body: {} })).rejects.toEqual(
      refused('not_in_this_state'),
    )
    const mails = await kysely
      .selectFrom('identity_mail')
      .select(['template', 'language', 'state'])
      .orderBy('id')
      .execute()
    expect(mails).toEqual([
      { template: 'invitation', language: 'it', state: 'dropped' },
      { template: 'request-approved', language: 'it', state: 'waiting' },
    ])
    const { items: audit } = await admin.api.listAudit({ query: {} })
    const actions = audit.map(({ action }) => action)
    expect(actions).toEqual(expect.arrayContaining(['experiment-requested', 'experiment-request-approved']))
    expect(identity.snapshotPart().subjects[ida.id]!.siteAdmin).toBe(false)
  })

  test('with mail the address is confirmed first; somebody signed in needs no mail, and gets it at once', async () => {
    const started = await startInvitations(open, { ports })
    const { browser, admin, clock, manager, may } = started
    const room = await roomOf(started)
    const origin = { actor: { id: 'n', kind: 'anonymous', name: 'n' }, address: '192.0.2.1', requestId: 'r' }
    const who = { personId: null, mailGoesOut: true }
    const asked = await room.change((trx) => requestExperiment(room, trx, request(clock.nowMs()), who, origin))
    expect(asked.state).toBe('unconfirmed')
    expect((await admin.api.listRequests()).items).toEqual([])
    const mail = await started.kysely.selectFrom('identity_mail').selectAll().executeTakeFirstOrThrow()
    const { url } = JSON.parse(room.seal.open(mail.sealed_data!, `mail.${mail.id}`)) as { url: string }
    const confirm = (code: string) => browser().api.confirmRequest({ body: { code } })
    await expect(confirm('A'.repeat(27))).rejects.toEqual(refused('invalid_code'))
    expect(await confirm(codeOf(url))).toEqual({ name: 'muon', state: 'waiting' })
    expect(await confirm(codeOf(url))).toEqual({ name: 'muon', state: 'waiting' })
    expect((await admin.api.listRequests()).items).toMatchObject([{ knownBy: 'mail' }])
    await admin.api.rejectRequest({ params: { request: asked.id }, body: { reason: 'There is one already.' } })
    expect((await admin.api.listRequests()).items).toMatchObject([
      { state: 'rejected', reason: 'There is one already.' },
    ])

    const own = await manager.browser.api.requestExperiment({ body: { ...request(clock.nowMs()), name: 'tau' } })
    expect(own.state).toBe('waiting')
    const answer = await admin.api.approveRequest({
      params: { request: own.id },
      body: { quotaBytes: 1e9, endsAtMs: clock.nowMs() + dayMs },
    })
    expect(answer.url).toBeNull()
    expect(may(manager.id, 'experiment.admin', { experiment: 'tau' })).toBe(true)
  })

  test('what the logbook refuses leaves nothing behind; strangers do not decide, and cannot flood', async () => {
    const failing = {
      async createExperiment() {
        throw new Error('no disk')
      },
    }
    const { browser, admin, clock, manager, kysely } = await startInvitations(open, { ports: failing })
    const body = request(clock.nowMs())
    const stranger = browser()
    const { id } = await stranger.api.requestExperiment({ body })
    const params = { request: id }
    await expect(admin.api.approveRequest({ params, body: {} })).rejects.toThrow()
    expect((await admin.api.listRequests()).items).toMatchObject([{ state: 'waiting' }])
    expect(await kysely.selectFrom('identity_group').select('path').where('path', '=', '/muon').execute()).toEqual([])
    expect(await kysely.selectFrom('identity_invitation').select('id').execute()).toEqual([])
    await expect(manager.browser.api.approveRequest({ params, body: {} })).rejects.toEqual(refused('not_allowed'))
    await expect(stranger.api.listRequests()).rejects.toMatchObject({ status: 401 })
    for (const bad of [
      'a b@x.example',
      'a@inst.it@evil.org',
      '"a b"@x.example',
      'a@x',
      'a@x.example\nBcc: b@x.example',
    ])
      await expect(
        stranger.api.requestExperiment({ body: { ...body, name: 'bad', email: bad } }),
      ).rejects.toMatchObject({
        status: 422,
      })
    const answers = []
    for (let count = 0; count < 6; count += 1)
      answers.push(
        await stranger.api.requestExperiment({ body: { ...body, name: `flood${count}` } }).then(
          () => 200,
          (error: Fault) => error.status,
        ),
      )
    expect(answers.at(-1)).toBe(429)
  })
})
