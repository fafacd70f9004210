/**
 * Every route of every room, asked by every kind of caller: who is let in to it is what the matrix of roles says of the
 * action it names (T3, T5; section 3.3: a route without permission fails). The gate is the real one, the handlers are not
 * reached for more than saying so; routes that decide by the thing itself have tests of their own in their rooms.
 */
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { computeContract } from '../compute/contract.ts'
import { actions, type Action, type Contract, type Permission, type Route } from '../foundation/contract.ts'
import { migrate } from '../foundation/database.ts'
import { openFacts } from '../foundation/facts.ts'
import { bindRoutes, createApp } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { forEachDatabase, temporaryDirectory } from '../foundation/testing.ts'
import { systemClock } from '../foundation/time.ts'
import { identityContract } from '../identity/contract.ts'
import { identityMigrations, openIdentity, personRoles, roleRights } from '../identity/index.ts'
import { ingestContract } from '../ingest/contract.ts'
import { logbookContract } from '../logbook/contract.ts'
import { notebooksContract } from '../notebooks/contract.ts'
import { reconstructionContract } from '../reconstruction/contract.ts'
import { storageContract } from '../storage/contract.ts'
import { shellContract } from './contract.ts'

const contracts: Contract[] = [
  identityContract,
  storageContract,
  logbookContract,
  ingestContract,
  computeContract,
  reconstructionContract,
  notebooksContract,
  shellContract,
]
const everyRoute = contracts.flatMap(({ room, routes }) =>
  Object.entries(routes).map(([name, route]): [string, Route] => [`${room}.${name}`, route]),
)

test('every route names who may: nobody by mistake, and the public ones are these', () => {
  for (const [name, { permission }] of everyRoute) {
    const known =
      permission === 'public' ||
      permission === 'signed-in' ||
      actions.includes((permission as { action: Action }).action)
    expect(known, name).toBe(true)
  }
  expect(everyRoute.filter(([, { permission }]) => permission === 'public').map(([name]) => name))
    .toMatchInlineSnapshot(`
    [
      "identity.listInstitutes",
      "identity.startInstituteLogin",
      "identity.instituteCallback",
      "identity.continueInstituteLogin",
      "identity.startPasskeySignIn",
      "identity.signInWithPasskey",
      "identity.signInWithPassword",
      "identity.openJoin",
      "identity.showJoin",
      "identity.joinByCode",
      "identity.joinPasskeyOptions",
      "identity.joinByPasskey",
      "identity.acceptJoinTerms",
      "identity.declineJoin",
      "identity.showTerms",
      "identity.requestExperiment",
      "identity.confirmRequest",
      "identity.requestEnrolment",
      "identity.pollEnrolment",
      "identity.redeemCode",
      "identity.token",
      "identity.redeemContentTicket",
      "shell.health",
    ]
  `)
  const places = everyRoute.map(([, { method, path }]) => `${method} ${path.replaceAll(/:\w+/g, ':x')}`)
  expect(places.filter((place, index) => places.indexOf(place) !== index)).toEqual([])
  // Only by methods that a link or an image cannot send.
  const changes = /^(create|remove|delete|set|add|suspend|revoke|renew|end|publish|approve|reject|break|rotate)/
  expect(
    everyRoute
      .filter(([name, { method }]) => method === 'GET' && changes.test(name.split('.')[1]!))
      .map(([name]) => name),
  ).toEqual([])
})

/** Takes whatever it is given, so that only the permission is asked about. */
function bare({ method, path, permission }: Route): Route {
  const anything = z.looseObject({})
  return {
    method,
    path,
    summary: '',
    permission,
    params: anything,
    query: anything,
    body: z.unknown(),
    answer: anything,
  }
}

forEachDatabase('the matrix of all routes', (open, kind) => {
  test.runIf(kind === 'sqlite')('holds at the gate', { timeout: 600_000 }, async () => {
    const { path } = await temporaryDirectory()
    const database = await open()
    await migrate(database, [identityMigrations])
    const parts = { database, clock: systemClock(), log: silentLogger() }
    const facts = openFacts(parts)
    const url = 'http://127.0.0.1:8410'
    await using identity = await openIdentity({
      ...parts,
      facts,
      secretsDirectory: join(path, 'secrets'),
      publicUrl: url,
    })
    const app = createApp({ log: parts.log })
    for (const { room, routes } of contracts) {
      const bareRoutes = Object.fromEntries(Object.entries(routes).map(([name, route]) => [name, bare(route)]))
      const handlers = Object.keys(routes).map((name) => [
        name,
        async (_request: unknown, context: { require: (action: string, experiment?: string) => void }) => {
          const { permission } = routes[name]!
          // What decides by the thing itself: here it belongs to the experiment that was asked for.
          if (typeof permission === 'object' && permission.of === 'loaded') context.require(permission.action, 'cygno')
          return {}
        },
      ])
      bindRoutes(app, { room, routes: bareRoutes }, Object.fromEntries(handlers) as never, identity.gate)
    }
    await app.ready()

    const tokens: Record<string, string | undefined> = { anonymous: undefined }
    const person = async (name: string, roles: { experiment: string; role: (typeof personRoles)[number] }[]) =>
      await identity.createPerson({ name, displayName: name, siteAdmin: false, roles })
    const direct = createApp({ log: parts.log })
    identity.routes(direct)
    await direct.ready()
    const cookieOf = async (code: string): Promise<string> => {
      const answer = await direct.inject({
        method: 'POST',
        url: '/api/identity/sessions/redeem',
        headers: { 'content-type': 'application/json', 'sec-fetch-site': 'same-origin' },
        payload: JSON.stringify({ code }),
      })
      return String(answer.headers['set-cookie']).split(';')[0]!
    }
    for (const role of personRoles)
      tokens[role] = await cookieOf(
        (await person(role.replace('-', ''), [{ experiment: 'cygno', role }])).signInLink.code,
      )
    tokens['site-admin'] = await cookieOf((await identity.createAdminLink()).code)
    tokens['stranger'] = await cookieOf((await person('stranger', [])).signInLink.code)

    const wrong: string[] = []
    for (const [name, route] of everyRoute) {
      if (name === 'identity.signOut' || name === 'identity.signOutEverywhere') continue
      for (const caller of Object.keys(tokens)) {
        for (const experiment of ['cygno', 'other']) {
          const may = isLetIn(route.permission, caller, experiment)
          if (may === undefined) continue
          const answer = await app.inject({
            method: route.method,
            url: `${route.path.replaceAll(':experiment', experiment).replaceAll(/:\w+/g, 'x').replace('*', 'x')}?experiment=${experiment}`,
            headers: {
              'sec-fetch-site': 'same-origin',
              ...(tokens[caller] !== undefined && { cookie: tokens[caller] }),
              ...(route.method !== 'GET' && { 'content-type': 'application/json' }),
            },
            ...(route.method !== 'GET' && { payload: JSON.stringify({ experiment }) }),
          })
          const isIn = answer.statusCode !== 401 && answer.statusCode !== 403
          if (isIn !== may || answer.statusCode >= 500)
            wrong.push(`${name} by ${caller} in ${experiment}: ${answer.statusCode} ${answer.body.slice(0, 200)}`)
        }
      }
    }
    expect(wrong).toEqual([])
    await app.close()
    await direct.close()
    await facts.close()
  })
})

/** By the matrix; undefined where it says nothing about the request as a whole. */
function isLetIn(permission: Permission, caller: string, experiment: string): boolean | undefined {
  if (permission === 'public') return true
  if (caller === 'anonymous') return false
  if (permission === 'signed-in') return true
  const { action, of } = permission
  if (of === 'loaded' && experiment !== 'cygno') return undefined
  const reach = of === 'site' ? undefined : experiment
  if (caller === 'site-admin') return siteAdminMay.has(action)
  if (caller === 'stranger' || reach === 'other') return action === 'credentials.create'
  if (reach === undefined) return action === 'credentials.create'
  return roleRights[caller as keyof typeof roleRights][action] === 'any'
}

const siteAdminMay = new Set<Action>([
  'site.admin',
  'ops.read',
  'experiment.admin',
  'people.manage',
  'policy.edit',
  'audit.read',
  'jobs.read',
  'jobs.cancel',
  'sessions.stop',
  'credentials.create',
])
