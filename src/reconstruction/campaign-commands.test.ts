import { execFileSync } from 'node:child_process'
import { mkdir, symlink, writeFile } from 'node:fs/promises'
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
  authenticate: async () => ({ id: 'person-a', kind: 'person', name: 'alice', subject: undefined }),
  require: () => undefined,
}

async function commandLine() {
  const folder = await temporaryDirectory()
  const database = await openDatabase({ url: `sqlite:${join(folder.path, 'test.sqlite')}` })
  const room = await openTestRoom(database, folder.path)
  const app = createApp({ log: silentLogger() })
  room.logbook.routes(app, everybody)
  room.reconstruction.routes(app, everybody)
  computeRoutes(app, { compute: room.compute, database, gate: everybody })
  await app.listen({ port: 0, host: '127.0.0.1' })
  onTestFinished(async () => {
    await app.close()
    await room.close()
    await database.close()
  })
  const { port } = app.server.address() as { port: number }

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
    const program = new Command().exitOverride().enablePositionalOptions()
    registerReconstructionCommands(program, context)
    await program.parseAsync(['reco', ...argv], { from: 'user' })
    return said
  }
  const json = async (...argv: string[]) => JSON.parse((await cygnet(...argv, '--json')).stdout)
  return { room, cygnet, json, folder: folder.path }
}

test('a campaign from parameters is made, run, followed, changed, compared and cancelled on the command line', async () => {
  const { room, cygnet, json, folder } = await commandLine()
  const common = { seed: 5, frame: { width: 256, height: 256 }, startMs: 0, waveforms: false }
  await writeSimulatedRun(folder, { ...common, number: 1, kind: 'pedestal', images: 10 })
  await writeSimulatedRun(folder, { ...common, number: 2, kind: 'data', images: 3 })
  await room.compute.start()
  await room.closeRun(1, 'pedestal', join(folder, 'run00001.mid'))
  await room.closeRun(2, 'data', join(folder, 'run00002.mid'))

  expect((await cygnet('parameters')).stdout).toMatch(/zeroSuppressionSigma +0\.6 +pedestal rms +nsigma/)
  await expect(cygnet('campaign', 'create', 'x', '--set', 'nsigma=1')).rejects.toMatchObject({
    code: 'reconstruction.unknown_parameter',
    status: 422,
  })
  await expect(cygnet('campaign', 'create', 'x', '--set', 'sigma')).rejects.toMatchObject({ status: 422 })
  await expect(cygnet('campaign', 'create', 'x', '--preset', 'no-such')).rejects.toMatchObject({ status: 422 })
  await expect(cygnet('campaign', 'create', 'x', '--', 'python3')).rejects.toMatchObject({ status: 422 })
  await expect(cygnet('campaign', 'show', 'x')).rejects.toMatchObject({ status: 404 })
  await expect(cygnet('run', 'sim:2', '--campaign', 'x')).rejects.toMatchObject({ status: 404 })

  const made = await cygnet('campaign', 'create', 'high', '--set', 'zeroSuppressionSigma=1.5', 'clusterRadiusCells=8')
  expect(made.stderr).toMatch(/clusterRadiusCells=8, zeroSuppressionSigma=1\.5/)
  await expect(cygnet('campaign', 'create', 'high')).rejects.toMatchObject({ status: 409 })

  expect(await json('run', 'sim:2', '--wait')).toMatchObject({ tasks: [{ state: 'done' }] })
  const ended = await json('run', 'sim:1-10', '--campaign', 'high', '--wait')
  expect(ended.tasks).toMatchObject([{ number: 2, state: 'done', campaign: 'high' }])
  expect(ended.summaries[0].details.parameters).toMatchObject({ zeroSuppressionSigma: 1.5, clusterRadiusCells: 8 })
  expect(ended.summaries[0].details.lineage).toMatchObject({ campaign: 'high', campaignVersion: 1 })
  const [again] = await json('run', 'sim:2', '--campaign', 'high')
  expect(again).toMatchObject({ outcome: 'already' })
  const [forced] = await json('run', 'sim:2', '--campaign', 'high', '--force')
  expect(forced).toMatchObject({ outcome: 'submitted' })
  await json('run', 'sim:2', '--campaign', 'high', '--wait')

  expect((await cygnet('campaigns')).stdout).toMatch(
    /main +1 +builtin +1 +0 +0 +cygnet +the defaults\n.*high +1 +builtin/s,
  )
  const shown = await cygnet('campaign', 'show', 'high')
  expect(shown.stderr).toMatch(/1 runs done, 0 under way, 0 waiting, 0 failed/)
  const changed = await json('campaign', 'change', 'high', '--set', 'zeroSuppressionSigma=1.2')
  expect(changed).toMatchObject({ version: 2, parameters: { zeroSuppressionSigma: 1.2 } })
  expect((await json('campaign', 'show', 'high')).versions.map((one: { version: number }) => one.version)).toEqual([
    2, 1,
  ])

  const compared = await cygnet('compare', 'main', 'high')
  expect(compared.stdout).toMatch(/sim:2 +\d+ \d+ +\d+ \d+/)
  const clusters = await json('compare', 'main', 'high', 'sim:2', '--all')
  expect(clusters.matched + clusters.onlyFirst).toBe(clusters.firstClusters)
  expect(clusters.matched + clusters.onlySecond).toBe(clusters.secondClusters)
  expect((await cygnet('compare', 'main', 'main', 'sim:2')).stderr).toMatch(/0 only in main, 0 only in main/)
  await expect(cygnet('compare', 'main', 'high', 'sim:9')).rejects.toMatchObject({ status: 404 })

  expect((await json('failed', '--campaign', 'high')).items).toEqual([])
  expect(await json('campaign', 'cancel', 'high', 'sim:2-9')).toEqual([])
  expect(await json('retry', '--campaign', 'high')).toEqual([])
})

test('a script folder is uploaded with its commit; links and hidden files stay here', async () => {
  const { json, cygnet, folder } = await commandLine()
  const script = join(folder, 'script')
  await mkdir(join(script, 'parts'), { recursive: true })
  await writeFile(join(script, 'main.py'), 'print(1)\n')
  await writeFile(join(script, 'parts', 'more.py'), 'x = 1\n')
  await writeFile(join(script, '.secret'), 'no')
  await symlink('/etc/passwd', join(script, 'passwd'))
  await expect(cygnet('campaign', 'create', 'a', '--script', script)).rejects.toMatchObject({
    code: 'reconstruction.bad_recipe',
    hint: expect.stringContaining('after --'),
  })
  const command = ['--', 'python3', 'main.py', '{raw}', '--verbose']
  const plain = JSON.parse((await cygnet('campaign', 'create', 'a', '--json', '--script', script, ...command)).stdout)
  expect(plain.script).toMatchObject({ command: command.slice(1), gitCommit: null, environment: 'notebook' })
  const paths = (of: { script: { files: { path: string }[] } }) => of.script.files.map(({ path }) => path)
  expect(paths(plain)).toEqual(['main.py', 'parts/more.py'])

  const git = (...argv: string[]) =>
    execFileSync('git', ['-C', script, '-c', 'user.name=t', '-c', 'user.email=t@t', ...argv], { encoding: 'utf8' })
  git('init', '-q')
  await writeFile(join(script, '.gitignore'), 'ignored.txt\n')
  await writeFile(join(script, 'ignored.txt'), 'large')
  git('add', '.')
  git('commit', '-q', '-m', 'one')
  const clean = JSON.parse((await cygnet('campaign', 'create', 'b', '--json', '--script', script, ...command)).stdout)
  expect(clean.script.gitCommit).toBe(git('rev-parse', 'HEAD').trim())
  expect(paths(clean)).toEqual(['main.py', 'parts/more.py'])
  await writeFile(join(script, 'main.py'), 'print(2)\n')
  const changed = JSON.parse((await cygnet('campaign', 'change', 'b', '--json', '--script', script, ...command)).stdout)
  expect(changed).toMatchObject({ version: 2, script: { gitCommit: null } })
  const one = await json(
    'campaign',
    'create',
    'c',
    '--script',
    join(script, 'main.py'),
    '--environment',
    'system',
    '--cores',
    '2',
  )
  expect(one.script).toMatchObject({ command: ['python3', 'main.py', '{raw}', '{pedestal}', '{out}'], cores: 2 })
  await expect(cygnet('campaign', 'create', 'd', '--script', join(folder, 'nothing'))).rejects.toMatchObject({
    status: 422,
  })
})
