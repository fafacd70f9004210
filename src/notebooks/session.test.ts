import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { openTestHouse } from './testing.ts'

test('a real JupyterLab answers through the proxy', async () => {
  const folder = await temporaryDirectory()
  const house = await openTestHouse(folder.path)
  let sessionId = ''
  onTestFinished(async () => {
    if (sessionId !== '') {
      const { jobId } = await house.notebooks.stop(sessionId)
      await house.compute.ended(jobId)
    }
    await house.close()
  })
  await house.notebooks.ensureEnvironment((step) => console.log(step))
  await house.compute.start()
  await house.notebooks.start()
  const begun = Date.now()
  let session = await house.notebooks.startSession(house.person, { experiment: 'demo', run: 'sim:2' })
  sessionId = session.id
  while (['waiting', 'starting'].includes(session.state)) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    session = await house.notebooks.show(sessionId)
  }
  console.log(session, Date.now() - begun)
  const response = await fetch(`${house.origin}/user/alice/${sessionId}/api/status`, { headers: { cookie: house.cookieFor(sessionId) } })
  expect(response.status).toBe(200)
  console.log(await response.text())
}, 300_000)
