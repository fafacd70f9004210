import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { createClient } from '../foundation/client.ts'
import { openDatabase } from '../foundation/database.ts'
import { catalogue } from '../foundation/errors.ts'
import { createApp } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { decide } from '../identity/index.ts'
import type { Role, Subject } from '../identity/index.ts'
import { campaignRoutes } from './campaign-contract.ts'
import { reconstructionContract } from './contract.ts'
import { openTestRoom } from './testing.ts'

const refusals = catalogue('test', { forbidden: { status: 403, title: 'Not allowed' } })

/** The real policy; who asks stands in a header. */
async function platform() {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const room = await openTestRoom(database, folder.path)
  const app = createApp({ log: silentLogger() })
  room.reconstruction.routes(app, {
    async authenticate(request) {
      const name = String(request.headers['x-person'])
      return { id: name, kind: name === 'anonymous' ? 'anonymous' : 'person', name, subject: subjectOf(name) }
    },
    require(caller, action, experiment, about) {
      const { allow } = decide(caller.subject as Subject, action as never, { experiment, ...about })
      if (!allow) throw refusals.forbidden('This is not allowed.')
    },
  })
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => {
    await app.close()
    await room.close()
    await database.close()
  })
  const { port } = app.server.address() as { port: number }
  const as = (person: string) =>
    createClient(reconstructionContract, { baseUrl: `http://127.0.0.1:${port}`, headers: { 'x-person': person } })
  return { room, as }
}

const roles: Record<string, Subject['roles']> = {
  member: [{ experiment: 'demo', role: 'member' as Role }],
  guest: [{ experiment: 'demo', role: 'guest' as Role }],
  stranger: [{ experiment: 'elsewhere', role: 'exp-admin' as Role }],
}

function subjectOf(name: string): Subject {
  // A token that may reconstruct but run no code of its own.
  const isLimited = name === 'limited'
  const limits = { actions: ['logbook.read', 'data.read', 'reconstruction.run'] as const }
  return {
    id: name,
    kind: name === 'anonymous' ? 'anonymous' : 'person',
    name,
    epoch: 0,
    siteAdmin: false,
    roles: isLimited ? roles['member']! : (roles[name] ?? []),
    ...(isLimited && { limits }),
  } as unknown as Subject
}

const params = { experiment: 'demo' }
const script = { command: ['true'], environment: 'system', files: [] }
type Client = ReturnType<Awaited<ReturnType<typeof platform>>['as']>

const changing: Record<string, (client: Client, campaign: string) => Promise<unknown>> = {
  create: (client, name) => client.createCampaign({ params, body: { name: `${name}-more` } }),
  change: (client, campaign) => client.changeCampaign({ params: { ...params, campaign }, body: { description: 'x' } }),
  retry: (client, campaign) => client.retryCampaign({ params: { ...params, campaign }, body: {} }),
  cancel: (client, campaign) => client.cancelCampaign({ params: { ...params, campaign }, body: {} }),
  start: (client, campaign) => client.startReconstruction({ params, body: { series: 'sim', numbers: [2], campaign } }),
}
const reading: Record<string, (client: Client, campaign: string) => Promise<unknown>> = {
  parameters: (client) => client.listParameters({ params }),
  list: (client) => client.listCampaigns({ params }),
  show: (client, campaign) => client.showCampaign({ params: { ...params, campaign } }),
  compare: (client, campaign) => client.compareCampaigns({ params: { ...params, campaign, other: 'main' } }),
}

test('every route asks: strangers and guests change nothing, members may, scripts need the right to run code', async () => {
  const { room, as } = await platform()
  await room.closeRun(2, 'data')
  const member = as('member')
  await member.createCampaign({ params, body: { name: 'chain' } })
  await member.createCampaign({ params, body: { name: 'own', script } })
  for (const person of ['stranger', 'guest', 'anonymous']) {
    for (const act of Object.values(changing)) {
      const status = person === 'anonymous' ? 401 : 403
      await expect(act(as(person), 'chain')).rejects.toMatchObject({ status })
      await expect(act(as(person), 'own')).rejects.toMatchObject({ status })
    }
  }
  for (const read of Object.values(reading)) {
    await expect(read(as('stranger'), 'chain')).rejects.toMatchObject({ status: 403 })
    await expect(read(as('anonymous'), 'chain')).rejects.toMatchObject({ status: 401 })
    await read(as('guest'), 'chain')
  }
  const comparison = { params: { ...params, campaign: 'main', other: 'chain', run: 'sim:2' } }
  await expect(as('stranger').compareRun(comparison)).rejects.toMatchObject({ status: 403 })
  await expect(as('guest').compareRun(comparison)).rejects.toMatchObject({ status: 404 })

  // Reconstruction without running code: the chain yes, a script in no way.
  const limited = as('limited')
  for (const act of Object.values(changing)) await act(limited, 'chain')
  for (const [name, act] of Object.entries(changing)) {
    if (name !== 'create') await expect(act(limited, 'own')).rejects.toMatchObject({ status: 403 })
  }
  await expect(limited.createCampaign({ params, body: { name: 'other', script } })).rejects.toMatchObject({
    status: 403,
  })
  await expect(
    limited.changeCampaign({ params: { ...params, campaign: 'chain' }, body: { script } }),
  ).rejects.toMatchObject({ status: 403 })
  for (const [name, act] of Object.entries(changing)) if (name !== 'create') await act(member, 'own')
  expect(Object.values(campaignRoutes).every(({ permission }) => permission.of === 'params.experiment')).toBe(true)
})
