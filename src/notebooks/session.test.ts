import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { temporaryDirectory, type TemporaryDirectory } from '../foundation/testing.ts'
import type { Session } from './contract.ts'
import { openKernel } from './kernel-client.ts'
import { openTestHouse, testCacheFolder, type TestHouse } from './testing.ts'
import { openEnvironment } from './environment/environment.ts'
import { silentLogger } from '../foundation/log.ts'

/** Made on the first run (a minute, from the package index); without it there is nothing real to test. */
async function environmentProblem(): Promise<string | undefined> {
  try {
    const environment = await openEnvironment({
      cacheFolder: testCacheFolder,
      searchPath: process.env.PATH ?? '',
      log: silentLogger(),
    })
    await environment.ensure()
    return undefined
  } catch (error) {
    return (error as Error).message
  }
}

async function settled(house: TestHouse, id: string): Promise<Session> {
  for (;;) {
    const session = await house.notebooks.show(id)
    if (!['waiting', 'starting', 'stopping'].includes(session.state)) return session
    await new Promise((wait) => setTimeout(wait, 30))
  }
}

const problem = await environmentProblem()

describe.skipIf(problem !== undefined)(
  `a real JupyterLab${problem === undefined ? '' : ` [skipped: ${problem}]`}`,
  () => {
    let folder: TemporaryDirectory
    let house: TestHouse
    let session: Session

    beforeAll(async () => {
      folder = await temporaryDirectory()
      house = await openTestHouse(folder.path)
      await house.notebooks.ensureEnvironment()
      await house.compute.start()
      await house.notebooks.start()
      session = await house.notebooks.startSession(house.person, { experiment: 'demo', run: 'sim:2' })
      session = await settled(house, session.id)
      if (session.state !== 'running')
        throw new Error(
          `${session.reason}\n${await readFile(join(house.compute.folderOf(session.jobId, 1), 'log'), 'utf8').catch(() => '')}`,
        )
    })

    afterAll(async () => {
      const { jobId } = await house.notebooks.stop(session.id)
      await house.compute.ended(jobId)
      expect((await house.notebooks.show(session.id)).state).toBe('stopped')
      await house.close()
      await folder[Symbol.asyncDispose]()
    })

    const base = () => `/user/alice/${session.id}/`
    const get = (path: string, headers: Record<string, string> = {}) =>
      fetch(house.origin + base() + path, {
        headers: { cookie: house.cookieFor(session.id), ...headers },
        redirect: 'manual',
      })
    const place = () => ({ baseUrl: house.origin + base(), cookie: house.cookieFor(session.id) })

    test('serves its page, says who we are, and no token reaches the browser', async () => {
      const page = await get('lab', { accept: 'text/html' })
      expect(page.status).toBe(200)
      const text = await page.text()
      expect(text).toContain('jupyter-config-data')
      expect(/"token":\s*"([^"]*)"/.exec(text)?.[1]).toBe('')
      expect(page.headers.get('content-security-policy')).toContain("frame-ancestors 'none'")
      const me = (await (await get('api/me')).json()) as { identity: { username: string; name: string } }
      expect(me.identity).toMatchObject({ username: house.person.id, name: 'alice' })
    })

    test('runs a cell over the kernel websocket, in the sandbox, with the client at hand', async () => {
      const kernel = await openKernel(place())
      try {
        expect(await kernel.run('6 * 7')).toMatchObject({ status: 'ok', data: [{ 'text/plain': '42' }] })
        expect(
          await kernel.run(
            'import os, cygnet, numpy, pyarrow, matplotlib, boto3; print(os.getcwd(), os.path.exists("/etc/shadow"), cygnet.__version__)',
          ),
        ).toMatchObject({
          status: 'ok',
          text: expect.stringMatching(/^\/home\/alice False \d/),
        })
        expect(await kernel.run('1/0')).toMatchObject({ status: 'error', error: 'ZeroDivisionError: division by zero' })
        const key = await kernel.run('print(open("/run/cygnet/client.json").read())')
        expect(JSON.parse(key.text)).toMatchObject({ url: 'http://127.0.0.1:8410', experiment: 'demo' })
      } finally {
        await kernel.close()
      }
    })

    test("a cell reaches the platform through the gateway's socket, and nothing else", async () => {
      const server = createServer((socket) =>
        socket.once('data', () => socket.end('HTTP/1.1 200 OK\r\ncontent-length: 5\r\nconnection: close\r\n\r\nhello')),
      )
      const socketPath = join(folder.path, 'home', 'run', 'gateway', 'platform.sock')
      await new Promise<void>((listening) => server.listen(socketPath, listening))
      await import('node:fs/promises').then((fs) => fs.chmod(socketPath, 0o777))
      const kernel = await openKernel(place())
      try {
        const result = await kernel.run(
          'import urllib.request as u\nprint(u.urlopen("http://127.0.0.1:8410/x").read())\ntry: u.urlopen("http://169.254.169.254/", timeout=2)\nexcept OSError as e: print("refused")',
        )
        expect(result).toMatchObject({ text: "b'hello'\nrefused\n" })
      } finally {
        await kernel.close()
        server.close()
      }
    })

    test('the starter notebook of the run is there, written as the person', async () => {
      const contents = (await (await get('api/contents/runs/sim-00002.ipynb')).json()) as {
        content: { cells: { source: string }[] }
      }
      expect(contents.content.cells.map((cell) => cell.source).join('\n')).toContain('run.image(0, via="s3")')
      // A second run for the same person: the same session, another notebook; an old one is left alone.
      const again = await house.notebooks.startSession(house.person, { experiment: 'demo', run: 'sim:3' })
      expect(again.id).toBe(session.id)
      expect((await get('api/contents/runs/sim-00003.ipynb')).status).toBe(200)
    })

    test('results become a new notebook of the same session, whose cells are Python; unreadable ones are refused', async () => {
      const results = 'sel=sim:1-3&cuts=rms+>+6+and+lengthPx+<+300&range=0..9000'
      const started = await house.notebooks.startSession(house.person, { experiment: 'demo', results })
      expect(started).toMatchObject({ id: session.id, openPath: expect.stringMatching(/^results\/sim-1-3-.*\.ipynb$/) })
      const contents = (await (await get(`api/contents/${started.openPath}`)).json()) as {
        content: { cells: { cell_type: string; source: string }[] }
      }
      const lines = contents.content.cells.filter((cell) => cell.cell_type === 'code').map(({ source }) => source)
      expect(lines.join('\n')).toContain('keep &= (c["rmsCounts"] > 6)')
      // There is no data here: the rows are given by hand to the cells that are written for them.
      const kernel = await openKernel(place())
      try {
        const rows =
          'import numpy as np\nclass plt: stairs = xlabel = ylabel = lambda *a: None\nc = {"integralCounts": np.array([5.0, 5, 5]), "rmsCounts": np.array([7, 7, 5]), "lengthPx": np.array([1, 400, 1])}\nrows = c["rmsCounts"]'
        const result = await kernel.run([rows, ...lines.slice(1), 'print(counts.sum())'].join('\n'))
        expect(result).toMatchObject({ status: 'ok', text: '1 of 3 pass\n1\n' })
      } finally {
        await kernel.close()
      }
      const unreadable = { experiment: 'demo', results: 'sel=sim&cuts=import+os' }
      await expect(house.notebooks.startSession(house.person, unreadable)).rejects.toMatchObject({
        code: 'notebooks.unreadable_results',
      })
    })

    test('a terminal opens', async () => {
      const xsrf = 'ab'.repeat(16)
      const made = await fetch(house.origin + base() + 'api/terminals', {
        method: 'POST',
        headers: { cookie: `${house.cookieFor(session.id)}; _xsrf=${xsrf}`, 'x-xsrftoken': xsrf },
      })
      expect(made.status).toBe(200)
      expect(await made.json()).toMatchObject({ name: '1' })
    })

    test("nobody else gets in, and writes need the page's own token", async () => {
      expect((await get('api/status', { cookie: '' })).status).toBe(403)
      expect((await get('api/status', { cookie: house.cookieFor('0'.repeat(20)) })).status).toBe(403)
      expect((await get('api/status', { cookie: 'cygnet_content=forged.forged' })).status).toBe(403)
      const { id: bob } = await house.identity.createPerson({
        name: 'bob',
        displayName: 'Bob',
        siteAdmin: false,
        roles: [{ experiment: 'demo', role: 'member' }],
      })
      expect((await get('api/status', { cookie: house.cookieFor(session.id, bob) })).status).toBe(403)
      const put = await fetch(house.origin + base() + 'api/contents/x.txt', {
        method: 'PUT',
        headers: { cookie: house.cookieFor(session.id) },
        body: '{"type":"file","format":"text","content":"x"}',
      })
      expect(put.status).toBe(403)
    })

    test("a ticket is for the owner's browser, once", async () => {
      const { url } = await house.notebooks.createTicket(session.id)
      const fragment = new URLSearchParams(new URL(url).hash.slice(1))
      expect(new URL(url).pathname).toBe('/_content/open')
      expect(fragment.get('to')).toMatch(/^lab\/tree\/results\/sim-1-3-\w+\.ipynb$/)
      expect(fragment.get('ticket')).toMatch(/^[\w-]{20,}$/)
    })

    test('survives control: sessions, kernels and variables are there after it was killed', async () => {
      // A second home, whose control we can kill.
      await using second = await temporaryDirectory()
      const control = spawn(
        process.execPath,
        [
          '--input-type=module',
          '-e',
          `
      const { openTestHouse } = await import(${JSON.stringify(join(import.meta.dirname, 'testing.ts'))})
      const house = await openTestHouse(${JSON.stringify(second.path)})
      await house.notebooks.ensureEnvironment()
      await house.compute.start()
      await house.notebooks.start()
      let session = await house.notebooks.startSession(house.person, { experiment: 'demo' })
      while (session.state !== 'running') {
        if (session.state === 'failed') throw new Error(session.reason)
        await new Promise((wait) => setTimeout(wait, 30))
        session = await house.notebooks.show(session.id)
      }
      process.stdout.write(JSON.stringify({ id: session.id, origin: house.origin, cookie: house.cookieFor(session.id) }) + '\\n')
      setInterval(() => {}, 1000)
    `,
        ],
        { stdio: ['ignore', 'pipe', 'inherit'] },
      )
      const [line] = (await once(control.stdout, 'data')) as [Buffer]
      const first = JSON.parse(line.toString()) as { id: string; origin: string; cookie: string }
      const kernel = await openKernel({ baseUrl: `${first.origin}/user/alice/${first.id}/`, cookie: first.cookie })
      await kernel.run('x = 41')
      control.kill('SIGKILL')
      await once(control, 'exit')
      const after = await openTestHouse(second.path)
      try {
        // Before anything is published: a gateway that saw no route would end the websockets of the session.
        expect(after.notebooks.snapshotPart().routes).toMatchObject([{ sessionId: first.id, state: 'running' }])
        await after.compute.start()
        await after.notebooks.start()
        const session = await settled(after, first.id)
        expect(session.state).toBe('running')
        const again = await openKernel(
          { baseUrl: `${after.origin}/user/alice/${first.id}/`, cookie: after.cookieFor(first.id) },
          kernel.id,
        )
        expect(await again.run('print(x + 1)')).toMatchObject({ text: '42\n' })
        await again.close()
        const { jobId } = await after.notebooks.stop(first.id)
        await after.compute.ended(jobId)
        expect(await after.notebooks.show(first.id)).toMatchObject({ state: 'stopped' })
        while (after.notebooks.snapshotPart().routes.length > 0) await new Promise((wait) => setTimeout(wait, 20))
      } finally {
        await after.close()
      }
    })
  },
)

test("the Python client's own tests pass", async () => {
  const child = spawn('/usr/bin/python3', ['-m', 'unittest', 'discover', '-s', 'tests'], {
    cwd: resolve(import.meta.dirname, '../../python'),
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const errors: string[] = []
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk.toString()))
  const [code] = (await once(child, 'exit')) as [number]
  expect(code, errors.join('')).toBe(0)
})
