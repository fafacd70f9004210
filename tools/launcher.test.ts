/** The launcher, in a checkout of its own, with an npm that writes down how it was called. */
import { execFile } from 'node:child_process'
import { copyFile, cp, mkdir, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { processIdentity } from '../src/foundation/processes.ts'
import { temporaryDirectory } from '../src/foundation/testing.ts'
import { root } from './sources.ts'

/** A checkout with the real launcher and a program that says what it was given. */
async function checkout(npmScript: string) {
  const { path } = await temporaryDirectory()
  const home = join(path, 'a checkout')
  await mkdir(join(home, 'src/shell'), { recursive: true })
  await cp(join(root, 'bin'), join(home, 'bin'), { recursive: true })
  await cp(join(root, 'packaging'), join(home, 'packaging'), { recursive: true })
  await copyFile(join(root, 'cygnet'), join(home, 'cygnet'))
  await writeFile(join(home, 'package.json'), '{"type":"module"}')
  await writeFile(join(home, 'package-lock.json'), '{"packages":{"":{},"node_modules/a":{}}}')
  await writeFile(
    join(home, 'src/shell/cli.ts'),
    'const said: string[] = process.argv.slice(2); console.log(JSON.stringify(said)); process.exitCode = 3',
  )
  const tools = join(path, 'tools')
  await mkdir(tools)
  await writeFile(join(tools, 'npm'), `#!/bin/sh\necho "$@" >> '${path}/npm.log'\n${npmScript}\n`, { mode: 0o755 })
  await symlink(process.execPath, join(tools, 'node'))
  const run = (
    argv: string[] = ['runs', 'list', 'a b'],
    searchPath = `${tools}:${process.env.PATH}`,
    program = join(home, 'cygnet'),
  ) =>
    new Promise<{ code: number; stdout: string; stderr: string }>((resolve) => {
      execFile(
        program,
        argv,
        { env: { ...process.env, PATH: searchPath }, timeout: 30_000 },
        (error, stdout, stderr) => {
          resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr })
        },
      )
    })
  const installations = async () =>
    (await readFile(join(path, 'npm.log'), 'utf8').catch(() => '')).split('\n').length - 1
  return { path, home, tools, run, installations }
}

const installs = 'mkdir -p node_modules && sleep 0.2'

test('the first start installs, the next ones do not, until the lockfile changes; arguments and exit code pass', async () => {
  const { home, run, installations, path } = await checkout(installs)
  const first = await run()
  expect(first).toMatchObject({ code: 3, stdout: '["runs","list","a b"]\n' })
  expect(first.stderr).toContain('installing 1 packages')
  expect(await readFile(join(path, 'npm.log'), 'utf8')).toContain('ci --ignore-scripts --prefer-offline')
  expect(await run()).toMatchObject({ code: 3, stderr: '' })
  expect(await installations()).toBe(1)
  await writeFile(join(home, 'package-lock.json'), '{"packages":{"":{}}}')
  await run()
  expect(await installations()).toBe(2)
})

test('it works through symbolic links, from anywhere', async () => {
  const { home, path, run } = await checkout(installs)
  await symlink(join(home, 'cygnet'), join(path, 'one'))
  await symlink('one', join(path, 'two'))
  expect(await run(['x'], undefined, join(path, 'two'))).toMatchObject({ code: 3, stdout: '["x"]\n' })
})

test('two at once: the second waits, says so, and installs nothing', async () => {
  const { run, installations } = await checkout('mkdir -p node_modules && sleep 1')
  const results = await Promise.all([run(), run(), run()])
  expect(results.map(({ code }) => code)).toEqual([3, 3, 3])
  expect(await installations()).toBe(1)
  expect(results.filter(({ stderr }) => stderr.includes('waiting for another launcher'))).toHaveLength(2)
})

test('the lock of a launcher that died is taken over; a living one is waited for', async () => {
  const { home, run, installations } = await checkout(installs)
  await mkdir(join(home, '.cache'))
  const own = processIdentity(process.pid)!
  const lock = join(home, '.cache/set-up.lock')
  for (const content of [{ ...own, startTicks: 1 }, { ...own, bootId: 'before' }, 'torn']) {
    await rm(join(home, 'node_modules'), { recursive: true, force: true })
    await writeFile(lock, JSON.stringify(content))
    expect(await run()).toMatchObject({ code: 3 })
  }
  expect(await installations()).toBe(3)
  await rm(join(home, 'node_modules'), { recursive: true })
  await writeFile(lock, JSON.stringify(own))
  const waiting = run()
  await new Promise((resolve) => setTimeout(resolve, 600))
  expect(await installations()).toBe(3)
  await rm(lock)
  expect((await waiting).stderr).toContain(`waiting for another launcher (process ${process.pid})`)
})

test('a failed installation leaves no stamp and says what to do', async () => {
  const { run, path } = await checkout('echo "npm error code EAI_AGAIN" >&2; exit 1')
  const offline = await run()
  expect(offline).toMatchObject({ code: 5, stdout: '' })
  expect(offline.stderr).toContain('there is no network')
  for (const [script, words] of [
    ['echo "npm error code ENOSPC" >&2; exit 1', 'disk is full'],
    ['echo "npm error code EACCES" >&2; exit 1', 'may not write'],
    ['echo "npm error something" >&2; exit 1', 'npm error something'],
  ] as const) {
    await writeFile(join(path, 'tools/npm'), `#!/bin/sh\n${script}\n`)
    expect((await run()).stderr).toContain(words)
  }
  await writeFile(join(path, 'tools/npm'), `#!/bin/sh\n${installs}\n`)
  expect(await run()).toMatchObject({ code: 3 })
})

test('a missing or old Node.js, a missing npm and a missing Python are told in words', async () => {
  const { path, tools, run } = await checkout(installs)
  const bare = join(path, 'bare')
  await mkdir(bare)
  for (const name of ['sh', 'dirname', 'readlink'])
    await symlink(`/bin/${name}`, join(bare, name)).catch(() => symlink(`/usr/bin/${name}`, join(bare, name)))
  expect((await run(['x'], bare)).stderr).toContain('Node.js is not installed')
  await symlink(process.execPath, join(bare, 'node'))
  expect((await run(['x'], bare)).stderr).toContain('npm is not installed')
  expect((await run(['demo'], bare)).stderr).toContain('Python 3 is not installed')
  await rm(join(tools, 'node'))
  await writeFile(join(tools, 'node'), '#!/bin/sh\necho v18.19.0\n', { mode: 0o755 })
  expect(await run()).toMatchObject({ code: 1, stderr: expect.stringContaining('v18.19.0 is too old') })
})
