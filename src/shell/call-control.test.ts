import { createServer } from 'node:http'
import { expect, onTestFinished, test } from 'vitest'
import { temporaryDirectory } from '../foundation/testing.ts'
import { homeAt, prepareHome } from './home.ts'
import { callControl } from './platform.ts'

test('a control that dies in the middle of its answer is told, and keeps nobody waiting', async () => {
  const { path } = await temporaryDirectory()
  const home = homeAt(path)
  await prepareHome(home)
  const control = createServer((_request, response) => {
    response.writeHead(200, { 'content-length': 100 })
    response.write('{"link":', () => response.destroy())
  })
  await new Promise<void>((done) => control.listen({ path: home.controlSocket }, done))
  onTestFinished(() => void control.close())
  await expect(callControl(home, 'GET', '/internal/status')).rejects.toMatchObject({ code: 'shell.not_running' })
})
