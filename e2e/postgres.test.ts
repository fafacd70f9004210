import { mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, expect, test } from 'vitest'
import { startPostgresServer } from '../src/foundation/adapters/test-postgres-server.ts'
import { postgresBinaries } from '../src/foundation/adapters/test-postgres.ts'
import { cygnet, eventually, runCygnet, startPlatform, type RunningPlatform } from './platform.ts'
import { experiment, keepAgent, setUpExperiment, showReconstruction, showRun, type Scenario } from './scenario.ts'

const missing = postgresBinaries() === undefined
const skipped = missing ? ' [skipped: no PostgreSQL server on this machine; apt-get install postgresql]' : ''

const homes: string[] = []
let platform: RunningPlatform | undefined

afterEach(async () => {
  await platform?.stop()
  platform = undefined
  for (const home of homes.splice(0)) rmSync(home, { recursive: true, force: true, maxRetries: 5, retryDelay: 200 })
})

async function simulate(daq: string, ...rest: string[]): Promise<void> {
  const ended = await runCygnet(['daq', 'simulate', '--dir', daq, '--images', '3', '--json', ...rest])
  expect(ended.code, ended.stderr).toBe(0)
}

/** Waits until the run is safe, closed and reconstructed. */
async function reconstructed(scenario: Scenario, run: string): Promise<number> {
  return await eventually(
    `${run} to be reconstructed`,
    async () => {
      const answer = await showReconstruction(scenario, run).catch(() => undefined)
      return answer?.summaries.find(({ campaign }) => campaign === 'main')?.images
    },
    180_000,
  )
}

/** Everything that is written down somewhere about this installation. */
function writtenText(home: string): string {
  const logs = readdirSync(join(home, 'logs')).map((name) => readFileSync(join(home, 'logs', name), 'utf8'))
  const processes = readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const argv = readFileSync(`/proc/${pid}/cmdline`, 'latin1')
        return argv.includes(home) ? [argv, readFileSync(`/proc/${pid}/environ`, 'latin1')] : []
      } catch {
        return []
      }
    })
  return [...logs, ...processes].join('\n')
}

test.skipIf(missing)(
  `a whole platform on PostgreSQL: a run, a server that crashes, a lost place, and the way to SQLite and back${skipped}`,
  { timeout: 600_000 },
  async () => {
    await using server = await startPostgresServer()
    const home = mkdtempSync(join(tmpdir(), 'cygnet-postgres-'))
    homes.push(home)
    const config = `# written by hand\ndatabase:\n  url: ${server.url}\n  passwordFile: ${server.passwordFile}\n`
    writeFileSync(join(home, 'cygnet.yaml'), config)
    platform = await startPlatform({ home })
    const scenario = await setUpExperiment(platform)
    const agent = keepAgent(scenario)
    try {
      await simulate(scenario.daq, '--runs', '1', '--pedestal-images', '5')
      expect(await reconstructed(scenario, 'sim:2')).toBe(3)

      // The server crashes under the running platform; notes are written all the while.
      const acknowledged: string[] = []
      const refused: string[] = []
      const writing = new AbortController()
      const writer = (async () => {
        for (let n = 0; !writing.signal.aborted; n++) {
          const text = `note ${n}`
          await scenario.call('POST', `/api/experiments/${experiment}/notes`, { text }).then(
            () => acknowledged.push(text),
            (error: Error) => refused.push(error.message),
          )
          await sleep(20)
        }
      })()
      const writtenMore = async (by: number) => {
        const before = acknowledged.length
        await eventually('more notes', async () => (acknowledged.length >= before + by ? true : undefined), 60_000)
      }
      await writtenMore(10)
      const control = platform.pidOf('control')
      await server.stop('immediate')
      await server.start()
      await writtenMore(10)
      // Its writer's place was lost with the server: control has ended, another one has taken the place.
      expect(platform.pidOf('control')).not.toBe(control)
      for (const name of ['cygnet control', 'cygnet writer', 'cygnet control', 'cygnet writer']) {
        await server.ask(`select pg_terminate_backend(pid) from pg_stat_activity where application_name = '${name}'`)
        await writtenMore(10)
      }
      writing.abort()
      await writer
      for (const words of refused) expect(words).toMatch(/answered 503|fetch failed/)
      const rows = await server.ask('select text from logbook_note', 'cygnet')
      const present = rows.map(({ text }) => String(text))
      expect(acknowledged.filter((text) => !present.includes(text))).toEqual([])
      expect(new Set(present.filter((text) => acknowledged.includes(text))).size).toBe(acknowledged.length)

      // A second control on the same database, from another home, is refused.
      const other = mkdtempSync(join(tmpdir(), 'cygnet-second-'))
      homes.push(other)
      writeFileSync(join(other, 'cygnet.yaml'), config)
      const second = await secondControl(other)
      expect(second).toMatch(/foundation\.locked/)

      await simulate(scenario.daq, '--runs', '1', '--first', '3', '--pedestal-images', '0')
      expect(await reconstructed(scenario, 'sim:3')).toBe(3)
      expect(writtenText(home)).toContain(home)
      expect(writtenText(home)).not.toContain(server.password)

      // To SQLite, another run there, and back.
      await platform.stop()
      const moved = await runCygnet(['move', '--home', home, '--to', 'sqlite', '--json'])
      expect(moved.code, moved.stderr).toBe(0)
      expect(readFileSync(join(home, 'cygnet.yaml'), 'utf8')).toBe('# written by hand\n')
      await platform.restart()
      expect((await showRun(scenario, 'sim:3')).run.state).toBe('closed')
      await simulate(scenario.daq, '--runs', '1', '--first', '4', '--pedestal-images', '0')
      expect(await reconstructed(scenario, 'sim:4')).toBe(3)
      await platform.stop()
      const back = await runCygnet(['move', '--home', home, '--back', '--json'])
      expect(back.code, back.stderr).toBe(0)
      const verified = await runCygnet(['move', '--home', home, '--verify'])
      expect(verified.code, verified.stderr).toBe(0)
      await platform.restart()
      for (const run of ['sim:2', 'sim:3', 'sim:4']) expect(await reconstructed(scenario, run)).toBe(3)
      expect(await server.ask(`select count(*)::int as n from logbook_run`, 'cygnet')).toEqual([{ n: 4 }])
      expect(writtenText(home)).not.toContain(server.password)
    } finally {
      await agent.stop()
    }
  },
)

/** What a control says that is started by itself on a home. */
async function secondControl(home: string): Promise<string> {
  const child = cygnet(['up', '--home', home, '--port', '18999', '--json'])
  const path = join(home, 'logs', 'control.log')
  try {
    return await eventually('the refusal', async () => {
      const text = readFileSync(path, 'utf8')
      return text.includes('foundation.') ? text : undefined
    })
  } finally {
    const ended = new Promise((done) => child.once('exit', done))
    child.kill('SIGTERM')
    await ended
  }
}
