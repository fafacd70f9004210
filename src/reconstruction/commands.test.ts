import { join } from 'node:path'
import { Command } from 'commander'
import { expect, onTestFinished, test } from 'vitest'
import { computeRoutes } from '../compute/index.ts'
import { writeSimulatedRun } from '../detector/index.ts'
import { createClient } from '../foundation/client.ts'
import { createOutput } from '../foundation/command-line.ts'
import type { CommandContext } from '../foundation/command-line.ts'
import { openDatabase } from '../foundation/database.ts'
import { createApp } from '../foundation/http.ts'
import type { Gate } from '../foundation/http.ts'
import { silentLogger } from '../foundation/log.ts'
import { temporaryDirectory } from '../foundation/testing.ts'
import { registerReconstructionCommands } from './commands.ts'
import { openTestRoom } from './testing.ts'

const everybody: Gate = {
  authenticate: async () => ({ id: 'person', kind: 'person', name: 'person', subject: undefined }),
  require: () => undefined,
}

test('reco run waits with progress and shows the result; reco show and calibrations print it', async () => {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const room = await openTestRoom(database, folder.path)
  const app = createApp({ log: silentLogger() })
  room.logbook.routes(app, everybody)
  room.reconstruction.routes(app, everybody)
  computeRoutes(app, { compute: room.compute, database, gate: everybody })
  await app.listen({ port: 0, host: '127.0.0.1' })
  const { port } = app.server.address() as { port: number }
  onTestFinished(async () => {
    await app.close()
    await room.close()
    await database.close()
  })
  const common = { seed: 5, frame: { width: 256, height: 256 }, startMs: 0, waveforms: false }
  await writeSimulatedRun(folder.path, { ...common, number: 1, kind: 'pedestal', images: 10 })
  await writeSimulatedRun(folder.path, { ...common, number: 2, kind: 'data', images: 3 })
  await room.compute.start()
  await room.closeRun(1, 'pedestal', join(folder.path, 'run00001.mid'))
  await room.closeRun(2, 'data', join(folder.path, 'run00002.mid'))

  async function cygnet(...argv: string[]) {
    const said = { stdout: '', stderr: '' }
    const streams = {
      stdout: { write: (text: string) => (said.stdout += text) },
      stderr: { write: (text: string) => (said.stderr += text) },
    }
    const context: CommandContext = {
      client: (contract) => createClient(contract, { baseUrl: `http://127.0.0.1:${port}` }),
      output: createOutput({ json: argv.includes('--json'), ...streams }),
      home: folder.path,
      profile: { name: 'test', platformUrl: `http://127.0.0.1:${port}` },
    }
    const program = new Command().exitOverride()
    registerReconstructionCommands(program, context)
    await program.parseAsync(argv, { from: 'user' })
    return said
  }
  await cygnet('reco', 'campaign', 'create', 'test')
  const waited = await cygnet('reco', 'run', 'sim:2', '--campaign', 'test', '--wait', '--json')
  expect(JSON.parse(waited.stdout)).toMatchObject({
    tasks: [{ state: 'done', campaign: 'test', number: 2 }],
    summaries: [{ campaign: 'test', images: 3 }],
  })
  expect(waited.stderr).toMatch(/sim:2/)
  const shown = await cygnet('reco', 'show', 'sim:2')
  expect(shown.stdout).toMatch(/sim:2 +test +done/)
  expect(shown.stderr).toMatch(/3 images, \d+ clusters/)
  expect((await cygnet('reco', 'calibrations')).stdout).toMatch(/sim:1 +1 +pedestal/)
  const listed = await cygnet('reco', 'calibrations', '--json')
  expect(JSON.parse(listed.stdout)).toMatchObject({ items: [{ fromRun: 1 }], nextCursor: null })
  expect((await cygnet('reco', 'run', 'sim:1-9', '--campaign', 'test')).stdout).toMatch(/skipped[\s\S]*already/)
  await expect(cygnet('reco', 'run', 'two')).rejects.toMatchObject({ code: 'reconstruction.bad_run_name' })
})
