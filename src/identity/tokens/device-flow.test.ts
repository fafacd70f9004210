/** Corners of the device flow and of renewal, where others had holes. */
import { expect, test } from 'vitest'
import { forEachDatabase } from '../../foundation/testing.ts'
import { fakeClock } from '../../foundation/time.ts'
import { adminBrowser, personBrowser, startIdentity, type TestIdentity } from '../testing.ts'

interface Answer {
  status: number
  error: string
  access_token: string
  refresh_token: string
  scope: string
  device_code: string
  user_code: string
}

const deviceGrant = 'urn:ietf:params:oauth:grant-type:device_code'

function provider(t: TestIdentity) {
  const post = async (path: string, fields: Record<string, string>): Promise<Answer> => {
    const body = new URLSearchParams({ client_id: 'cli', ...fields })
    const answer = await fetch(`${t.url}/oidc/${path}`, { method: 'POST', body })
    return { status: answer.status, ...((await answer.json()) as Omit<Answer, 'status'>) }
  }
  return {
    start: (scope: string) => post('device/auth', { scope }),
    poll: (device_code: string) => post('token', { grant_type: deviceGrant, device_code }),
    refresh: (refresh_token: string, scope?: string) =>
      post('token', { grant_type: 'refresh_token', refresh_token, ...(scope !== undefined && { scope }) }),
  }
}

forEachDatabase('the device flow', (open) => {
  test('B-21 with a narrow scope gives that scope; renewal never gives more, nor what its person has lost', async () => {
    const clock = fakeClock(Date.now())
    const t = await startIdentity(open, { clock })
    const { start, poll, refresh } = provider(t)
    const anna = await personBrowser(t, 'anna', [{ experiment: 'cygno', role: 'operator' }])
    expect((await start('openid offline_access people.manage')).error).toBe('invalid_scope')
    expect((await start('openid nonsense')).error).toBe('invalid_scope')
    const asked = await start('openid offline_access logbook.read daq.write')
    const params = { userCode: asked.user_code }
    expect(await anna.browser.api.showDevice({ params })).toMatchObject({ scopes: ['logbook.read', 'daq.write'] })
    await anna.browser.api.decideDevice({ params, body: { decision: 'approve' } })
    // Approved before the first poll, and approved again: one device comes out, once.
    await expect(anna.browser.api.decideDevice({ params, body: { decision: 'approve' } })).rejects.toMatchObject({
      code: 'identity.no_such_request',
    })
    const first = await poll(asked.device_code)
    expect(first.scope.split(' ').sort()).toEqual(['daq.write', 'logbook.read'])
    const me = await t.withToken(first.access_token).me()
    expect(me.rights['cygno']?.slice().sort()).toEqual(['daq.write', 'logbook.read'])
    expect((await refresh(first.refresh_token, 'logbook.read data.read')).error).toBe('invalid_scope')
    expect((await refresh(first.refresh_token, 'api')).error).toBe('invalid_scope')
    const narrower = await refresh(first.refresh_token, 'openid logbook.read')
    expect((await t.withToken(narrower.access_token).me()).rights['cygno']).toEqual(['logbook.read'])
    // A member writes no DAQ reports: asked for by name it is refused, and the refresh token is not spent by that.
    const admin = await adminBrowser(t)
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: 'member' } })
    expect((await refresh(narrower.refresh_token, 'daq.write')).error).toBe('invalid_scope')
    const left = await refresh(narrower.refresh_token)
    expect((await t.withToken(left.access_token).me()).rights['cygno']).toEqual(['logbook.read'])
    await admin.api.setRole({ params: { person: anna.id }, body: { experiment: 'cygno', role: null } })
    expect((await refresh(left.refresh_token)).error).toBe('invalid_scope')
    // The one before was spent: using it again takes everything back.
    expect((await refresh(narrower.refresh_token)).error).toBe('invalid_grant')
    expect((await refresh(left.refresh_token)).error).toBe('invalid_grant')
  })

  test('B-22 approved after its end, a code does nothing', async () => {
    const clock = fakeClock(Date.now())
    const t = await startIdentity(open, { clock })
    const { start, poll } = provider(t)
    const anna = await personBrowser(t, 'anna', [])
    const asked = await start('openid api')
    clock.advance(11 * 60_000)
    const params = { userCode: asked.user_code }
    await expect(anna.browser.api.decideDevice({ params, body: { decision: 'approve' } })).rejects.toMatchObject({
      code: 'identity.no_such_request',
    })
    expect((await poll(asked.device_code)).status).toBe(400)
  })
})
