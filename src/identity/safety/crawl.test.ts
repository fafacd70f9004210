/**
 * Every route of this room, walked by those whom it is none of their business: what belongs to another experiment is
 * neither shown nor changed (T3), strangers are told nothing (T28), what fails tells nothing (T18), and what is far too
 * long leaves no trace (T7). The routes come from the contract: a new one is walked too.
 */
import { sql } from 'kysely'
import { expect, test } from 'vitest'
import { addressOf } from '../../foundation/client.ts'
import type { CallOf, Route } from '../../foundation/contract.ts'
import { forEachDatabase } from '../../foundation/testing.ts'
import { identityContract } from '../contract.ts'
import { adminBrowser, personBrowser, startIdentity, type Browser, type TestIdentity } from '../testing.ts'
import { samples, workActions, type Sample } from './route-samples.ts'

const names = Object.keys(samples) as (keyof typeof samples)[]
/** Thousands of requests; seconds on a machine that does nothing else. */
const patience = { timeout: 600_000 }
const sameOrigin = { 'sec-fetch-site': 'same-origin' }

async function send(test: TestIdentity, name: keyof typeof samples, sample: Sample, headers: Record<string, string>) {
  const { body, params, query } = sample
  const route: Route = identityContract.routes[name]
  const call = { ...(params && { params }), ...(query && { query }) } as CallOf<Route>
  return await fetch(addressOf(route, call, test.url), {
    method: route.method,
    redirect: 'manual',
    headers: { ...sameOrigin, ...headers, ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
  })
}

const cookieOf = ({ cookies }: Browser): string => [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')

/** Another experiment, everything in it with a name that stands nowhere else. */
async function otherExperiment(test: TestIdentity) {
  const admin = await adminBrowser(test)
  const head = await personBrowser(test, 'zcanaryhead', [{ experiment: 'zother', role: 'exp-admin' }])
  const member = await personBrowser(test, 'zcanarymember', [{ experiment: 'zother', role: 'member' }])
  const { api } = head.browser
  await api.createGroup({ body: { group: '/zother/zcanarygroup', title: 'Zcanary group' } })
  await api.setMember({ body: { group: '/zother/zcanarygroup', person: member.id, role: 'guest' } })
  const { policy, version } = await api.showPolicy({ query: { group: '/zother/zcanarygroup' } })
  await api
    .applyPolicy({ body: { group: '/zother/zcanarygroup', policy, ifVersion: version, note: 'zcanary note' } })
    .catch(() => {})
  const { client } = await api.registerClient({ body: { experiment: 'zother', name: 'zcanary-daq' } })
  const key = await api.createAccessKey({ body: { label: 'zcanary label' } })
  const accessEndMs = Date.now() + 86_400_000
  const invitation = await api.createInvitation({
    body: { experiment: 'zother', role: 'guest', message: 'zcanary message', accessEndMs },
  })
  const classLink = await api.createClassLink({
    body: { experiment: 'zother', seats: 3, message: 'zcanary class', accessEndMs },
  })
  await admin.api.breakGlass({ body: { experiment: 'zother', reason: 'zcanary reason to look' } })
  return [member.id, client.id, invitation.id, classLink.id, key.accessKeyId]
}

/** The same request, about the other experiment. */
function turned(sample: Sample, id: string): Sample {
  const text = JSON.stringify(sample)
    .replaceAll('"cygno"', '"zother"')
    .replaceAll('/cygno', '/zother')
    .replaceAll(/"(?:01a20aef-0000-7000-8000-000000000000|none|CYGNONE|@guest)"/g, JSON.stringify(id))
    .replaceAll('"gerda"', '"zcanarymember"')
  return JSON.parse(text) as Sample
}

/** All that is kept about the other experiment; the audit, and what machines may ask anybody for, aside. */
async function kept(test: TestIdentity): Promise<string[]> {
  const { kysely } = test.database
  const tables = await kysely.introspection.getTables()
  const rows: string[] = []
  for (const { name } of tables.filter((table) => /^identity_(?!audit|oidc|enrolment)/.test(table.name))) {
    const found = await sql<object>`select * from ${sql.table(name)}`.execute(kysely)
    rows.push(...found.rows.map((row) => `${name} ${JSON.stringify(row)}`).filter((row) => /zcanary|zother/.test(row)))
  }
  return rows.map((row) => row.replaceAll(/"(last_seen|last_used)_at_ms":\w+/g, '')).toSorted()
}

forEachDatabase('walking over all routes', (open, kind) => {
  const once = test.runIf(kind === 'sqlite' || process.env.CYGNET_LONG)

  once(
    'people and machines of one experiment see and change nothing of another (T3); strangers nothing at all (T28)',
    patience,
    async () => {
      const test = await startIdentity(open)
      const ids = await otherExperiment(test)
      const bearer = (token: string) => ({ authorization: `Bearer ${token}` })
      const walkers: Record<string, Record<string, string>> = { anonymous: {} }
      for (const role of ['exp-admin', 'manager'] as const) {
        const { browser } = await personBrowser(test, role.replace('-', ''), [{ experiment: 'cygno', role }])
        walkers[role] = { cookie: cookieOf(browser) }
      }
      const roles = [{ experiment: 'cygno', role: 'exp-admin' as const }]
      const { id } = await test.identity.createPerson({ name: 'hugo', displayName: 'Hugo', siteAdmin: false, roles })
      const { accessKey } = await test.identity.registerClient({ experiment: 'cygno', name: 'daq' })
      const { accessKeyId, secretAccessKey } = accessKey
      walkers['client'] = bearer((await test.withToken().token({ body: { accessKeyId, secretAccessKey } })).accessToken)
      const minted = { subjectId: id, kind: 'session', actions: workActions, lifetimeMs: 3_600_000 } as const
      walkers['session'] = bearer(test.identity.mintToken(minted).token)

      const before = await kept(test)
      expect(before.length).toBeGreaterThan(10)
      const told: string[] = []
      for (const name of names.filter((each) => !each.startsWith('signOut'))) {
        const text = JSON.stringify(samples[name])
        const isAboutOne = /01a20aef|none|CYGNONE|@guest/.test(text)
        const tries = [samples[name], ...(isAboutOne ? ids : [ids[0]!]).map((each) => turned(samples[name], each))]
        for (const [walker, headers] of Object.entries(walkers)) {
          for (const sample of tries) {
            const response = await send(test, name, sample, headers)
            const answer = `${await response.text()} ${JSON.stringify([...response.headers])}`
            // What somebody has sent himself may be said to him again.
            const said = JSON.stringify(sample)
            const found = (answer.match(/zcanary\w*/g) ?? []).filter((word) => !said.includes(word))
            if (found.length > 0) told.push(`${name} tells ${walker}: ${response.status} ${answer.slice(0, 300)}`)
            if (response.status >= 500 && response.status !== 502 && response.status !== 503)
              told.push(`${name} by ${walker}: ${response.status} ${answer.slice(0, 300)}`)
          }
        }
      }
      expect(told).toEqual([])
      expect(await kept(test)).toEqual(before)
    },
  )

  once(
    'a fault of the platform leaks neither cookie, token nor body, into no answer and no log (T18)',
    patience,
    async () => {
      const test = await startIdentity(open)
      const { browser, id } = await personBrowser(test, 'anna', [{ experiment: 'cygno', role: 'exp-admin' }])
      const { token } = test.identity.mintToken({
        subjectId: id,
        kind: 'job',
        actions: ['data.read'],
        lifetimeMs: 60_000,
      })
      const canary = 'zcanary-of-a-secret-0123456789'
      const secrets = [canary, cookieOf(browser).split('=')[1]!, token.split('.')[2]!]
      test.logLines.length = 0
      await test.database.close()
      const leaks: string[] = []
      let broken = 0
      for (const name of names) {
        const sample = withSecrets(samples[name], canary)
        const tries: Record<string, string>[] = [
          { cookie: cookieOf(browser) },
          { authorization: `Bearer ${token}`, cookie: `other=${canary}` },
          { cookie: `${cookieOf(browser).split('=')[0]}=${canary}`, 'x-api-key': canary },
          { authorization: `Bearer ${canary}` },
        ]
        for (const headers of tries) {
          const response = await send(test, name, sample, headers)
          const answer = await response.text()
          if (response.status >= 500) {
            broken += 1
            if (/node_modules|\.ts:|SQL|sqlite|database/i.test(answer)) leaks.push(`${name}: ${answer}`)
          }
          if (secrets.some((secret) => answer.includes(secret))) leaks.push(`${name}: ${answer.slice(0, 300)}`)
        }
      }
      expect(broken).toBeGreaterThan(names.length)
      expect(leaks).toEqual([])
      const log = test.logLines.join('\n')
      expect(log.length).toBeGreaterThan(1000)
      for (const secret of secrets) expect(log).not.toContain(secret)
    },
  )

  once(
    'texts of 10 MB, and of 3 MB, are refused at once, and neither log nor audit keeps them (T7)',
    patience,
    async () => {
      const test = await startIdentity(open)
      const rowsOf = async () =>
        (await test.database.kysely.selectFrom('identity_audit').selectAll().execute()) as object[]
      const grown: string[] = []
      for (const name of names) {
        const { body } = samples[name]
        if (identityContract.routes[name].permission !== 'public') continue
        if (typeof body !== 'object' || body === null || Object.keys(body).length === 0) continue
        for (const size of [10_000_000, 3_000_000]) {
          const before = { log: test.logLines.join('').length, audit: JSON.stringify(await rowsOf()).length }
          const long = Object.fromEntries(
            Object.entries(body).map(([key, value]) => [key, typeof value === 'string' ? 'x'.repeat(size) : value]),
          )
          const response = await send(test, name, { ...samples[name], body: long }, {})
          const answer = await response.text()
          const log = test.logLines.join('').length - before.log
          const audit = JSON.stringify(await rowsOf()).length - before.audit
          const hasText = Object.values(body).some((value) => typeof value === 'string')
          if (hasText && (response.status < 400 || response.status >= 500)) grown.push(`${name}: ${response.status}`)
          if (log > 1500 || audit > 1500 || answer.length > 5000)
            grown.push(`${name}: ${response.status}, log ${log}, audit ${audit}, answer ${answer.length}`)
          if (!hasText) break
        }
      }
      expect(grown).toEqual([])
    },
  )
})

/** Every text of a body becomes the canary where that is still a valid request. */
function withSecrets(sample: Sample, canary: string): Sample {
  if (typeof sample.body !== 'object' || sample.body === null) return sample
  const secretNames = ['code', 'ticket', 'password', 'deviceCode', 'secretAccessKey', 'message', 'reason']
  const body = Object.fromEntries(
    Object.entries(sample.body).map(([name, value]) => [
      name,
      secretNames.includes(name) ? canary : (value as unknown),
    ]),
  )
  return { ...sample, body }
}
