/** A platform without a sandbox runs nobody's code but that of the person who started it. */
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { describe, expect, test } from 'vitest'
import { newPerson, runJob } from './isolated-people.ts'
import { logTails, runCygnet, startPlatform } from './platform.ts'
import { setUpExperiment } from './scenario.ts'

const isRoot = process.getuid?.() === 0

describe('without a sandbox', () => {
  test('only who started the platform runs code; everybody else is told why, by API and command line', async () => {
    const work = mkdtempSync(join(tmpdir(), 'cygnet-bare-'))
    const tools = join(work, 'bin')
    mkdirSync(tools)
    for (const name of ['node', 'python3', 'sh', 'ps', 'env']) {
      const found = (process.env.PATH ?? '')
        .split(delimiter)
        .map((folder) => join(folder, name))
        .find((path) => existsSync(path))
      if (found !== undefined) symlinkSync(found, join(tools, name))
    }
    const environment = {
      PATH: tools,
      CYGNET_CACHE: join(work, 'cache'),
      PIP_NO_INDEX: '1',
      PIP_INDEX_URL: 'http://127.0.0.1:9/',
    }
    const platform = await startPlatform({ environment })
    try {
      const scenario = await setUpExperiment(platform)
      const carol = await newPerson(scenario, 'carol', [{ experiment: 'demo', role: 'member' }])
      const status = await scenario.call<{ sandbox: { available: boolean; detail: string } }>('GET', '/api/status')
      expect(status.sandbox.available).toBe(false)
      expect(status.sandbox.detail).toMatch(/bubblewrap/)
      for (const [path, body] of [
        ['/api/experiments/demo/jobs', { argv: ['id'], environment: 'system' }],
        ['/api/notebooks/sessions', { experiment: 'demo' }],
      ] as const) {
        const answer = await fetch(platform.platformUrl + path, {
          method: 'POST',
          headers: { authorization: `Bearer ${carol.token}`, 'content-type': 'application/json' },
          body: JSON.stringify(body),
        })
        const problem = (await answer.json()) as { code: string; detail: string; hint: string }
        expect(answer.status, path).toBe(503)
        expect(problem.code).toBe('compute.sandbox_missing')
        expect(problem.detail).toMatch(
          /Without a sandbox only the person who started Cygnet may run code here: .*bubblewrap/,
        )
        expect(problem.hint).toMatch(/Install bubblewrap/)
      }
      const account = join(work, 'carol')
      mkdirSync(join(account, '.config', 'cygnet'), { recursive: true })
      const signIn = {
        platformUrl: platform.platformUrl,
        personName: 'carol',
        accessToken: carol.token,
        expiresAtMs: Date.now() + 3_600_000,
      }
      writeFileSync(join(account, '.config', 'cygnet', 'default.json'), JSON.stringify(signIn), { mode: 0o600 })
      const argv = ['jobs', 'submit', '--experiment', 'demo', '--environment', 'system', '--', 'id']
      const refused = await runCygnet(argv, { HOME: account })
      expect(refused.code, refused.stderr).not.toBe(0)
      expect(refused.stderr).toMatch(/only the person who started Cygnet/)

      const { job, log } = await runJob(
        platform,
        { token: scenario.token },
        'import os\nprint(os.getuid(), os.getgroups())',
        'system',
      )
      expect(job.state, `${job.reason}\n${log}`).toBe('done')
      // With or without a sandbox, nothing of a person runs as root.
      if (isRoot) expect(Number(log.split(' ')[0])).toBeGreaterThanOrEqual(300_000)
    } catch (error) {
      throw new Error(logTails(platform), { cause: error })
    } finally {
      await platform.stop()
      rmSync(work, { recursive: true, force: true })
    }
  })
})
